#ifndef MRQC_STORE_I8_H
#define MRQC_STORE_I8_H

#include <stdint.h>

/* The value is in the range of int8_t: every caller has clamped it. */
static inline void store_i8(int8_t *element, int32_t value)
{
    *element = (int8_t)value;
}

#endif
