/* The forms of every kernel: warp_plain, warp_avx2, add_avx512, add_bf16_avx512 and so on, declared from the table in
 * kernels.h so that definition and table cannot disagree.  Included by kernels.c and by every file under plain/ and simd/. */
#ifndef COVER_FORMS_H
#define COVER_FORMS_H

#include "kernels.h"

/* Kernels over feature maps: X(kernel, form).  Their files are compiled once an element. */
#define FEATURE_KERNELS(X, form)                                                                                      \
    X(norm_sums, form)                                                                                                \
    X(norm_apply, form)                                                                                               \
    X(norm_grad_sums, form)                                                                                           \
    X(norm_grad_apply, form)                                                                                          \
    X(max_pool2, form)                                                                                                \
    X(max_pool2_grad, form)                                                                                           \
    X(upsample, form)                                                                                                 \
    X(upsample_grad, form)                                                                                            \
    X(warp, form)                                                                                                     \
    X(warp_grad, form)                                                                                                \
    X(cosine_sum, form)                                                                                               \
    X(cosine_sum_grad, form)                                                                                          \
    X(global_pool, form)                                                                                              \
    X(global_pool_grad, form)                                                                                         \
    X(add, form)                                                                                                      \
    X(widen, form)
/* Kernels that know floats alone. */
#define FLOAT_KERNELS(X, form)                                                                                        \
    X(resize_corners, form)                                                                                           \
    X(resize_corners_grad, form)                                                                                      \
    X(mov, form)                                                                                                      \
    X(mov_grad, form)                                                                                                 \
    X(vector_loss, form)                                                                                              \
    X(vector_loss_grad, form)                                                                                         \
    X(softmax_loss, form)                                                                                             \
    X(softmax_loss_grad, form)                                                                                        \
    X(sigmoid_loss, form)                                                                                             \
    X(sigmoid_loss_grad, form)                                                                                        \
    X(square_sum, form)                                                                                               \
    X(adam, form)

#define KERNEL_DECLARE(kernel, form) extern __typeof__(*((struct kernels *)0)->kernel) kernel##_##form;
#define FORM_DECLARE(form)                                                                                            \
    FEATURE_KERNELS(KERNEL_DECLARE, form)                                                                             \
    FEATURE_KERNELS(KERNEL_DECLARE, bf16_##form)                                                                      \
    FLOAT_KERNELS(KERNEL_DECLARE, form)

FORM_DECLARE(plain)
#ifdef __x86_64__
FORM_DECLARE(avx2)
FORM_DECLARE(avx512)
FEATURE_KERNELS(KERNEL_DECLARE, bf16_avx512_bf16)
#endif

/* The element of a file that is compiled once an element; PLAIN(add) is add_plain or add_bf16_plain. */
#ifdef ELEMENT_IS_BF16
typedef bf16 element;
#define ELEMENT_FORM(kernel, form) kernel##_bf16_##form
static inline float to_float(element value) { return bf16_to_float(value); }
static inline element from_float(float value) { return bf16_from_float(value); }
#else
typedef float element;
#define ELEMENT_FORM(kernel, form) kernel##_##form
static inline float to_float(element value) { return value; }
static inline element from_float(float value) { return value; }
#endif
#define PLAIN(kernel) ELEMENT_FORM(kernel, plain)

/* The rows [*begin, *end) of `rows` that are this slab's share. */
static inline void slab_share(int64_t rows, int slab, int slabs, int64_t *begin, int64_t *end) {
    *begin = rows * slab / slabs;
    *end = rows * (slab + 1) / slabs;
}

#endif
