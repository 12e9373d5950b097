/* Thin convolution: bound by memory, not by multiplications: kernel 1, and kernel 3 of a few input channels.  A strip of
 * pixels at a time becomes a small matrix of floats (pixel, value), where a pixel's values are its channels, or the
 * channels of its neighbourhood; all else is one matrix product.  thin*.c are compiled once an instruction set. */
#ifndef COVER_CONV_THIN_H
#define COVER_CONV_THIN_H

#include "direct.h"
#include "strip.h"

enum { FEW_CHANNELS = 4 };        /* with kernel 3 */
enum { STRIP_FLOATS = 4 * 1024 }; /* what a strip reads and makes stays in the first cache */

/* How x is read, the same in all passes. */
struct thin_source {
    struct conv_shape shape;
    int64_t channels, values; /* of a pixel; values = channels * taps */
    int64_t row;              /* pixels that lie side by side: a row of the image, or all of it with kernel 1 */
    int64_t strip;            /* pixels at once, at most */
    int64_t lines, line;      /* kernel 3: lines of pixels that a strip sees, and floats of each, margins included */
    int64_t lines_at, floats; /* in scratch: where the lines lie, and all that a strip takes */
};

/* As direct.h's product, with one row of init for all rows of C, slices and a_row 1; every step of k also fetches a little of
 * what comes next: two lines at ahead[0], one at ahead[1]. */
struct thin_product {
    struct product product;
    const char *ahead[2];
    int64_t ahead_step[2]; /* in bytes */
};
typedef void thin_product_fn(const struct thin_product *product);

#define thin_beside PRODUCTS_NAME(thin_beside)
#define thin_across PRODUCTS_NAME(thin_across)
#define thin_grouped PRODUCTS_NAME(thin_grouped)
#define thin_source_of ISA_NAME(thin_source_of)
#define thin_gather ISA_NAME(thin_gather)
#define thin_lines ISA_NAME(thin_lines)
#define thin_weights_prepare ISA_NAME(thin_weights_prepare)
#define thin_weights ISA_NAME(thin_weights)

/* Products with slices 1 and one row of init: where a_row is 1, [one or two vectors wide][rows]; the same with fetching; of
 * groups of input channels, where runs and a_step are 1 and C has LANES / group columns, [log2 of the group - 1][rows]. */
extern product_fn *const thin_beside[2][ROWS_MAX + 1];
extern thin_product_fn *const thin_across[2][ROWS_MAX + 1];
extern product_fn *const thin_grouped[4][ROWS_MAX + 1];

/* others: floats a pixel that share the cache with the strip's own values; least: pixels that a strip should have. */
struct thin_source thin_source_of(const struct conv_shape *shape, bool turned, int64_t others, int64_t least);
/* Pixels pixel .. pixel + count - 1 of one row as (pixel, value), floats: where they lie if they are that, else in scratch. */
struct strip thin_gather(const struct thin_source *plan, const struct conv_source source[CONV_SOURCES], int64_t pixel,
                         int64_t count, float *scratch);
/* Kernel 3: the lines alone, (line, pixel, channel), one pixel more at either side. */
const float *thin_lines(const struct thin_source *plan, const struct conv_source source[CONV_SOURCES], int64_t pixel, int64_t count,
                        float *scratch);

cover_status thin_weights_prepare(struct prepared *prepared);
cover_status thin_weights(const struct prepared *prepared, float *dw, float *db, const struct conv_source x[CONV_SOURCES],
                          const void *dy, void *scratch, bool accumulate);

#endif
