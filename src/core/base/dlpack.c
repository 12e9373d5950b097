/* DLPack exchange of CPU tensors: the version 0 structs of github.com/dmlc/dlpack (the unversioned DLManagedTensor),
 * declared here so that no header of theirs is needed.  Called by programs that share memory with PyTorch and others.
 */
#include "tensor.h"

enum { DEVICE_CPU = 1, DEVICE_CUDA_HOST = 3 };
enum { CODE_INT = 0, CODE_UINT = 1, CODE_FLOAT = 2, CODE_BFLOAT = 4 };

struct dl_tensor {
    void *data;
    struct {
        int32_t type, id;
    } device;
    int32_t ndim;
    struct {
        uint8_t code, bits;
        uint16_t lanes;
    } dtype;
    int64_t *shape, *strides; /* in elements; strides NULL = contiguous */
    uint64_t byte_offset;
};
struct dl_managed_tensor {
    struct dl_tensor tensor;
    void *manager;
    void (*deleter)(struct dl_managed_tensor *self);
};
_Static_assert(sizeof(void *) != 8 || sizeof(struct dl_managed_tensor) == 64, "DLManagedTensor of version 0");

static const struct {
    uint8_t code, bits;
} dl_types[] = {
    [COVER_U8] = {CODE_UINT, 8},  [COVER_U16] = {CODE_UINT, 16},  [COVER_I16] = {CODE_INT, 16},     [COVER_I32] = {CODE_INT, 32},
    [COVER_I64] = {CODE_INT, 64}, [COVER_F16] = {CODE_FLOAT, 16}, [COVER_BF16] = {CODE_BFLOAT, 16}, [COVER_F32] = {CODE_FLOAT, 32},
};
enum { DL_TYPES = sizeof dl_types / sizeof *dl_types };

static void delete_managed(void *user, void *data) {
    (void)data;
    struct dl_managed_tensor *managed = user;
    if (managed->deleter) managed->deleter(managed);
}

cover_status cover_tensor_from_dlpack(cover_tensor **out, cover_context *context, void *given) {
    struct dl_managed_tensor *managed = given;
    if (!out || !context || !managed) return fail(COVER_ERROR_ARGUMENT, "cover_tensor_from_dlpack: an argument is NULL");
    const struct dl_tensor *dl = &managed->tensor;
    if (dl->device.type != DEVICE_CPU && dl->device.type != DEVICE_CUDA_HOST)
        return fail(COVER_ERROR_UNSUPPORTED, "DLPack: the tensor is on device type %d; move it to the CPU first",
                    (int)dl->device.type);
    int dtype = 0;
    while (dtype < DL_TYPES && (dl_types[dtype].code != dl->dtype.code || dl_types[dtype].bits != dl->dtype.bits)) dtype++;
    if (dtype == DL_TYPES || dl->dtype.lanes != 1)
        return fail(COVER_ERROR_UNSUPPORTED,
                    "DLPack: type code %d with %d bits and %d lanes is not taken; convert to float32 first", dl->dtype.code,
                    dl->dtype.bits, dl->dtype.lanes);
    if (!dl->data) return fail(COVER_ERROR_ARGUMENT, "DLPack: the tensor has no data");
    return cover_tensor_adopt(out, context, (cover_dtype)dtype, dl->ndim, dl->shape, dl->strides,
                              (char *)dl->data + dl->byte_offset, delete_managed, managed);
}

static void delete_handed_over(struct dl_managed_tensor *managed) {
    cover_tensor *tensor = managed->manager;
    memory_free(tensor->context, managed);
    cover_tensor_destroy(tensor);
}

cover_status cover_tensor_to_dlpack(void **out, cover_tensor *tensor) {
    if (!out || !tensor) return fail(COVER_ERROR_ARGUMENT, "cover_tensor_to_dlpack: an argument is NULL");
    if (tensor->read_only)
        return fail(COVER_ERROR_UNSUPPORTED,
                    "DLPack: the tensor is a view of memory that is only read; copy it into another first");
    struct dl_managed_tensor *managed = memory_zero(tensor->context, sizeof *managed);
    if (!managed) return COVER_ERROR_MEMORY;
    struct dl_tensor *dl = &managed->tensor;
    dl->data = tensor->data;
    dl->device.type = DEVICE_CPU;
    dl->ndim = tensor->rank;
    dl->dtype.code = dl_types[tensor->dtype].code, dl->dtype.bits = dl_types[tensor->dtype].bits, dl->dtype.lanes = 1;
    dl->shape = tensor->shape, dl->strides = tensor->strides; /* they live as long as the tensor */
    managed->manager = tensor, managed->deleter = delete_handed_over;
    *out = managed;
    return COVER_OK;
}
