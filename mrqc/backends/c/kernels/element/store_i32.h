#ifndef MRQC_STORE_I32_H
#define MRQC_STORE_I32_H

#include <stdint.h>
#include <string.h>

#include "packed_i32.h"

static inline void store_i32(packed_i32 *element, int32_t value)
{
    memcpy(element->bytes, &value, sizeof value);
}

#endif
