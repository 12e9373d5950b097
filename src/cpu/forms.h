/* The forms of every kernel: warp_plain, warp_avx2, add_avx512, add_bf16_avx512 and so on, declared from
 * kernels.def so that definition and table cannot disagree.  Included by kernels.c and by every file under plain/ and simd/. */
#ifndef COVER_FORMS_H
#define COVER_FORMS_H

#include "kernels.h"

#define FORMS_FLOATS(type, name, arguments)                                                                                        \
    type name##_plain arguments;                                                                                                   \
    type name##_avx2 arguments;                                                                                                    \
    type name##_avx512 arguments;
#define FORMS_FEATURES(type, name, arguments)                                                                                      \
    FORMS_FLOATS(type, name, arguments)                                                                                            \
    FORMS_FLOATS(type, name##_bf16, arguments)                                                                                     \
    type name##_bf16_avx512_bf16 arguments;
#define KERNEL(kind, type, name, arguments) FORMS_##kind(type, name, arguments)
#include "kernels.def"

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
