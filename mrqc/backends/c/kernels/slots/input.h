/* Slot "input": the element type that a kernel reads. The emitter puts the layer's own type in its place; this
 * header stands in when a kernel is compiled by itself. */
#ifndef MRQC_SLOT_INPUT_H
#define MRQC_SLOT_INPUT_H

#include "../element/load_i8.h"

typedef int8_t input_t;
#define load_input load_i8

#endif
