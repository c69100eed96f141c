#ifndef MRQC_PACKED_I32_H
#define MRQC_PACKED_I32_H

#include <stdint.h>

/* An int32_t that may stand at any address of a byte buffer: reading it as bytes breaks neither the
 * alignment rules of the machine nor the aliasing rules of the language. */
typedef struct {
    uint8_t bytes[4];
} packed_i32;

#endif
