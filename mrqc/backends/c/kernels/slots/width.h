/* Slot "width": the integer that a rounding shift is computed in, 32 or 64 bits wide. */
#ifndef MRQC_SLOT_WIDTH_H
#define MRQC_SLOT_WIDTH_H

#include <stdint.h>

#ifdef MRQC_WIDTH_64
typedef int64_t wide_t;
typedef uint64_t unsigned_wide_t;
#else
typedef int32_t wide_t;
typedef uint32_t unsigned_wide_t;
#endif

#endif
