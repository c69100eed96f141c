#ifndef MRQC_PACKED_I16_H
#define MRQC_PACKED_I16_H

#include <stdint.h>

/* An int16_t that may stand at any address of a byte buffer: reading it as bytes breaks neither the
 * alignment rules of the machine nor the aliasing rules of the language. */
typedef struct {
    uint8_t bytes[2];
} packed_i16;

#endif
