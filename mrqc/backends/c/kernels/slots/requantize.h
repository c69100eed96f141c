/* Slot "requantize": how the layer's accumulators become codes. */
#ifndef MRQC_SLOT_REQUANTIZE_H
#define MRQC_SLOT_REQUANTIZE_H

#include "../requantize_shift.h"

typedef uint8_t scale_t;
#define requantize requantize_shift

#endif
