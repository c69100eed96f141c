/* Slot "accumulator": 32 bits wide wherever the sums provably fit, else 64. */
#ifndef MRQC_SLOT_ACCUMULATOR_H
#define MRQC_SLOT_ACCUMULATOR_H

#include <stdint.h>

typedef int32_t accumulator_t;

#endif
