/* One page of a TIFF file: what its tags say, checked against the bytes present, and the way of its rows into an image.
 * Called by tiff.c alone. */
#ifndef COVER_TIFF_PAGE_H
#define COVER_TIFF_PAGE_H

#include "image.h"
#include "samples.h"

#include <tiffio.h>

struct tiff_page {
    uint32_t width, height;                 /* as stored */
    uint32_t upright_width, upright_height; /* after the orientation tag */
    double spacing_mm[2];                   /* upright height, width; 0 = not known */
    bool printed;                           /* it is a resolution in dots an inch */
    cover_dtype dtype;
    int channels; /* kept of a pixel: 1 or 3 */

    enum sample sample; /* as stored; U8 when bits < 8 */
    int bits, samples;  /* of a sample, samples a pixel */
    int orientation;
    bool tiled, separate, inverted, palette, lossy;
    uint32_t piece_width, piece_height; /* of a tile; of a strip: width and rows */
    size_t row_bytes;                   /* one row of a strip or tile */
    uint64_t largest_piece;             /* as it is stored: libtiff keeps it in memory of its own */
    uint8_t colours[256][3];            /* of a palette */
};

/* Reduced-size copies and transparency masks are no slices. */
bool tiff_page_is_copy(TIFF *tiff);
/* Read and judge the tags of the current page; source->count is the size of the whole file. */
cover_status tiff_page_read(struct tiff_page *page, TIFF *tiff, const struct image_source *source);
bool tiff_pages_match(const struct tiff_page *a, const struct tiff_page *b);

/* libtiff and its codecs have no code for short memory, only words: is this complaint about it? */
bool tiff_speaks_of_memory(const char *complaint);

/* Bytes that tiff_place_row() needs for `scratch`. */
size_t tiff_row_room(const struct tiff_page *page);
/* `columns` pixels of one decoded row, to `pixels` (channels last). */
cover_status tiff_place_row(const struct tiff_page *page, uint8_t *pixels, const uint8_t *encoded, uint8_t *scratch,
                            uint32_t columns, int plane);
/* Copy a page as stored to a page as the orientation tag wants it seen. */
void tiff_turn(const struct tiff_page *page, uint8_t *upright, const uint8_t *stored);

#endif
