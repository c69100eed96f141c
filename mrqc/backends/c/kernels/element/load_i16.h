#ifndef MRQC_LOAD_I16_H
#define MRQC_LOAD_I16_H

#include <stdint.h>
#include <string.h>

#include "packed_i16.h"

static inline int32_t load_i16(const packed_i16 *element)
{
    int16_t value;
    memcpy(&value, element->bytes, sizeof value);
    return value;
}

#endif
