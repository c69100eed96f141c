/* Slot "round_64": the layer's rounding rule, in 64 bits. */
#ifndef MRQC_SLOT_ROUND_64_H
#define MRQC_SLOT_ROUND_64_H

#define MRQC_WIDTH_64
#include "../rounding/round_half_up.h"

#define round_64 round_half_up

#endif
