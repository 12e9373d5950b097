/* PNG in and out through libpng (ISO/IEC 15948): grey, RGB, palette, alpha, 1 to 16 bits, interlaced.
 * Alpha and transparent colours are dropped; gamma, colour profiles and text are not even parsed.
 * The reader is a row of image_formats; png_encode() serves the report and the previews,
 * write_label() prediction. */
#include "image.h"

#include "core/base/files.h"
#include "core/base/memory.h"
#include "io/bytes/inflate.h"

#include <png.h>
#include <string.h>

/* What libpng's callbacks need: where they read or write, and what went wrong. */
struct png_job {
    cover_context *context;
    png_structp png;
    png_infop info;
    cover_status status;
    const struct image_source *source; /* reading: `at` is the next byte */
    size_t at;
    uint8_t *written; /* writing: `at` bytes of `capacity` are used */
    size_t capacity;
};

static void *png_allocate(png_structp png, png_alloc_size_t bytes) {
    struct png_job *job = png_get_mem_ptr(png);
    void *memory = job->source ? memory_within(job->context, bytes) : memory_alloc(job->context, bytes);
    if (!memory) job->status = COVER_ERROR_MEMORY;
    return memory;
}

static void png_release(png_structp png, void *memory) {
    struct png_job *job = png_get_mem_ptr(png);
    memory_free(job->context, memory);
}

/* The first failure is the one that explains; when the allocator refused, its text stands already. */
static void on_error(png_structp png, png_const_charp text) {
    struct png_job *job = png_get_error_ptr(png);
    if (job->status == COVER_OK) job->status = fail(COVER_ERROR_FORMAT, "damaged PNG: %s", text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) { (void)png, (void)text; }

static void read_bytes(png_structp png, png_bytep to, size_t bytes) {
    struct png_job *job = png_get_io_ptr(png);
    if (bytes > job->source->count - job->at) {
        job->status = fail(COVER_ERROR_FORMAT, "truncated PNG: the file ends after %zu bytes", job->source->count);
        png_error(png, "truncated");
    }
    memcpy(to, job->source->bytes + job->at, bytes);
    job->at += bytes;
}

static bool detect(const uint8_t *head, size_t bytes) { return bytes >= 8 && png_sig_cmp(head, 0, 8) == 0; }

/* Rows of the whole image, all passes of an interlaced one. */
static void read_rows(struct png_job *job, uint8_t *rows, size_t row_bytes) {
    int passes = png_set_interlace_handling(job->png);
    png_uint_32 height = png_get_image_height(job->png, job->info);
    for (int pass = 0; pass < passes; pass++)
        for (png_uint_32 y = 0; y < height; y++) png_read_row(job->png, rows + y * row_bytes, NULL);
}

static bool palette_is_grey(const png_color *palette, int entries) {
    for (int i = 0; i < entries; i++)
        if (palette[i].red != palette[i].green || palette[i].red != palette[i].blue) return false;
    return true;
}

/* Replace indices by colours.  The indices lie in the last bytes of `pixels`, so that going forwards a colour never
 * overwrites an index that is still to be read. */
static cover_status resolve_palette(uint8_t *pixels, size_t count, int channels, const png_color *palette, int entries) {
    const uint8_t *indices = pixels + (size_t)(channels - 1) * count;
    for (size_t i = 0; i < count; i++) {
        int index = indices[i];
        if (index >= entries)
            return fail(COVER_ERROR_FORMAT, "damaged PNG: pixel %zu has colour %d of a palette of %d", i, index, entries);
        const png_color colour = palette[index];
        uint8_t *to = pixels + i * (size_t)channels;
        to[0] = colour.red;
        if (channels == 3) to[1] = colour.green, to[2] = colour.blue;
    }
    return COVER_OK;
}

/* PNG is big-endian. */
static bool native_is_little(void) {
    const uint16_t one = 1;
    return *(const uint8_t *)&one == 1;
}

/* libpng made no job: there was no memory, whose refusal has set the text, or it is another version than that of its header. */
static cover_status not_started(const struct png_job *job) {
    return job->status != COVER_OK ? job->status : fail(COVER_ERROR_INTERNAL, "libpng could not start");
}

/* Everything that may leave by longjmp; the caller releases. */
static cover_status decode(struct png_job *job, struct image *image) {
    png_structp png = job->png;
    png_infop info = job->info;
    if (setjmp(png_jmpbuf(png))) return job->status;

    png_set_read_fn(png, job, read_bytes);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1); /* all but IHDR PLTE tRNS IDAT IEND */
    png_read_info(png, info);

    png_uint_32 width = png_get_image_width(png, info), height = png_get_image_height(png, info);
    uint64_t stored = (png_get_rowbytes(png, info) + (uint64_t)1) * height;
    if (stored / DEFLATE_RATIO > job->source->count)
        return fail(COVER_ERROR_FORMAT, "IHDR says %u x %u pixels, which %zu bytes cannot hold; the file is damaged",
                    (unsigned)width, (unsigned)height, job->source->count);

    int bits = png_get_bit_depth(png, info), kind = png_get_color_type(png, info);
    png_colorp palette = NULL;
    int entries = 0;
    if (kind == PNG_COLOR_TYPE_PALETTE) {
        if (!png_get_PLTE(png, info, &palette, &entries)) return fail(COVER_ERROR_FORMAT, "damaged PNG: no palette");
        png_set_packing(png);
        image->channels = job->source->indices || palette_is_grey(palette, entries) ? 1 : 3;
    } else {
        png_set_expand_gray_1_2_4_to_8(png);
        png_set_strip_alpha(png);
        image->channels = kind & PNG_COLOR_MASK_COLOR ? 3 : 1;
    }
    if (bits == 16 && native_is_little()) png_set_swap(png);
    image->dtype = bits == 16 ? COVER_U16 : COVER_U8;
    image->size[0] = 1, image->size[1] = height, image->size[2] = width;

    size_t bytes;
    TRY(image_allocate(image, job->source, &bytes));
    uint8_t *pixels = image->data;
    size_t count = (size_t)width * height;
    if (palette) {
        read_rows(job, pixels + (size_t)(image->channels - 1) * count, width);
        if (!job->source->indices) TRY(resolve_palette(pixels, count, image->channels, palette, entries));
    } else {
        read_rows(job, pixels, bytes / height);
    }
    png_read_end(png, NULL); /* a file that ends before IEND is truncated */
    return COVER_OK;
}

