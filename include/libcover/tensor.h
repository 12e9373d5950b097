/* Tensors at the border of the library: the caller's or our own memory, any dtype and strides, logical order
 * N, C, [D,] H, W.
 *
 * Owner:      the caller destroys each tensor; wrapped and viewed memory stays the caller's, adopted memory is released with the
 * tensor,
 *             after an error it is still the caller's
 * Lifetime:   shape, strides and data: as long as the tensor; wrapped memory must outlive it
 * Threads:    several may read a tensor at once; who writes is alone
 * Callbacks:  release() of adopted memory, on the thread that destroys the tensor; it calls nothing of libcover with this
 *             tensor
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"; destroy takes NULL;
 *             questions answer 0 or NULL
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  stable */
#ifndef LIBCOVER_TENSOR_H
#define LIBCOVER_TENSOR_H

#include <libcover/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cover_tensor cover_tensor;

typedef enum cover_dtype { COVER_U8, COVER_U16, COVER_I16, COVER_I32, COVER_I64, COVER_F16, COVER_BF16, COVER_F32 } cover_dtype;

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

/** The same over memory that is only read: cover_tensor_data() of it is NULL, and no call writes into it. */
COVER_API cover_status cover_tensor_view(cover_tensor **tensor, cover_context *context, cover_dtype dtype, int rank,
                                         const int64_t *shape, const int64_t *strides, const void *data);

/** Like cover_tensor_wrap(); release(user, data) is called when the tensor is destroyed. */
COVER_API cover_status cover_tensor_adopt(cover_tensor **tensor, cover_context *context, cover_dtype dtype, int rank,
                                          const int64_t *shape, const int64_t *strides, void *data,
                                          void (*release)(void *user, void *data), void *user);
COVER_API void cover_tensor_destroy(cover_tensor *tensor);

COVER_API cover_dtype cover_tensor_dtype(const cover_tensor *tensor);
COVER_API int cover_tensor_rank(const cover_tensor *tensor);
COVER_API const int64_t *cover_tensor_shape(const cover_tensor *tensor);
COVER_API const int64_t *cover_tensor_strides(const cover_tensor *tensor);
/** First element, to write; NULL of a tensor made by cover_tensor_view(). */
COVER_API void *cover_tensor_data(cover_tensor *tensor);
/** First element, to read. */
COVER_API const void *cover_tensor_data_const(const cover_tensor *tensor);

/** Copy all elements into `target` (same shape, any dtype and strides), converting; to integers rounds half to even and
 *  saturates.  @return COVER_OK; COVER_ERROR_SHAPE; COVER_ERROR_ARGUMENT when the target is a cover_tensor_view() */
COVER_API cover_status cover_tensor_copy(cover_tensor *target, const cover_tensor *source);

/* DLPack exchange (github.com/dmlc/dlpack, version 0 struct layout).  `managed` points to a DLManagedTensor. */
/** Take over a CPU DLManagedTensor: its deleter is called when the tensor is destroyed.  After an error it is still the
 *  caller's, and
 *  the deleter was not called.
 *  @return COVER_OK; COVER_ERROR_UNSUPPORTED (another device or type); COVER_ERROR_ARGUMENT; COVER_ERROR_SHAPE;
 *  COVER_ERROR_MEMORY */
COVER_API cover_status cover_tensor_from_dlpack(cover_tensor **tensor, cover_context *context, void *managed);
/** Hand a tensor over as DLManagedTensor: its deleter destroys the tensor, which may not be used here any more.  After an error the
 *  tensor is still the caller's.
 *  @return COVER_OK; COVER_ERROR_UNSUPPORTED: a cover_tensor_view(), as the receiver could write into it; COVER_ERROR_MEMORY */
COVER_API cover_status cover_tensor_to_dlpack(void **managed, cover_tensor *tensor);

#ifdef __cplusplus
}
#endif
#endif
