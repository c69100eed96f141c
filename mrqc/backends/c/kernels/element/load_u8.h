#ifndef MRQC_LOAD_U8_H
#define MRQC_LOAD_U8_H

#include <stdint.h>

static inline int32_t load_u8(const uint8_t *element)
{
    return *element;
}

#endif
