/* Image readers fed by libFuzzer: whatever the bytes, an image whose pixels can all be touched, or an error that names
 * the file; never a crash, a leak, or more memory than the limit. */
#include "core/base/base.h"
#include "io/image/image.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static cover_context *context;
    if (!context && cover_context_create(&context, &(cover_context_options){sizeof(cover_context_options), .threads = 1}))
        __builtin_trap();
    struct image image;
    if (image_decode(&image, context, "fuzz", data, size, (uint64_t)16 << 20) != COVER_OK) {
        if (strncmp(cover_error_text(), "fuzz: ", 6) != 0) __builtin_trap();
        return 0;
    }
    size_t bytes = cover_dtype_bytes(image.dtype) * (size_t)image.channels;
    for (int axis = 0; axis < 3; axis++) bytes *= (size_t)image.size[axis];
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes; i++) sum += ((const uint8_t *)image.data)[i];
    if (sum > 255 * (uint64_t)bytes) __builtin_trap();
    image_free(&image, context);
    return 0;
}
