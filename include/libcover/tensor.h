/* Tensors at the border of the library: the caller's or our own memory, any dtype and strides, logical order
 * N, C, [D,] H, W. */
#ifndef LIBCOVER_TENSOR_H
#define LIBCOVER_TENSOR_H

#include <libcover/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cover_tensor cover_tensor;

typedef enum cover_dtype {
    COVER_U8, COVER_U16, COVER_I16, COVER_I32, COVER_I64, COVER_F16, COVER_BF16, COVER_F32
} cover_dtype;

#define COVER_MAX_RANK 5

/** Bytes of one element. */
COVER_API size_t cover_dtype_bytes(cover_dtype dtype);
/** "u8", "f32", ... */
COVER_API const char *cover_dtype_name(cover_dtype dtype);

/** A contiguous tensor of zeros, owned by the library.  @param rank 1..COVER_MAX_RANK
 *  @return COVER_OK; COVER_ERROR_ARGUMENT; COVER_ERROR_SHAPE (a size < 1 or an overflowing product); COVER_ERROR_MEMORY */
COVER_API cover_status cover_tensor_create(cover_tensor **tensor, cover_context *context, cover_dtype dtype, int rank,
                                           const int64_t *shape);

/** The caller's memory as a tensor; it must outlive the tensor.
 *  @param strides in elements, NULL = contiguous; zero and negative strides are taken */
COVER_API cover_status cover_tensor_wrap(cover_tensor **tensor, cover_context *context, cover_dtype dtype, int rank,
                                         const int64_t *shape, const int64_t *strides, void *data);

/** Like cover_tensor_wrap(); release(user, data) is called when the tensor is destroyed. */
COVER_API cover_status cover_tensor_adopt(cover_tensor **tensor, cover_context *context, cover_dtype dtype, int rank,
                                          const int64_t *shape, const int64_t *strides, void *data,
                                          void (*release)(void *user, void *data), void *user);
COVER_API void cover_tensor_destroy(cover_tensor *tensor);

COVER_API cover_dtype cover_tensor_dtype(const cover_tensor *tensor);
COVER_API int cover_tensor_rank(const cover_tensor *tensor);
COVER_API const int64_t *cover_tensor_shape(const cover_tensor *tensor);
COVER_API const int64_t *cover_tensor_strides(const cover_tensor *tensor);
/** First element. */
COVER_API void *cover_tensor_data(const cover_tensor *tensor);

/** Copy all elements into `target` (same shape, any dtype and strides), converting; to integers rounds half to even and
 *  saturates. */
COVER_API cover_status cover_tensor_copy(cover_tensor *target, const cover_tensor *source);

/* DLPack exchange (github.com/dmlc/dlpack, version 0 struct layout).  `managed` points to a DLManagedTensor. */
/** Take over a CPU DLManagedTensor: its deleter is called when the tensor is destroyed. */
COVER_API cover_status cover_tensor_from_dlpack(cover_tensor **tensor, cover_context *context, void *managed);
/** Hand a tensor over as DLManagedTensor; ownership goes with it, `tensor` may not be used afterwards. */
COVER_API cover_status cover_tensor_to_dlpack(void **managed, cover_tensor *tensor);

#ifdef __cplusplus
}
#endif
#endif
