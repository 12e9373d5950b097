/* Weight files (safetensors, PyTorch's two forms, bare pickles) fed by libFuzzer: whatever the bytes, tensors whose
 * values can all be read, or an error that names the file; never a crash or a leak. */
#include "io/weights/pickle.h"
#include "io/weights/tensor_hash.h"
#include "io/weights/weights.h"

#include <string.h>

static const struct pickle_global globals[] = {
    {"collections", "OrderedDict", .mapping = true}, {"torch", "FloatStorage"}, {"torch._utils", "_rebuild_tensor_v2"}, {NULL}};

static void read_pickle(cover_context *context, const uint8_t *data, size_t size) {
    struct arena arena = {.context = context};
    struct pickle pickle;
    if (pickle_read(&pickle, &arena, "fuzz", globals, data, size) != COVER_OK && strncmp(cover_error_text(), "fuzz: ", 6) != 0)
        __builtin_trap();
    arena_free(&arena);
}

static void read_tensors(cover_context *context, const uint8_t *data, size_t size) {
    struct tensor_file *file;
    struct weights_name *names;
    int64_t count;
    if (tensor_file_open_memory(&file, context, "fuzz", data, size) != COVER_OK) {
        if (strncmp(cover_error_text(), "fuzz: ", 6) != 0) __builtin_trap();
        return;
    }
    for (int64_t i = 0; i < file->count; i++) {
        const struct tensor_entry *entry = &file->entries[i];
        if (tensor_file_find(file, entry->name) != entry) __builtin_trap();
        float *values = NULL;
        if (entry->elements > 1 << 22 || tensor_load_f32(file, entry, &values) != COVER_OK) continue;
        memory_free(context, values);
    }
    if (tensor_hash_verify(file, NULL) != COVER_OK && !strstr(cover_error_text(), "fuzz")) __builtin_trap();
    cover_config *config;
    if (cover_config_create(&config, context, NULL) != COVER_OK) __builtin_trap();
    if (weights_names(file, &names, &count) == COVER_OK) (void)weights_describe(config, NULL, file);
    cover_config_destroy(config);
    tensor_file_close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static cover_context *context;
    if (!context && cover_context_create(&context, &(cover_context_options){sizeof(cover_context_options), .threads = 1}))
        __builtin_trap();
    read_tensors(context, data, size);
    read_pickle(context, data, size);
    return 0;
}
