#ifndef MRQC_RUN_LENGTH_H
#define MRQC_RUN_LENGTH_H

/* The input of a dot product is widened piece by piece; a piece is this long at most. */
enum { RUN_LENGTH = 256 };

#endif
