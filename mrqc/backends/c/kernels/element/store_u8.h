#ifndef MRQC_STORE_U8_H
#define MRQC_STORE_U8_H

#include <stdint.h>

/* The value is in the range of uint8_t: every caller has clamped it. */
static inline void store_u8(uint8_t *element, int32_t value)
{
    *element = (uint8_t)value;
}

#endif
