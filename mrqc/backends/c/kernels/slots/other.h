/* Slot "other": the element type of a kernel's second activation operand. */
#ifndef MRQC_SLOT_OTHER_H
#define MRQC_SLOT_OTHER_H

#include "../element/load_i8.h"

typedef int8_t other_t;
#define load_other load_i8

#endif
