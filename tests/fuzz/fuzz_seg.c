/* DICOM Segmentations (docs/dicom.md, R48): whatever the bytes, labels of a volume that is known, of its size and of the object's segments,
 * or an error.  The volume is that of tests/fuzz/corpus/seg: 2 slices of 4 x 4 pixels. */
#include "fuzz.h"

#include "io/dicom/seg_read.h"

enum { SLICES = 2, SIDE = 4 };

/* What the corpus was made of. */
static void add_slice(cover_dicom *set, int d) {
    static const uint8_t pixels[SIDE * SIDE];
    struct dicom_put put;
    struct source source;
    uint8_t bytes[4096];
    const double position[3] = {0, 0, 2.0 * d};
    char uid[16];
    snprintf(uid, sizeof uid, "1.2.%d", d + 1);
    put_begin(&put, set->context, "1.2.840.10008.5.1.4.1.1.2", uid);
    put_text(&put, TAG_SOP_CLASS, "UI", "1.2.840.10008.5.1.4.1.1.2");
    put_text(&put, TAG_SOP_INSTANCE, "UI", uid);
    put_text(&put, TAG_MODALITY, "CS", "CT");
    put_decimals(&put, TAG_POSITION, position, 3);
    put_decimals(&put, TAG_ORIENTATION, (double[]){1, 0, 0, 0, 1, 0}, 6);
    put_text(&put, TAG_FRAME_OF_REFERENCE, "UI", "1.3");
    put_short(&put, TAG_SAMPLES, 1);
    put_text(&put, TAG_PHOTOMETRIC, "CS", "MONOCHROME2");
    put_short(&put, TAG_ROWS, SIDE);
    put_short(&put, TAG_COLUMNS, SIDE);
    put_decimals(&put, TAG_PIXEL_SPACING, (double[]){1, 1}, 2);
    put_short(&put, TAG_BITS_ALLOCATED, 8);
    put_short(&put, TAG_BITS_STORED, 8);
    put_short(&put, TAG_HIGH_BIT, 7);
    put_short(&put, TAG_REPRESENTATION, 0);
    put_pixels(&put, "OB", pixels, sizeof pixels);
    require(put_end_object(&put) == COVER_OK, "a slice");
    put_as_source(&put, &source);
    require(source.bytes <= sizeof bytes && source_read(&source, 0, bytes, source.bytes) == COVER_OK, "its bytes");
    require(cover_dicom_add_bytes(set, bytes, source.bytes, 0) == COVER_OK, "slices are read");
    put_free(&put);
}

static cover_dicom *volume_of(cover_context *context) {
    static cover_dicom *set;
    int count;
    if (set) return set;
    require(cover_dicom_create(&set, context, NULL) == COVER_OK, "a set");
    for (int d = 0; d < SLICES; d++) add_slice(set, d);
    require(cover_dicom_volumes(set, &count) == COVER_OK && count == 1 && !set->volumes[0].refusal, "one volume");
    return set;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cover_context *context = fuzz_context();
    const cover_dicom *set = volume_of(context);
    struct dicom_object object = {.tree.context = context, .source = source_memory("", data, size)};
    struct dicom_seg seg = {.context = context};
    void *labels = NULL;
    cover_dtype dtype;
    cover_status status = dicom_object_read(&object, context);
    if (status == COVER_OK) (void)dicom_seg_is_of(&object, &set->volumes[0]);
    if (status == COVER_OK) status = dicom_seg_open(&seg, context, &object);
    if (status == COVER_OK) status = dicom_seg_labels(&labels, &dtype, &seg, set, 0);
    for (int i = 0; status == COVER_OK && i < SLICES * SIDE * SIDE; i++)
        require((dtype == COVER_U8 ? ((uint8_t *)labels)[i] : ((uint16_t *)labels)[i]) <= seg.segment_count,
                "a label of a segment");
    memory_free(context, labels);
    dicom_seg_close(&seg);
    dicom_object_free(&object);
    return 0;
}
