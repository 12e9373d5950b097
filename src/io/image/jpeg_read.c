/* See jpeg_read.h.  Damage that libjpeg only warns about is an error here: half a radiograph is not a training image. */
#include "jpeg_read.h"

#include "core/base/memory.h"

#include <jerror.h>
#include <setjmp.h>

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

/* One row from libjpeg to its place. */
static void read_row(struct jpeg_decompress_struct *jpeg, void *row) {
#ifdef HAVE_JPEG12
    if (jpeg->data_precision == 12) {
        J12SAMPROW samples = row;
        jpeg12_read_scanlines(jpeg, &samples, 1);
        return;
    }
#endif
    JSAMPROW samples = row;
    jpeg_read_scanlines(jpeg, &samples, 1);
}

/* Everything that may leave by longjmp; the caller releases. */
static cover_status decode(struct jpeg_job *job, cover_context *context, const uint8_t *bytes, size_t count, uint64_t limit_bytes,
                           jpeg_place_fn *place, void *user) {
    struct jpeg_decompress_struct *jpeg = &job->jpeg;
    if (setjmp(job->leave)) return job->status;

    jpeg_create_decompress(jpeg);
    jpeg->progress = &job->progress;
    jpeg->mem->max_memory_to_use = limit_bytes < INT64_MAX ? (long)limit_bytes : INT64_MAX;
    jpeg_mem_src(jpeg, bytes, count);
    jpeg_read_header(jpeg, TRUE);
    if ((uint64_t)jpeg->image_width * jpeg->image_height / JPEG_PIXELS_A_BYTE > count)
        return fail(COVER_ERROR_FORMAT, "the frame header says %u x %u pixels, which %zu bytes cannot hold", jpeg->image_width,
                    jpeg->image_height, count);
    void *pixels = NULL;
    size_t row_bytes = 0;
    TRY(place(user, jpeg, &pixels, &row_bytes));

    TRY(reserve(job, context));
    jpeg_start_decompress(jpeg);
    const size_t sample = jpeg->data_precision > 8 ? 2 : 1;
    if (sample * jpeg->output_width * (size_t)jpeg->output_components != row_bytes || jpeg->output_height != jpeg->image_height)
        return fail(COVER_ERROR_INTERNAL, "libjpeg decodes another size than the header says");
    while (jpeg->output_scanline < jpeg->output_height) read_row(jpeg, (uint8_t *)pixels + jpeg->output_scanline * row_bytes);
    jpeg_finish_decompress(jpeg); /* reads on to the end marker: without it the file is truncated */
    return COVER_OK;
}

cover_status jpeg_read(cover_context *context, const uint8_t *bytes, size_t count, uint64_t limit_bytes, jpeg_place_fn *place,
                       void *user) {
    struct jpeg_job job = {.progress.progress_monitor = on_progress};
    job.jpeg.err = jpeg_std_error(&job.errors);
    job.jpeg.client_data = &job;
    job.errors.error_exit = on_error;
    job.errors.emit_message = on_message;
    job.errors.output_message = on_output;
    cover_status status = decode(&job, context, bytes, count, limit_bytes, place, user);
    jpeg_destroy_decompress(&job.jpeg);
    memory_unreserve(context, job.reserved);
    return status;
}
