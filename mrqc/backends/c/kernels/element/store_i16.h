#ifndef MRQC_STORE_I16_H
#define MRQC_STORE_I16_H

#include <stdint.h>
#include <string.h>

#include "packed_i16.h"

/* The value is in the range of int16_t: every caller has clamped it. */
static inline void store_i16(packed_i16 *element, int32_t value)
{
    const int16_t narrow = (int16_t)value;
    memcpy(element->bytes, &narrow, sizeof narrow);
}

#endif
