/* Slot "output": the element type that a kernel writes. */
#ifndef MRQC_SLOT_OUTPUT_H
#define MRQC_SLOT_OUTPUT_H

#include "../element/store_i8.h"

typedef int8_t output_t;
#define store_output store_i8

#endif
