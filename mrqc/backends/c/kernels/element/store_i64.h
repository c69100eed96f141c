#ifndef MRQC_STORE_I64_H
#define MRQC_STORE_I64_H

#include <stdint.h>
#include <string.h>

#include "packed_i64.h"

static inline void store_i64(packed_i64 *element, int32_t value)
{
    const int64_t wide = value;
    memcpy(element->bytes, &wide, sizeof wide);
}

#endif
