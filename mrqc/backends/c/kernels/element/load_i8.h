#ifndef MRQC_LOAD_I8_H
#define MRQC_LOAD_I8_H

#include <stdint.h>

static inline int32_t load_i8(const int8_t *element)
{
    return *element;
}

#endif
