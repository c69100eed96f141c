/* clip_taps: which taps of a sliding window fall on the image, along one axis.
 *
 * Tap t lies at origin + t * dilation; the origin is negative in the padding before the image. Taps outside
 * contribute nothing, so that padding needs neither memory nor arithmetic. */
#ifndef MRQC_TAP_RANGE_H
#define MRQC_TAP_RANGE_H

#include <stdint.h>

/* The taps first, first + 1, ..., last - 1; none if first >= last. */
struct tap_range {
    int32_t first;
    int32_t last;
};

static inline struct tap_range clip_taps(int32_t origin, int32_t dilation, int32_t taps, int32_t extent)
{
    struct tap_range range;
    const int32_t room = origin < extent ? (extent - origin + dilation - 1) / dilation : 0;
    range.first = origin < 0 ? (dilation - 1 - origin) / dilation : 0;
    range.last = room < taps ? room : taps;
    return range;
}

#endif
