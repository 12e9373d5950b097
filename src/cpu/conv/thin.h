/* Thin convolution: bound by memory, not by multiplications: kernel 1, and kernel 3 of a few input channels.  A strip of
 * pixels at a time becomes a small matrix of floats (pixel, value), where a pixel's values are its channels, or the
 * channels of its neighbourhood; all else is one matrix product.  thin*.c are compiled once an instruction set. */
#ifndef COVER_CONV_THIN_H
#define COVER_CONV_THIN_H

#include "direct.h"
#include "strip.h"

enum { FEW_CHANNELS = 4 };         /* with kernel 3 */
enum { STRIP_FLOATS = 6 * 1024 };  /* what a strip reads and makes stays in the first cache */

/* How x is read, the same in all passes. */
struct thin_source {
    struct conv_shape shape;
    int64_t channels, values; /* of a pixel; values = channels * taps */
    int64_t row;              /* pixels that lie side by side: a row of the image, or all of it with kernel 1 */
    int64_t strip;            /* pixels at once, at most */
    int64_t line, lines;      /* kernel 3: floats of a strip's line with its margins, and how many lines */
    int64_t floats;           /* of scratch for one strip */
};

#define thin_source_of ISA_NAME(thin_source_of)
#define thin_gather ISA_NAME(thin_gather)
#define thin_weights_prepare ISA_NAME(thin_weights_prepare)
#define thin_weights ISA_NAME(thin_weights)

/* others: floats a pixel that share the cache with the strip's own values. */
struct thin_source thin_source_of(const struct conv_shape *shape, bool turned, int64_t others);
/* Pixels pixel .. pixel + count - 1 of one row as (pixel, value): where they lie if they are that already, else in scratch. */
struct strip thin_gather(const struct thin_source *plan, const struct conv_source source[CONV_SOURCES], int64_t pixel,
                         int64_t count, float *scratch);

cover_status thin_weights_prepare(struct prepared *prepared);
cover_status thin_weights(const struct prepared *prepared, float *dw, float *db, const struct conv_source x[CONV_SOURCES],
                          const void *dy, void *scratch, bool accumulate);

#endif
