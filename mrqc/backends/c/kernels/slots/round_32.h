/* Slot "round_32": the layer's rounding rule, in 32 bits. */
#ifndef MRQC_SLOT_ROUND_32_H
#define MRQC_SLOT_ROUND_32_H

#include "../rounding/round_half_up.h"

#define round_32 round_half_up

#endif
