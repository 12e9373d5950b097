/* Sets of DICOM objects: whatever the bytes, volumes with as many values as they say, labels as many as their volume has, or an error that
 * names nobody.  The input is one object or several, with a mark between; the first is tried as a DICOMDIR, too. */
#include "fuzz.h"

#include "io/dicom/dicomdir.h"
#include "io/dicom/seg_read.h"

static const char mark[] = "\nNEXT OBJECT\n";
enum { MOST_OBJECTS = 8, MOST_VALUES = 1 << 20 };

static void read_volume(cover_dicom *set, int index) {
    cover_dicom_volume_info info = COVER_DICOM_VOLUME_INFO_INIT;
    cover_tensor *image;
    require(cover_dicom_volume(set, index, &info) == COVER_OK, "a volume that is there");
    int64_t values = info.channels;
    for (int a = 0; a < 3; a++)
        if (!multiply(values, info.size[a], &values)) return;
    if (values > MOST_VALUES || cover_dicom_read(set, index, &image, NULL, NULL) != COVER_OK) return;
    require(!info.refusal, "a volume that is refused was read");
    int64_t read = 1;
    for (int i = 0; i < cover_tensor_rank(image); i++) read *= cover_tensor_shape(image)[i];
    require(read == values, "as many values as it says");
    cover_tensor_destroy(image);
}

static void read_labels(cover_dicom *set, const struct dicom_object *object, int volumes) {
    struct dicom_seg seg;
    cover_dtype dtype;
    void *labels;
    if (dicom_seg_open(&seg, set->context, object) == COVER_OK)
        for (int v = 0; v < volumes && v < 2; v++)
            if (!set->volumes[v].refusal && dicom_seg_labels(&labels, &dtype, &seg, set, v) == COVER_OK)
                memory_free(set->context, labels);
    dicom_seg_close(&seg);
}

static cover_status take(void *user, const char *path) {
    ++*(int *)user;
    require(strncmp(path, "/nowhere/", 9) == 0 && !strstr(path, "/../"), "a file outside of the folder");
    return COVER_OK;
}

static bool names_nobody(const char *text) { return !strstr(text, "CANARY") && !strstr(text, "19010203"); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cover_context *context = fuzz_context();
    cover_dicom *set;
    char *report;
    int volumes = 0, files = 0;
    require(cover_dicom_create(&set, context, NULL) == COVER_OK, "a set");
    const uint8_t *from = data, *end = data + size;
    for (int objects = 0; from && objects < MOST_OBJECTS; objects++) {
        const uint8_t *next = memmem(from, (size_t)(end - from), mark, sizeof mark - 1);
        const size_t bytes = (size_t)((next ? next : end) - from);
        uint8_t *exact = malloc(bytes ? bytes : 1); /* so that a sanitizer sees what is read behind it */
        require(exact != NULL, "memory");
        memcpy(exact, from, bytes);
        if (cover_dicom_add_bytes(set, exact, bytes, 0) != COVER_OK)
            require(names_nobody(cover_error_text()), "an error that names nobody");
        if (objects == 0) {
            const struct source source = source_memory("", exact, bytes);
            (void)dicomdir_read(context, &source, "/nowhere", take, &files);
        }
        free(exact);
        from = next ? next + sizeof mark - 1 : NULL;
    }
    if (cover_dicom_volumes(set, &volumes) == COVER_OK) {
        for (int v = 0; v < volumes && v < 4; v++) read_volume(set, v);
        for (int64_t i = 0; i < set->count; i++)
            if (set->objects[i]->kind == DICOM_SEGMENTATION) read_labels(set, set->objects[i], volumes);
        require(cover_dicom_report(set, &report) == COVER_OK, "a report");
        require(names_nobody(report), "a report that names nobody");
        cover_text_release(context, report);
    }
    cover_dicom_destroy(set);
    return 0;
}