static cover_status read_png(struct image *image, const struct image_source *source) {
    struct png_job job = {.context = source->context, .source = source};
    job.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning, &job, png_allocate, png_release);
    job.info = job.png ? png_create_info_struct(job.png) : NULL;
    cover_status status = job.info ? decode(&job, image) : not_started(&job);
    png_destroy_read_struct(&job.png, &job.info, NULL);
    if (status != COVER_OK) image_free(image, source->context);
    return status;
}

static void write_bytes(png_structp png, png_bytep from, size_t bytes) {
    struct png_job *job = png_get_io_ptr(png);
    if (bytes > job->capacity - job->at) {
        size_t capacity = 2 * (job->capacity + bytes);
        uint8_t *larger = png_malloc(png, capacity); /* through our allocator; leaves by longjmp when refused */
        if (job->at) memcpy(larger, job->written, job->at);
        memory_free(job->context, job->written);
        job->written = larger, job->capacity = capacity;
    }
    memcpy(job->written + job->at, from, bytes);
    job->at += bytes;
}

static void flush_bytes(png_structp png) { (void)png; }

static cover_status encode(struct png_job *job, const uint8_t *pixels, int64_t height, int64_t width, int channels, int bits) {
    png_structp png = job->png;
    if (setjmp(png_jmpbuf(png))) return job->status;
    png_set_write_fn(png, job, write_bytes, flush_bytes);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_IHDR(png, job->info, (png_uint_32)width, (png_uint_32)height, bits,
                 channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, job->info);
    if (bits == 16 && native_is_little()) png_set_swap(png);
    for (int64_t y = 0; y < height; y++) png_write_row(png, pixels + y * width * channels * (bits / 8));
    png_write_end(png, job->info);
    return COVER_OK;
}

static cover_status encode_all(cover_context *context, uint8_t **bytes, size_t *count, const uint8_t *pixels, int64_t height,
                               int64_t width, int channels, int bits) {
    if (height < 1 || width < 1 || height > PNG_UINT_31_MAX || width > PNG_UINT_31_MAX / 3)
        return fail(COVER_ERROR_SHAPE, "png: %lld x %lld pixels cannot be written", (long long)height, (long long)width);
    struct png_job job = {.context = context};
    job.png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning, &job, png_allocate, png_release);
    job.info = job.png ? png_create_info_struct(job.png) : NULL;
    cover_status status = job.info ? encode(&job, pixels, height, width, channels, bits) : not_started(&job);
    png_destroy_write_struct(&job.png, &job.info);
    if (status != COVER_OK) {
        memory_free(context, job.written);
        return status;
    }
    *bytes = job.written, *count = job.at;
    return COVER_OK;
}

cover_status png_encode(cover_context *context, uint8_t **bytes, size_t *count, const uint8_t *pixels, int64_t height,
                        int64_t width, int channels) {
    if (channels != 1 && channels != 3) return fail(COVER_ERROR_ARGUMENT, "png: %d channels; 1 or 3 are written", channels);
    return encode_all(context, bytes, count, pixels, height, width, channels, 8);
}

/* Classes as grey values, 8 or 16 bits. */
static cover_status write_label(cover_context *context, const char *path, const struct image *label, const char *like) {
    uint8_t *bytes;
    size_t count;
    (void)like; /* a PNG has no geometry */
    if (label->size[0] > 1)
        return fail(COVER_ERROR_SHAPE, "%s: PNG holds no volume of %lld slices; use .nii.gz", path, (long long)label->size[0]);
    TRY(encode_all(context, &bytes, &count, label->data, label->size[1], label->size[2], 1, label->dtype == COVER_U8 ? 8 : 16));
    cover_status status = file_replace(context, path, bytes, count);
    memory_free(context, bytes);
    return status;
}

const struct image_format png_format = {
    .name = "PNG", .extensions = ".png", .detect = detect, .read = read_png, .write_label = write_label};
