#ifndef MRQC_CHANNEL_BLOCK_H
#define MRQC_CHANNEL_BLOCK_H

/* How many neighbouring channels a kernel works on at a time: their accumulators stay in registers or the first
 * cache, and their number, known to the compiler, makes the inner loops straight-line code. */
enum { CHANNEL_BLOCK = 32 };

#endif
