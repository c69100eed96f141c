/* Slot "sum": an unsigned integer that holds the sums and products of a softmax, 32 bits wide or 64. */
#ifndef MRQC_SLOT_SUM_H
#define MRQC_SLOT_SUM_H

#include <stdint.h>

typedef uint32_t sum_t;

#endif
