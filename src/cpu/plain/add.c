/* Sums of gradients, plain C: what the forms in simd/add.c must equal. */
#include "../forms.h"

void PLAIN(add)(void *y, const void *a, const void *b, int64_t count) {
    const element *left = a, *right = b;
    for (int64_t i = 0; i < count; i++) ((element *)y)[i] = from_float(to_float(left[i]) + to_float(right[i]));
}
