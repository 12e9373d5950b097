/* Plots of any series over x and y as inline SVG, points of a plane as PNG, and the page around them.  Called by the
 * analyses of src/api; knows base/ and the PNG writer alone. */
#ifndef COVER_PLOT_H
#define COVER_PLOT_H

#include "core/base/base.h"

enum { PLOT_COLOURS = 10 };
extern const uint8_t plot_colours[PLOT_COLOURS][3]; /* told apart on white and on black, and by most colour-blind eyes */

struct plot_series {
    const char *name;
    int64_t count;
    const double *x, *y; /* what is not finite is left out */
};
struct plot {
    const char *title, *note, *x_label; /* plain text; NULL = none */
    bool dots;                          /* a dot a value instead of a line; without axes */
    bool logarithmic;                   /* y */
    bool from_zero;                     /* y */
};
/* A <figure>; colour s of the palette belongs to series s. */
void plot_add(struct text *html, const struct plot *plot, const struct plot_series *series, int count);

/* Everything before and behind the figures of a self-contained page. */
void plot_page_begin(struct text *html, const char *title, const char *lead);
void plot_page_end(struct text *html);

/* Dots of `side` x `side` pixels RGB on white. */
cover_status plot_png(cover_context *context, uint8_t **png, size_t *bytes, const struct plot_series *series, int count, int side);

/* chart.c: 1, 2 or 5 times a power of ten, so that about `count` of them fill the range. */
double tick_step(double range, int count);

#endif
