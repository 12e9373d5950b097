/* Sums of gradients: add_plain in plain/add.c, LANES elements at a time. */
#include "vec.h"

void FORM(add)(void *y, const void *a, const void *b, int64_t count) {
    const element *left = a, *right = b;
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) v_store_e((element *)y + i, v_load_e(left + i) + v_load_e(right + i));
    if (i < count)
        v_store_first_e((element *)y + i, v_load_first_e(left + i, count - i) + v_load_first_e(right + i, count - i), count - i);
}
