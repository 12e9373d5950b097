/* Label maps as TIFF through libtiff: grey, 8 or 16 bits, a page a slice, deflate where libtiff has it.  Written in memory, then
 * replaced in one move.  The write_label of tiff.c's row. */
#include "core/base/files.h"
#include "core/base/number.h"
#include "tiff_page.h"

#include <stdio.h>
#include <string.h>

/* The file in memory, as libtiff's client, and the first complaint. */
struct client {
    cover_context *context;
    uint8_t *bytes;
    uint64_t count, capacity, at;
    bool refused; /* was memory? */
    char complaint[256];
};

/* libtiff reads back the directories that it links to the next page. */
static tmsize_t client_read(thandle_t handle, void *to, tmsize_t bytes) {
    struct client *client = handle;
    uint64_t left = client->at < client->count ? client->count - client->at : 0;
    size_t got = bytes < 0 ? 0 : (uint64_t)bytes < left ? (size_t)bytes : (size_t)left;
    if (got) memcpy(to, client->bytes + client->at, got);
    client->at += got;
    return (tmsize_t)got;
}

static tmsize_t client_write(thandle_t handle, void *from, tmsize_t bytes) {
    struct client *client = handle;
    uint64_t end = client->at + (uint64_t)bytes;
    if (bytes < 0) return -1;
    if (end > client->capacity) {
        uint64_t capacity = 2 * end + 4096;
        uint8_t *larger = memory_zero(client->context, capacity);
        client->refused = client->refused || !larger;
        if (!larger) return -1;
        if (client->count) memcpy(larger, client->bytes, client->count);
        memory_free(client->context, client->bytes);
        client->bytes = larger, client->capacity = capacity;
    }
    if (bytes) memcpy(client->bytes + client->at, from, (size_t)bytes);
    client->at = end;
    if (end > client->count) client->count = end;
    return bytes;
}

static toff_t client_seek(thandle_t handle, toff_t offset, int whence) {
    struct client *client = handle;
    client->at = offset + (whence == SEEK_CUR ? client->at : whence == SEEK_END ? client->count : 0);
    return client->at;
}

static int client_close(thandle_t handle) { return (void)handle, 0; }
static toff_t client_size(thandle_t handle) { return ((struct client *)handle)->count; }

static int on_error(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
    struct client *client = user;
    (void)tiff, (void)module;
    if (!client->complaint[0]) number_print_list(client->complaint, sizeof client->complaint, format, arguments);
    return 1; /* dealt with: the handlers of the process are not called */
}
static int on_warning(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
    (void)tiff, (void)user, (void)module, (void)format, (void)arguments;
    return 1;
}

static bool write_page(TIFF *tiff, const struct image *label, int64_t page) {
    const uint32_t height = (uint32_t)label->size[1], width = (uint32_t)label->size[2];
    const size_t row_bytes = width * cover_dtype_bytes(label->dtype);
    const char *rows = (const char *)label->data + (size_t)page * height * row_bytes;
    const double *spacing = label->spacing_mm;
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, width);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, height);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, label->dtype == COVER_U8 ? 8 : 16);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION,
                 TIFFIsCODECConfigured(COMPRESSION_ADOBE_DEFLATE) ? COMPRESSION_ADOBE_DEFLATE : COMPRESSION_NONE);
    TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, TIFFDefaultStripSize(tiff, 0));
    if (spacing[1] > 0 && spacing[2] > 0) {
        TIFFSetField(tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_CENTIMETER);
        TIFFSetField(tiff, TIFFTAG_YRESOLUTION, 10 / spacing[1]);
        TIFFSetField(tiff, TIFFTAG_XRESOLUTION, 10 / spacing[2]);
    }
    if (label->size[0] > 1) TIFFSetField(tiff, TIFFTAG_SUBFILETYPE, FILETYPE_PAGE);
    for (uint32_t y = 0; y < height; y++)
        if (TIFFWriteScanline(tiff, (void *)(rows + y * row_bytes), y, 0) < 0) return false;
    return TIFFWriteDirectory(tiff);
}

static cover_status write_pages(struct client *client, const char *path, const struct image *label) {
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) return fail(COVER_ERROR_MEMORY, "%s: out of memory: libtiff could not start", path);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, client);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, client);
    /* BigTIFF where 32 bits of offsets might not do, whatever deflate saves */
    const uint64_t bytes = (uint64_t)(label->size[0] * label->size[1] * label->size[2]) * cover_dtype_bytes(label->dtype);
    TIFF *tiff = TIFFClientOpenExt(path, bytes > UINT32_MAX / 2 ? "w8" : "w", client, client_read, client_write, client_seek,
                                   client_close, client_size, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    bool written = tiff != NULL;
    for (int64_t page = 0; written && page < label->size[0]; page++) written = write_page(tiff, label, page);
    if (tiff) TIFFClose(tiff);
    if (written && !client->complaint[0]) return COVER_OK;
    const bool memory = client->refused || tiff_speaks_of_memory(client->complaint);
    return fail(memory ? COVER_ERROR_MEMORY : COVER_ERROR_INTERNAL, "%s: %s%s", path, memory ? "out of memory: " : "",
                client->complaint[0] ? client->complaint : "libtiff gives no reason");
}

cover_status tiff_write_label(cover_context *context, const char *path, const struct image *label, const char *like) {
    struct client client = {.context = context};
    (void)like; /* the label has all that TIFF knows of geometry */
    if (label->size[1] > UINT32_MAX || label->size[2] > UINT32_MAX)
        return fail(COVER_ERROR_SHAPE, "%s: TIFF holds no sizes of 2^32", path);
    cover_status status = write_pages(&client, path, label);
    if (status == COVER_OK) status = file_replace(context, path, client.bytes, client.count);
    memory_free(context, client.bytes);
    return status;
}
