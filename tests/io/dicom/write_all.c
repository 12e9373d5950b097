/* Every object that can leave, of a series, for oracles to look at: SEG of each type, a report and a secondary capture.
 * usage: dicom_write_all STUDY OUT HIGH LOW     class 1 is above HIGH, class 2 below LOW; OUT/label.raw is the label map, a byte a voxel
 * Called by test_dicom_oracles.py. */
#include <libcover/cover.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(call)                                                                                                                 \
    if ((call) != COVER_OK) return fprintf(stderr, "%s\n", cover_error_text()), 1

static int put(void *user, const void *bytes, size_t count) { return fwrite(bytes, 1, count, user) != count; }

typedef cover_status writer(const cover_dicom *set, int index, const cover_tensor *label, const cover_seg_options *options,
                            cover_write_fn *write, void *user);
static const struct {
    const char *name, *type;
    writer *write;
} objects[] = {{"binary", "binary", cover_dicom_write_seg},
               {"labelmap", "labelmap", cover_dicom_write_seg},
               {"fractional", "fractional", cover_dicom_write_seg},
               {"report", "binary", cover_dicom_write_sr},
               {"capture", "binary", cover_dicom_write_sc}};

static FILE *create(const char *folder, const char *name, const char *ending) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s%s", folder, name, ending);
    FILE *file = fopen(path, "wb");
    if (!file) perror(path);
    return file;
}

int main(int count, char **words) {
    static const char *const classes[] = {"background", "mass", "left lung"};
    cover_context *context;
    cover_dicom_options tilted = COVER_DICOM_OPTIONS_INIT;
    cover_dicom *set;
    cover_tensor *image, *values, *label, *scores;
    int volumes;
    if (count != 5) return fprintf(stderr, "usage: dicom_write_all STUDY OUT HIGH LOW\n"), 2;
    const float high = (float)atof(words[3]), low = (float)atof(words[4]);
    MUST(cover_context_create(&context, NULL));
    tilted.tilt = "resample";
    MUST(cover_dicom_create(&set, context, &tilted));
    MUST(cover_dicom_add_path(set, words[1]));
    MUST(cover_dicom_volumes(set, &volumes));
    MUST(cover_dicom_read(set, 0, &image, NULL, NULL));
    const int rank = cover_tensor_rank(image);
    const int64_t *size = cover_tensor_shape(image), channels = rank == 4 ? size[3] : 1;
    const int64_t voxels = size[0] * size[1] * size[2], shape[4] = {3, size[0], size[1], size[2]};
    MUST(cover_tensor_create(&values, context, COVER_F32, rank, size));
    MUST(cover_tensor_copy(values, image));
    MUST(cover_tensor_create(&label, context, COVER_U8, 3, shape + 1));
    MUST(cover_tensor_create(&scores, context, COVER_F32, 4, shape));
    const float *x = cover_tensor_data_const(values);
    uint8_t *map = cover_tensor_data(label);
    float *p = cover_tensor_data(scores);
    for (int64_t i = 0; i < voxels; i++) {
        const float value = x[i * channels];
        map[i] = value > high ? 1 : value < low ? 2 : 0;
        for (int k = 1; k < 3; k++) p[k * voxels + i] = map[i] == k ? 1.0f / (float)(k + 1) : 0;
        p[i] = 1 - p[voxels + i] - p[2 * voxels + i];
    }
    FILE *file = create(words[2], "label", ".raw");
    if (!file || fwrite(map, 1, (size_t)voxels, file) != (size_t)voxels || fclose(file) != 0) return 1;
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        cover_seg_options options = COVER_SEG_OPTIONS_INIT;
        options.type = objects[i].type;
        options.class_names = classes, options.classes = 3;
        options.task = "phantom", options.time = "2026-11-30T12:00:00+01:00";
        options.weights_sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        file = create(words[2], objects[i].name, ".dcm");
        if (!file) return 1;
        const cover_status status =
            objects[i].write(set, 0, strcmp(objects[i].type, "fractional") == 0 ? scores : label, &options, put, file);
        if (status != COVER_OK) printf("%s: %s\n", objects[i].name, cover_error_text());
        fclose(file);
    }
    cover_tensor_destroy(image);
    cover_tensor_destroy(values);
    cover_tensor_destroy(label);
    cover_tensor_destroy(scores);
    cover_dicom_destroy(set);
    cover_context_destroy(context);
    return 0;
}
