/* Slot "centre_weight": whether a zero point is subtracted from the weights. */
#ifndef MRQC_SLOT_CENTRE_WEIGHT_H
#define MRQC_SLOT_CENTRE_WEIGHT_H

#include "../centring/keep_code.h"

#define centre_weight keep_code

#endif
