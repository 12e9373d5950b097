/* TIFF through libtiff (TIFF 6.0, BigTIFF): strips and tiles, 1 to 64 bits, grey, RGB, palette, either planar layout.
 * Several pages of one kind are the slices of a volume; reduced-size copies and masks among them are passed over.
 * The tags of a page are judged in tiff_page.c before anything is allocated.  A row of image_formats. */
#include "tiff_stack.h"

#include "core/base/memory.h"
#include "core/base/number.h"

#include <stdio.h>
#include <string.h>

/* The file in memory, as libtiff's client, and the first complaint of libtiff about it. */
struct client {
    const struct image_source *source;
    uint64_t at;
    char complaint[256];
};

static tmsize_t client_read(thandle_t handle, void *to, tmsize_t bytes) {
    struct client *client = handle;
    uint64_t count = client->source->count, left = client->at < count ? count - client->at : 0;
    size_t got = bytes < 0 ? 0 : (uint64_t)bytes < left ? (size_t)bytes : (size_t)left;
    memcpy(to, client->source->bytes + (got ? client->at : 0), got);
    client->at += got;
    /* libtiff leaves a tag out when its value cannot be read; a file that ends early is no such trifle */
    if ((tmsize_t)got < bytes && !client->complaint[0])
        snprintf(client->complaint, sizeof client->complaint, "it ends after %llu bytes", (unsigned long long)count);
    return (tmsize_t)got;
}

static tmsize_t client_write(thandle_t handle, void *from, tmsize_t bytes) {
    (void)handle, (void)from, (void)bytes;
    return -1;
}

static toff_t client_seek(thandle_t handle, toff_t offset, int whence) {
    struct client *client = handle;
    client->at = offset + (whence == SEEK_CUR ? client->at : whence == SEEK_END ? client->source->count : 0);
    return client->at;
}

static int client_close(thandle_t handle) { return (void)handle, 0; }
static toff_t client_size(thandle_t handle) { return ((struct client *)handle)->source->count; }

static int on_error(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
    struct client *client = user;
    (void)tiff, (void)module;
    if (!client->complaint[0]) number_print_list(client->complaint, sizeof client->complaint, format, arguments);
    return 1; /* dealt with: the handlers of the process are not called */
}

/* Warnings are about tags that do not matter here, but for those of libjpeg (they mean that pixels are missing) and of a tag that there
 * was no memory for. */
static int on_warning(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
    if ((module && strcmp(module, "JPEGLib") == 0) || tiff_speaks_of_memory(format))
        return on_error(tiff, user, module, format, arguments);
    return 1;
}

static cover_status damaged(const struct client *client, const char *what) {
    if (tiff_speaks_of_memory(client->complaint)) return fail(COVER_ERROR_MEMORY, "out of memory: %s", client->complaint);
    return fail(COVER_ERROR_FORMAT, "%s: %s; the file is truncated or damaged", what,
                client->complaint[0] ? client->complaint : "libtiff gives no reason");
}

static bool detect(const uint8_t *head, size_t bytes) {
    static const char magics[4][5] = {"II*\0", "MM\0*", "II+\0", "MM\0+"};
    for (int i = 0; i < 4 && bytes >= 4; i++)
        if (memcmp(head, magics[i], 4) == 0) return true;
    return false;
}

/* Strips or tiles of one page into `pixels`, in the file's own orientation.  `encoded` takes one strip or tile, `row`
 * one of its rows in our type. */
