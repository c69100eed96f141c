#ifndef MRQC_LOAD_I32_H
#define MRQC_LOAD_I32_H

#include <stdint.h>
#include <string.h>

#include "packed_i32.h"

static inline int32_t load_i32(const packed_i32 *element)
{
    int32_t value;
    memcpy(&value, element->bytes, sizeof value);
    return value;
}

#endif
