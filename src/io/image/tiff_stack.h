/* What the pages of a TIFF file are to each other: slices of a volume, or channels of one image, where the program that wrote it says so
 * in ImageDescription (ImageJ, OME, tifffile) or a tag of its own.  Called by tiff.c alone. */
#ifndef COVER_TIFF_STACK_H
#define COVER_TIFF_STACK_H

#include "tiff_page.h"

struct tiff_stack {
    const char *writer;               /* who says it, for messages; NULL = nobody: then all pages are slices */
    int64_t images;                   /* pages that there should be */
    int64_t channels, slices, frames; /* of them */
    const char *order;                /* of the pages: "CZT" = channels fastest; NULL = not known */
    bool listed;                      /* each page by its number, in any order */
};

/* From the current page, the first one. */
cover_status tiff_stack_read(struct tiff_stack *stack, TIFF *tiff, const struct tiff_page *page);
/* Do they fit the pages that there are, each of page_channels?  Fills in what nobody said. */
cover_status tiff_stack_judge(struct tiff_stack *stack, int64_t pages, int page_channels);
/* Where a page goes. */
void tiff_stack_place(const struct tiff_stack *stack, int64_t page, int64_t *channel, int64_t *slice);

#endif