static cover_status read_pieces(TIFF *tiff, struct client *client, const struct tiff_page *page, uint8_t *pixels, uint8_t *encoded,
                                uint8_t *row) {
    const size_t pixel_bytes = cover_dtype_bytes(page->dtype) * (size_t)page->channels;
    const uint32_t across = (page->width - 1) / page->piece_width + 1;
    const uint32_t down = (page->height - 1) / page->piece_height + 1;
    const uint32_t planes = page->separate ? (uint32_t)page->channels : 1; /* further planes are alpha */
    for (uint32_t plane = 0; plane < planes; plane++)
        for (uint64_t i = 0; i < (uint64_t)across * down; i++) {
            uint32_t x = (uint32_t)(i % across) * page->piece_width, y = (uint32_t)(i / across) * page->piece_height;
            uint32_t columns = page->width - x < page->piece_width ? page->width - x : page->piece_width;
            uint32_t rows = page->height - y < page->piece_height ? page->height - y : page->piece_height;
            uint32_t index = (uint32_t)(i + plane * (uint64_t)across * down);
            tmsize_t want = (tmsize_t)(page->row_bytes * (page->tiled ? page->piece_height : rows));
            tmsize_t got =
                page->tiled ? TIFFReadEncodedTile(tiff, index, encoded, want) : TIFFReadEncodedStrip(tiff, index, encoded, want);
            if (got != want || client->complaint[0]) return damaged(client, page->tiled ? "a tile" : "a strip");
            for (uint32_t r = 0; r < rows; r++)
                TRY(tiff_place_row(page, pixels + ((size_t)(y + r) * page->width + x) * pixel_bytes, encoded + r * page->row_bytes,
                                   row, columns, (int)plane));
        }
    return COVER_OK;
}

/* The page that is current in `tiff`, turned upright, to `slice`. */
static cover_status read_page(TIFF *tiff, struct client *client, const struct tiff_page *page, uint8_t *slice) {
    cover_context *context = client->source->context;
    const bool upright = page->orientation == ORIENTATION_TOPLEFT;
    const size_t page_bytes = (size_t)page->width * page->height * cover_dtype_bytes(page->dtype) * (size_t)page->channels;
    cover_status status = COVER_ERROR_MEMORY;
    TRY(memory_reserve(context, page->largest_piece));
    uint8_t *encoded = memory_within(context, page->row_bytes * page->piece_height);
    uint8_t *row = encoded ? memory_within(context, tiff_row_room(page)) : NULL;
    uint8_t *pixels = !row ? NULL : upright ? slice : memory_within(context, page_bytes);
    if (!pixels) goto done;
    GO(read_pieces(tiff, client, page, pixels, encoded, row));
    if (!upright) tiff_turn(page, slice, pixels);
done:
    if (!upright) memory_free(context, pixels);
    memory_free(context, row);
    memory_free(context, encoded);
    memory_unreserve(context, page->largest_piece);
    return status;
}

/* The current page, a slice of its own or some channels of one. */
static cover_status place_page(struct image *image, TIFF *tiff, struct client *client, const struct tiff_page *page,
                               const struct tiff_stack *stack, int64_t number) {
    cover_context *context = client->source->context;
    const size_t pixels = (size_t)(image->size[1] * image->size[2]), element = cover_dtype_bytes(image->dtype);
    const size_t kept = element * (size_t)page->channels, whole = element * (size_t)image->channels;
    int64_t channel, slice;
    tiff_stack_place(stack, number, &channel, &slice);
    uint8_t *to = (uint8_t *)image->data + (size_t)slice * pixels * whole + (size_t)channel * kept;
    if (stack->channels == 1) return read_page(tiff, client, page, to);
    uint8_t *own = memory_within(context, pixels * kept);
    if (!own) return COVER_ERROR_MEMORY;
    cover_status status = read_page(tiff, client, page, own);
    for (size_t i = 0; i < pixels && status == COVER_OK; i++) memcpy(to + i * whole, own + i * kept, kept);
    memory_free(context, own);
    return status;
}

/* Go to the next page; *more is false after the last one. */
static cover_status next_page(TIFF *tiff, const struct client *client, bool *more) {
    *more = !TIFFLastDirectory(tiff);
    if (*more && (!TIFFReadDirectory(tiff) || client->complaint[0])) return damaged(client, "the next page");
    return COVER_OK;
}

