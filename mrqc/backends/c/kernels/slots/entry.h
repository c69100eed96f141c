/* Slot "entry": what a table of results holds, the integer that the output's element type stores. */
#ifndef MRQC_SLOT_ENTRY_H
#define MRQC_SLOT_ENTRY_H

#include <stdint.h>

typedef int8_t entry_t;

#endif
