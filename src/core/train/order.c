/* A Feistel network over the smallest even number of bits that holds `count`, walked until it lands below count: a
 * permutation of any length without a table (Black and Rogaway, CT-RSA 2002).  Called by prefetch. */
#include "order.h"

#include "core/base/philox.h"

enum { ROUNDS = 6 };

int64_t order_sample(uint64_t seed, int64_t epoch, int64_t position, int64_t count) {
    int half = 1;
    while (half < 31 && (INT64_C(1) << 2 * half) < count) half++;
    uint32_t mask = (uint32_t)((UINT64_C(1) << half) - 1);
    uint64_t at = (uint64_t)position;
    do {
        uint32_t left = (uint32_t)(at >> half) & mask, right = (uint32_t)at & mask;
        for (uint32_t round = 0; round < ROUNDS; round++) {
            uint32_t mixed = philox(seed, right, RANDOM_EPOCH_ORDER, (uint32_t)epoch, round).word[0];
            uint32_t next = left ^ (mixed & mask);
            left = right, right = next;
        }
        at = (uint64_t)left << half | right;
    } while (at >= (uint64_t)count);
    return (int64_t)at;
}
