/* The table of image formats and what all of them share: which reader takes a file, the limits on size and memory.
 * Called by pack, predict and match; the readers (png.c, jpeg.c, tiff.c, nifti.c) call image_allocate(). */
#include "image.h"
#include "io/bytes/source.h"

#include "core/base/files.h"
#include "core/base/memory.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Of one image where the context has no limit and the machine has more. */
static const uint64_t DEFAULT_LIMIT = (uint64_t)16 << 30;
/* A file may be larger than its pixels by headers, padding and incompressible parts. */
static const uint64_t FILE_SLACK = (uint64_t)64 << 20;
/* Enough of a file for any header that is read alone. */
enum { HEAD_BYTES = 1 << 14 };
/* So that any product of a size with a few small factors fits int64_t. */
static const int64_t LARGEST_SIZE = (int64_t)1 << 40;

const struct image_format *const image_formats[] = {&png_format, &jpeg_format, &tiff_format, &nifti_format, NULL};

/* The end of path that is one of the extensions, which are separated by single spaces; NULL when none is. */
static const char *find_extension(const char *extensions, const char *path) {
    char extension[16];
    for (const char *from = extensions; *from;) {
        size_t length = strcspn(from, " ");
        snprintf(extension, sizeof extension, "%.*s", (int)length, from);
        /* ".png" alone is a hidden file without a name, not an image */
        if (has_suffix(path, extension) && strlen(path_name(path)) > length) return path + strlen(path) - length;
        from += length;
        if (*from) from++;
    }
    return NULL;
}

const struct image_format *image_format_of(const char *path) {
    for (int i = 0; image_formats[i]; i++)
        if (find_extension(image_formats[i]->extensions, path)) return image_formats[i];
    return NULL;
}

const char *image_extension(const char *path) {
    const struct image_format *format = image_format_of(path);
    return format ? find_extension(format->extensions, path) : path + strlen(path);
}

cover_status label_write(cover_context *context, const char *path, const struct image *label, const char *like) {
    const struct image_format *format = image_format_of(path);
    if (!format || !format->write_label)
        return fail(COVER_ERROR_UNSUPPORTED, "%s: labels are not written in this format; use .png, .tif, .nii or .nii.gz", path);
    if (label->channels != 1 || (label->dtype != COVER_U8 && label->dtype != COVER_U16))
        return fail(COVER_ERROR_INTERNAL, "%s: a label map is one channel of u8 or u16", path);
    return format->write_label(context, path, label, like);
}

/* What one image may unpack to. */
static uint64_t limit_of(const cover_context *context, uint64_t given) {
    if (given) return given;
    if (context->memory_limit_bytes) return context->memory_limit_bytes;
    const uint64_t left = memory_left(context);
    return left < DEFAULT_LIMIT ? left : DEFAULT_LIMIT;
}

static cover_status unknown_content(const struct image_source *source) {
    struct names known = {0};
    if (source->count >= 132 && memcmp(source->bytes + 128, "DICM", 4) == 0)
        return fail(COVER_ERROR_UNSUPPORTED, "DICOM is taken as a study by pack, predict and match, not as a file here; "
                                             "cover_dicom_write_nifti() makes NIfTI of it");
    for (int i = 0; image_formats[i]; i++) names_add(&known, image_formats[i]->name);
    const struct image_format *named = image_format_of(source->path);
    if (named) return fail(COVER_ERROR_FORMAT, "its name says %s, but its content is not; known are %s", named->name, known.text);
    return fail(COVER_ERROR_UNSUPPORTED, "not an image that is known here (%s); convert it to one of them", known.text);
}

static cover_status decode(struct image *image, const struct image_source *source) {
    if (source->count == 0) return fail(COVER_ERROR_FORMAT, "%s: the file is empty", source->path);
    const struct image_format *format = NULL;
    for (int i = 0; image_formats[i] && !format; i++)
        if (image_formats[i]->detect(source->bytes, source->count)) format = image_formats[i];
    struct image result = {.dims = 2, .channels = 1};
    cover_status status = format ? format->read(&result, source) : unknown_content(source);
    if (status != COVER_OK) return fail_in(status, "%s", source->path);
    *image = result;
    return COVER_OK;
}

