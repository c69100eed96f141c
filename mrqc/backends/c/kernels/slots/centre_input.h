/* Slot "centre_input": whether a zero point is subtracted from the codes that a kernel reads. */
#ifndef MRQC_SLOT_CENTRE_INPUT_H
#define MRQC_SLOT_CENTRE_INPUT_H

#include "../centring/keep_code.h"

#define centre_input keep_code

#endif
