/* The forms of every kernel: warp_plain, warp_avx2, warp_avx512 and so on, declared from the table in kernels.h so that
 * definition and table cannot disagree.  Included by kernels.c and by every file under plain/ and simd/. */
#ifndef COVER_FORMS_H
#define COVER_FORMS_H

#include "kernels.h"

/* Every kernel once: X(kernel, form). */
#define KERNELS(X, form)                                                                                              \
    X(norm_sums, form)                                                                                                \
    X(norm_apply, form)                                                                                               \
    X(norm_grad, form)                                                                                                \
    X(max_pool2, form)                                                                                                \
    X(max_pool2_grad, form)                                                                                           \
    X(upsample_concat, form)                                                                                          \
    X(upsample_concat_grad, form)                                                                                     \
    X(resize_corners, form)                                                                                           \
    X(resize_corners_grad, form)                                                                                      \
    X(warp, form)                                                                                                     \
    X(warp_grad, form)                                                                                                \
    X(mov, form)                                                                                                      \
    X(mov_grad, form)                                                                                                 \
    X(vector_loss, form)                                                                                              \
    X(vector_loss_grad, form)                                                                                         \
    X(cosine_sum, form)                                                                                               \
    X(cosine_sum_grad, form)                                                                                          \
    X(softmax_loss, form)                                                                                             \
    X(softmax_loss_grad, form)                                                                                        \
    X(sigmoid_loss, form)                                                                                             \
    X(sigmoid_loss_grad, form)                                                                                        \
    X(global_pool, form)                                                                                              \
    X(global_pool_grad, form)                                                                                         \
    X(add, form)                                                                                                      \
    X(square_sum, form)                                                                                               \
    X(adam, form)

#define KERNEL_DECLARE(kernel, form) extern __typeof__(*((struct kernels *)0)->kernel) kernel##_##form;

KERNELS(KERNEL_DECLARE, plain)
#ifdef __x86_64__
KERNELS(KERNEL_DECLARE, avx2)
KERNELS(KERNEL_DECLARE, avx512)
#endif

/* The rows [*begin, *end) of `rows` that are this slab's share. */
static inline void slab_share(int64_t rows, int slab, int slabs, int64_t *begin, int64_t *end) {
    *begin = rows * slab / slabs;
    *end = rows * (slab + 1) / slabs;
}

#endif