cover_status image_decode(struct image *image, cover_context *context, const char *path, const uint8_t *bytes, size_t count,
                          uint64_t limit_bytes) {
    const struct image_source source = {
        .context = context, .path = path, .bytes = bytes, .count = count, .limit_bytes = limit_of(context, limit_bytes)};
    return decode(image, &source);
}

static cover_status read_file(struct image *image, struct image_source *source) {
    uint8_t *bytes;
    const uint64_t limit = source->limit_bytes, most = limit < UINT64_MAX - FILE_SLACK ? limit + FILE_SLACK : UINT64_MAX;
    if (folder_exists(source->path)) return fail(COVER_ERROR_IO, "%s: is a folder, where an image file is needed", source->path);
    struct stat about;
    if (stat(source->path, &about) == 0 && memory_room(source->context, (uint64_t)about.st_size) != COVER_OK)
        return fail_in(COVER_ERROR_MEMORY, "%s", source->path);
    TRY(file_read(source->context, source->path, most, &bytes, &source->count));
    source->bytes = bytes;
    cover_status status = decode(image, source);
    memory_free(source->context, bytes);
    return status;
}

cover_status image_read(struct image *image, cover_context *context, const char *path, uint64_t limit_bytes) {
    struct image_source source = {.context = context, .path = path, .limit_bytes = limit_of(context, limit_bytes)};
    return read_file(image, &source);
}

cover_status image_read_indices(struct image *image, cover_context *context, const char *path) {
    struct image_source source = {.context = context, .path = path, .limit_bytes = limit_of(context, 0), .indices = true};
    return read_file(image, &source);
}

cover_status image_look(struct image *image, cover_context *context, const char *path) {
    uint8_t head[HEAD_BYTES];
    struct source file;
    if (folder_exists(path)) return fail(COVER_ERROR_IO, "%s: is a folder, where an image file is needed", path);
    TRY(source_open(&file, path));
    const size_t count = file.bytes < sizeof head ? (size_t)file.bytes : sizeof head;
    cover_status status = source_read(&file, 0, head, count);
    source_close(&file);
    TRY(status);
    *image = (struct image){.dims = 2, .channels = 1};
    if (!nifti_format.detect(head, count)) {
        TRY(image_read(image, context, path, 0));
        image_free(image, context);
        return COVER_OK;
    }
    const struct image_source source = {
        .context = context, .path = path, .bytes = head, .count = count, .limit_bytes = limit_of(context, 0), .header_only = true};
    status = nifti_format.read(image, &source);
    return status == COVER_OK ? status : fail_in(status, "%s", path);
}

void image_free(struct image *image, cover_context *context) {
    memory_free(context, image->data);
    image->data = NULL;
}

cover_status image_allocate(struct image *image, const struct image_source *source, size_t *bytes) {
    const int64_t *size = image->size;
    int64_t total = (int64_t)cover_dtype_bytes(image->dtype) * image->channels;
    bool fits = true;
    for (int axis = 0; axis < 3; axis++) {
        if (size[axis] < 1 || size[axis] > LARGEST_SIZE)
            return fail(COVER_ERROR_FORMAT, "the size of axis %c is %lld", "DHW"[axis], (long long)size[axis]);
        fits = fits && multiply(total, size[axis], &total);
    }
    if (!fits || (uint64_t)total > source->limit_bytes || (uint64_t)total > SIZE_MAX)
        return fail(COVER_ERROR_MEMORY,
                    "%lld x %lld x %lld (D, H, W) with %d channels of %s would take more than the limit of %llu bytes",
                    (long long)size[0], (long long)size[1], (long long)size[2], image->channels, cover_dtype_name(image->dtype),
                    (unsigned long long)source->limit_bytes);
    image->data = memory_within(source->context, (size_t)total);
    if (!image->data) return COVER_ERROR_MEMORY;
    *bytes = (size_t)total;
    return COVER_OK;
}
