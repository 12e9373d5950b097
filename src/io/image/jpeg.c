/* JPEG through libjpeg-turbo (ITU-T T.81): baseline and progressive, grey and colour, 8 bits.
 * Damage that libjpeg only warns about is an error here: half a radiograph is not a training image.  The orientation
 * that a camera may note beside the pixels (Exif) is not applied.  A row of image_formats. */
#include "image.h"

#include "core/base/memory.h"

#include <stdio.h> /* jpeglib.h needs it */

#include <jerror.h>
#include <jpeglib.h>
#include <setjmp.h>

/* No bit stream codes more pixels a byte: at least one bit for a block of luma, chroma sampled at most 4 x 4. */
enum { PIXELS_A_BYTE = 4096 };
/* Real progressive files have about ten scans; each costs a pass over the whole image, so thousands are an attack. */
enum { MOST_SCANS = 500 };

struct jpeg_job {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf leave;
    cover_status status;
    uint64_t reserved; /* in the context's account, for libjpeg */
};

/* libjpeg's errors that do not mean damage. */
static const struct {
    int code;
    cover_status status;
} statuses[] = {
    {JERR_OUT_OF_MEMORY, COVER_ERROR_MEMORY},           {JERR_NO_BACKING_STORE, COVER_ERROR_MEMORY},
    {JERR_BAD_PRECISION, COVER_ERROR_UNSUPPORTED},      {JERR_SOF_UNSUPPORTED, COVER_ERROR_UNSUPPORTED},
    {JERR_ARITH_NOTIMPL, COVER_ERROR_UNSUPPORTED},      {JERR_NOTIMPL, COVER_ERROR_UNSUPPORTED},
    {JERR_CONVERSION_NOTIMPL, COVER_ERROR_UNSUPPORTED}, {JERR_NOT_COMPILED, COVER_ERROR_UNSUPPORTED},
};

static cover_status status_of(int code) {
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].code == code) return statuses[i].status;
    return COVER_ERROR_FORMAT;
}

static void on_error(j_common_ptr common) {
    struct jpeg_job *job = common->client_data;
    char text[JMSG_LENGTH_MAX];
    common->err->format_message(common, text);
    job->status = status_of(common->err->msg_code);
    fail(job->status, "%s: %s", job->status == COVER_ERROR_FORMAT ? "damaged JPEG" : "JPEG", text);
    longjmp(job->leave, 1);
}

/* Warnings (level < 0) that say nothing about the pixels pass. */
static void on_message(j_common_ptr common, int level) {
    int code = common->err->msg_code;
    bool harmless = code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR;
    if (level < 0 && !harmless) on_error(common);
}

static void on_output(j_common_ptr common) { (void)common; }

static void on_progress(j_common_ptr common) {
    struct jpeg_job *job = common->client_data;
    if (job->jpeg.input_scan_number <= MOST_SCANS) return;
    job->status = fail(COVER_ERROR_FORMAT, "damaged JPEG: more than %d scans", MOST_SCANS);
    longjmp(job->leave, 1);
}

static bool detect(const uint8_t *head, size_t bytes) {
    return bytes >= 3 && head[0] == 0xff && head[1] == 0xd8 && head[2] == 0xff;
}

static cover_status set_colours(struct jpeg_decompress_struct *jpeg, struct image *image) {
    switch (jpeg->jpeg_color_space) {
    case JCS_GRAYSCALE:
        jpeg->out_color_space = JCS_GRAYSCALE, image->channels = 1;
        return COVER_OK;
    case JCS_YCbCr:
    case JCS_RGB:
        jpeg->out_color_space = JCS_RGB, image->channels = 3;
        return COVER_OK;
    case JCS_CMYK:
    case JCS_YCCK:
        return fail(COVER_ERROR_UNSUPPORTED, "a CMYK (print) JPEG; convert it to grey or RGB");
    default:
        return fail(COVER_ERROR_UNSUPPORTED, "a JPEG of %d components; convert it to grey or RGB", jpeg->num_components);
    }
}

/* What libjpeg takes for itself is counted before it does: of scans that follow each other all coefficients, else some rows. */
static cover_status reserve(struct jpeg_job *job, cover_context *context) {
    struct jpeg_decompress_struct *jpeg = &job->jpeg;
    uint64_t bytes = 0;
    for (int c = 0; c < jpeg->num_components; c++) {
        const jpeg_component_info *component = &jpeg->comp_info[c];
        const uint64_t rows = jpeg_has_multiple_scans(jpeg) ? component->height_in_blocks : 4 * (uint64_t)component->v_samp_factor;
        bytes += rows * component->width_in_blocks * DCTSIZE2 * sizeof(JCOEF);
    }
    TRY(memory_reserve(context, bytes));
    job->reserved = bytes;
    return COVER_OK;
}

/* Everything that may leave by longjmp; the caller releases. */
static cover_status decode(struct jpeg_job *job, struct image *image, const struct image_source *source) {
    struct jpeg_decompress_struct *jpeg = &job->jpeg;
    if (setjmp(job->leave)) return job->status;

    jpeg_create_decompress(jpeg);
    jpeg->progress = &job->progress;
    jpeg->mem->max_memory_to_use = source->limit_bytes < INT64_MAX ? (long)source->limit_bytes : INT64_MAX;
    jpeg_mem_src(jpeg, source->bytes, source->count);
    jpeg_read_header(jpeg, TRUE);
    TRY(set_colours(jpeg, image));
    if ((uint64_t)jpeg->image_width * jpeg->image_height / PIXELS_A_BYTE > source->count)
        return fail(COVER_ERROR_FORMAT, "the frame header says %u x %u pixels, which %zu bytes cannot hold", jpeg->image_width,
                    jpeg->image_height, source->count);
    image->dtype = COVER_U8, image->lossy = true;
    image->size[0] = 1, image->size[1] = jpeg->image_height, image->size[2] = jpeg->image_width;
    size_t bytes;
    TRY(image_allocate(image, source, &bytes));

    TRY(reserve(job, source->context));
    jpeg_start_decompress(jpeg);
    JSAMPLE *pixels = image->data;
    size_t row_bytes = bytes / jpeg->image_height;
    if (jpeg->output_width * (size_t)jpeg->output_components != row_bytes || jpeg->output_height != jpeg->image_height)
        return fail(COVER_ERROR_INTERNAL, "libjpeg decodes another size than the header says");
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = pixels + jpeg->output_scanline * row_bytes;
        jpeg_read_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_decompress(jpeg); /* reads on to the end marker: without it the file is truncated */
    return COVER_OK;
}

static cover_status read_jpeg(struct image *image, const struct image_source *source) {
    struct jpeg_job job = {.progress.progress_monitor = on_progress};
    job.jpeg.err = jpeg_std_error(&job.errors);
    job.jpeg.client_data = &job;
    job.errors.error_exit = on_error;
    job.errors.emit_message = on_message;
    job.errors.output_message = on_output;
    cover_status status = decode(&job, image, source);
    jpeg_destroy_decompress(&job.jpeg);
    memory_unreserve(source->context, job.reserved);
    if (status != COVER_OK) image_free(image, source->context);
    return status;
}

const struct image_format jpeg_format = {.name = "JPEG", .extensions = ".jpg .jpeg", .detect = detect, .read = read_jpeg};