/* The first page and what it says of all, and how many there are: all must be alike. */
static cover_status survey(TIFF *tiff, const struct client *client, struct tiff_page *first, int64_t *pages,
                           struct tiff_stack *stack) {
    int64_t number = 0;
    *pages = 0;
    for (bool more = true; more; number++) {
        if (!tiff_page_is_copy(tiff)) {
            struct tiff_page page;
            cover_status status = tiff_page_read(&page, tiff, client->source);
            if (status != COVER_OK) return number ? fail_in(status, "page %lld", (long long)number + 1) : status;
            if (client->complaint[0]) return damaged(client, "the tags");
            if (*pages == 0) {
                *first = page;
                TRY(tiff_stack_read(stack, tiff, &page));
            }
            if (!tiff_pages_match(first, &page))
                return fail(COVER_ERROR_UNSUPPORTED,
                            "page %lld is %u x %u with %d channels of %s, but the first is %u x %u with %d of %s; "
                            "pages of one kind make a volume, others must be split into files",
                            (long long)number + 1, page.width, page.height, page.channels, cover_dtype_name(page.dtype),
                            first->width, first->height, first->channels, cover_dtype_name(first->dtype));
            ++*pages;
        }
        TRY(next_page(tiff, client, &more));
    }
    if (*pages == 0) return fail(COVER_ERROR_FORMAT, "every page is a reduced copy or a mask; there is no image");
    return COVER_OK;
}

static cover_status decode(struct image *image, TIFF *tiff, struct client *client) {
    struct tiff_page page;
    struct tiff_stack stack;
    int64_t pages;
    size_t bytes;
    TRY(survey(tiff, client, &page, &pages, &stack));
    TRY(tiff_stack_judge(&stack, pages, page.channels));
    image->dtype = page.dtype, image->channels = (int)stack.channels * page.channels, image->lossy = page.lossy;
    image->size[0] = stack.slices * stack.frames;
    image->dims = image->size[0] > 1 ? 3 : 2;
    image->printed = page.printed && page.dtype == COVER_U8;
    if (stack.frames > 1)
        snprintf(image->note, sizeof image->note, "%s says %lld frames in time; they are taken for the slices of a volume",
                 stack.writer, (long long)stack.frames);
    image->size[1] = page.upright_height, image->size[2] = page.upright_width;
    image->spacing_mm[1] = page.spacing_mm[0], image->spacing_mm[2] = page.spacing_mm[1];
    TRY(image_allocate(image, client->source, &bytes));

    if (!TIFFSetDirectory(tiff, 0)) return damaged(client, "the first page");
    int64_t number = 0;
    for (bool more = true; more;) {
        if (!tiff_page_is_copy(tiff)) {
            TRY(tiff_page_read(&page, tiff, client->source));
            TRY(place_page(image, tiff, client, &page, &stack, number++));
        }
        TRY(next_page(tiff, client, &more));
    }
    return COVER_OK;
}

static cover_status read_tiff(struct image *image, const struct image_source *source) {
    struct client client = {.source = source};
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) return fail(COVER_ERROR_MEMORY, "out of memory: libtiff could not start");
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, &client);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, &client);
    const uint64_t left = memory_left(source->context), most = left < source->limit_bytes ? left : source->limit_bytes;
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, most < INT64_MAX ? (tmsize_t)most : 0);
    /* m: no memory map; c: strips as they are in the file, not cut smaller */
    TIFF *tiff = TIFFClientOpenExt(source->path, "rmc", &client, client_read, client_write, client_seek, client_close, client_size,
                                   NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    cover_status status = tiff ? decode(image, tiff, &client) : damaged(&client, "TIFF");
    if (tiff) TIFFClose(tiff);
    if (status != COVER_OK) image_free(image, source->context);
    return status;
}

const struct image_format tiff_format = {
    .name = "TIFF", .extensions = ".tif .tiff", .detect = detect, .read = read_tiff, .write_label = tiff_write_label};
