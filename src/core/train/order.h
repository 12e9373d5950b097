/* The order of samples: a permutation an epoch, computed and never stored (method: an epoch's order). */
#ifndef COVER_ORDER_H
#define COVER_ORDER_H

#include <stdint.h>

/* Which of `count` samples stands at `position` (0..count-1) of an epoch. */
int64_t order_sample(uint64_t seed, int64_t epoch, int64_t position, int64_t count);

#endif
