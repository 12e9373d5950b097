/* The functions of oneDNN that ask for memory, behind a border: an exception of C++ becomes a status there, instead of ending the
 * process in C code that nobody can catch it in.  Called by conv.c, which calls all others by their own names. */
#ifndef COVER_ONEDNN_BORDER_H
#define COVER_ONEDNN_BORDER_H

#include <oneapi/dnnl/dnnl.h>

#define ONEDNN_CALLS(CALL)                                                                                                         \
    CALL(convolution_backward_data_primitive_desc_create)                                                                          \
    CALL(convolution_backward_weights_primitive_desc_create)                                                                       \
    CALL(convolution_forward_primitive_desc_create)                                                                                \
    CALL(engine_create)                                                                                                            \
    CALL(memory_create)                                                                                                            \
    CALL(memory_desc_create_with_tag)                                                                                              \
    CALL(primitive_attr_create)                                                                                                    \
    CALL(primitive_attr_set_fpmath_mode)                                                                                           \
    CALL(primitive_attr_set_scratchpad_mode)                                                                                       \
    CALL(primitive_create)                                                                                                         \
    CALL(primitive_desc_query)                                                                                                     \
    CALL(primitive_execute)                                                                                                        \
    CALL(reorder_primitive_desc_create)                                                                                            \
    CALL(stream_create)                                                                                                            \
    CALL(stream_wait)

#ifdef __cplusplus
extern "C" {
#endif
/* onednn_memory_create() is dnnl_memory_create(), and so on. */
#define CALL(name) extern __typeof__(dnnl_##name) *const onednn_##name;
ONEDNN_CALLS(CALL)
#undef CALL
#ifdef __cplusplus
}
#endif

#endif
