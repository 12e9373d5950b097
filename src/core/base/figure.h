/* A figure that a run logs, in words: what pages, charts and tables say of it.  Filled by the rows of core/objective, drawn by report. */
#ifndef COVER_FIGURE_WORDS_H
#define COVER_FIGURE_WORDS_H

#include <stdio.h>

struct figure_words {
    const char *name;  /* in the log; NULL ends a list */
    const char *over;  /* the figure of an answer that knows nothing, NULL = there is none: the quotient is what is left to learn */
    const char *unit;  /* "pixels", NULL = none */
    const char *title; /* as in the middle of a sentence, NULL = the name */
    const char *note;  /* a sentence under its curve, or NULL */
    const char *naive; /* of one with `over`: that answer, behind "below that of" */
};

enum { FIGURE_NAME = 96 };
/* The name of the quotient: "l_vec / l_zero". */
static inline const char *figure_ratio(char name[FIGURE_NAME], const struct figure_words *figure) {
    snprintf(name, FIGURE_NAME, "%s / %s", figure->name, figure->over);
    return name;
}

#endif
