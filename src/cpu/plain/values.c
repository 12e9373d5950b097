/* Element by element, plain C: what the forms in simd/values.c must equal. */
#include "../forms.h"

void PLAIN(scaled)(void *y, const void *x, float scale, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) ((element *)y)[i] = from_float(scale * to_float(((const element *)x)[i]));
}

void PLAIN(leaky)(void *y, const void *x, float slope, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
        const float value = to_float(((const element *)x)[i]);
        ((element *)y)[i] = from_float(value > 0 ? value : slope * value);
    }
}

void PLAIN(leaky_grad)(void *dx, const void *dy, const void *y, float slope, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
        const float gradient = to_float(((const element *)dy)[i]);
        ((element *)dx)[i] = from_float(to_float(((const element *)y)[i]) > 0 ? gradient : slope * gradient);
    }
}
