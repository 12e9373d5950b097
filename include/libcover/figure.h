/* Figures: numbers with their names, as steps and reports carry them, whatever is minimised.
 *
 * Owner:      whoever made them; a report's are inside it or its trainer's, as the report says
 * Lifetime:   names are static text
 * Threads:    plain values
 * Callbacks:  none
 * NULL:       figures may be NULL: there is none
 * Errors:     none
 * Stability:  experimental: fields may still be added */
#ifndef LIBCOVER_FIGURE_H
#define LIBCOVER_FIGURE_H

#include <libcover/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A number and what it is. */
typedef struct cover_figure {
    const char *name; /**< as in log.jsonl: "l_vec" */
    double value;
    const char
        *over; /**< the figure of an answer that knows nothing, NULL = there is none: value / over is what is left to learn */
} cover_figure;

enum { COVER_FIGURES_MAX = 16 }; /**< most that an objective has */

/** The value of the figure of this name; NaN when there is none or `figures` is NULL. */
COVER_API double cover_figure_value(const cover_figure *figures, int count, const char *name);

#ifdef __cplusplus
}
#endif
#endif
