#ifndef MRQC_PACKED_I64_H
#define MRQC_PACKED_I64_H

#include <stdint.h>

/* An int64_t that may stand at any address of a byte buffer, as packed_i32. */
typedef struct {
    uint8_t bytes[8];
} packed_i64;

#endif
