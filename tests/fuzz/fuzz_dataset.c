/* Datasets whose bytes were changed and which were sealed again, as somebody with bad intent would do it: values that can all be read, or an
 * error that names the file; `check` tells what it finds and opens nothing else. */
#include "fuzz.h"

#include "io/bytes/seal.h"
#include "io/dataset/dataset_format.h"

#include <libcover/dataset.h>

/* The hashes of the tables' pages, in the directory, so that a change in a table is not the first thing that is seen. */
static void seal_pages(uint8_t *file, const struct seal *seal, uint64_t size) {
    struct dataset_directory directory;
    if (dataset_directory_decode(&directory, file + seal->begin, seal->bytes, size, "fuzz") != COVER_OK) return;
    uint8_t *hash = file + seal->begin + DATASET_HEAD_BYTES + directory.about_bytes;
    const struct {
        uint64_t at, bytes;
    } tables[2] = {{directory.rows_offset, (uint64_t)directory.samples * DATASET_ROW_BYTES},
                   {directory.names_offset, directory.names_bytes}};
    for (int t = 0; t < 2; t++)
        for (uint64_t at = 0; at < tables[t].bytes; at += DATASET_PAGE_BYTES, hash += SHA256_BYTES) {
            const uint64_t left = tables[t].bytes - at;
            sha256(file + tables[t].at + at, left < DATASET_PAGE_BYTES ? left : DATASET_PAGE_BYTES, hash);
        }
}

static bool seal_again(uint8_t *file, size_t size) {
    struct seal seal = {.major = 1, .minor = 1, .file_bytes = size, .format = "dataset"};
    memcpy(&seal.begin, file + 40, sizeof seal.begin), memcpy(&seal.bytes, file + 48, sizeof seal.bytes);
    if (seal.begin < SEAL_BYTES || seal.begin > size || seal.bytes > size - seal.begin) return false;
    seal_pages(file, &seal, size);
    sha256(file + seal.begin, seal.bytes, seal.hash);
    seal_encode(file, &seal);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cover_context *context = fuzz_context();
    cover_dataset *dataset;
    char *report;
    uint8_t *file = malloc(size);
    if (size < SEAL_BYTES || !file) return free(file), 0;
    memcpy(file, data, size);
    const bool sealed = seal_again(file, size);
    const char *path = fuzz_put("a.h5", file, size);
    free(file);
    if (!sealed) return 0;
    if (cover_file_check(&report, context, path) == COVER_OK) cover_text_release(context, report);
    if (cover_dataset_open(&dataset, context, path) != COVER_OK)
        return require(strstr(cover_error_text(), "a.h5") != NULL, "text"), 0;
    cover_dataset_info info = COVER_DATASET_INFO_INIT;
    require(cover_dataset_get_info(&info, dataset) == COVER_OK, "its info");
    for (int c = -1; c <= info.classes && c < 20; c++) (void)cover_dataset_class_name(dataset, c);
    for (int64_t i = 0; i < info.samples && i < 16; i++) {
        cover_sample_info sample = COVER_SAMPLE_INFO_INIT;
        cover_tensor *tensor;
        if (cover_dataset_sample(&sample, dataset, i) == COVER_OK)
            require(strlen(sample.name) + strlen(sample.patient) < 10000, "a name");
        if (cover_dataset_read(&tensor, dataset, i) == COVER_OK) cover_tensor_destroy(tensor);
        if (cover_dataset_read_label(&tensor, dataset, i) == COVER_OK) cover_tensor_destroy(tensor);
    }
    cover_dataset_destroy(dataset);
    return 0;
}
