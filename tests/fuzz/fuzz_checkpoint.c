/* Checkpoints whose bytes were changed and which were sealed again: tensors that can all be read, or an error that names the file. */
#include "fuzz.h"

#include "io/bytes/seal.h"
#include "io/weights/tensor_file.h"
#include "io/weights/weights.h"

#include <libcover/predictor.h>
#include <libcover/weights.h>

static void read_weights(cover_context *context, const char *path) {
    struct tensor_file *file;
    if (tensor_file_open(&file, context, path) != COVER_OK) return require(strstr(cover_error_text(), "a.h5") != NULL, "text");
    for (int64_t i = 0; i < file->count; i++) {
        float *values = NULL;
        if (file->entries[i].elements <= 1 << 22 && tensor_load_f32(file, &file->entries[i], &values) == COVER_OK)
            memory_free(context, values);
    }
    tensor_file_close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cover_context *context = fuzz_context();
    struct seal seal = {.major = 1, .file_bytes = size, .format = "checkpoint", .begin = SEAL_BYTES, .bytes = size - SEAL_BYTES};
    char *info;
    uint8_t *file = malloc(size);
    if (size < SEAL_BYTES || !file) return free(file), 0;
    memcpy(file, data, size);
    sha256(file + SEAL_BYTES, size - SEAL_BYTES, seal.hash);
    seal_encode(file, &seal);
    const char *path = fuzz_put("a.h5", file, size);
    free(file);
    read_weights(context, path);
    if (cover_weights_info(&info, context, path) == COVER_OK) cover_text_release(context, info);
    cover_predictor *predictor;
    if (cover_predictor_load(&predictor, context, path, NULL) == COVER_OK) cover_predictor_destroy(predictor);
    return 0;
}
