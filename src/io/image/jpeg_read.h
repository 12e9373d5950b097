/* JPEG through libjpeg-turbo, for those who say where the pixels go and in which colours.  Called by jpeg.c, and by DICOM's
 * io/dicom/dct_jpeg.c. */
#ifndef COVER_JPEG_READ_H
#define COVER_JPEG_READ_H

#include "core/base/base.h"

#include <stdio.h> /* jpeglib.h needs it */

#include <jpeglib.h>

/* No bit stream codes more pixels a byte: at least one bit for a block of luma, chroma sampled at most 4 x 4. */
enum { JPEG_PIXELS_A_BYTE = 4096 };

/* The headers are read: choose jpeg->out_color_space, and say where the rows go and how many bytes apart they are: as many as a row has. */
typedef cover_status jpeg_place_fn(void *user, struct jpeg_decompress_struct *jpeg, void **pixels, size_t *row_bytes);
/* Everything from SOI to EOI; samples of 8 bits, or of 16 where libjpeg reads 12 (HAVE_JPEG12). */
cover_status jpeg_read(cover_context *context, const uint8_t *bytes, size_t count, uint64_t limit_bytes, jpeg_place_fn *place,
                       void *user);

#endif
