/* The report of a run from its parts: log, view pairs and their fields to one self-contained HTML page.
 * cover_report_write() gathers the parts (weights, views, the network's fields); everything from there down is here. */
#ifndef COVER_REPORT_H
#define COVER_REPORT_H

#include "core/base/base.h"
#include "core/base/figure.h"
#include "core/base/grid.h"

enum { REPORT_LEVELS_MAX = 8 };

/* One figure of log.jsonl over the steps that hold it, which rise. */
struct report_series {
    char name[FIGURE_NAME]; /* its key: "loss", "val.mean_dice" */
    double *step, *value;
    int64_t count, capacity;
};
enum { REPORT_SERIES_MAX = 1024 }; /* later keys are passed over */
struct report_log {
    struct report_series lines; /* the step of each line */
    struct report_series *series;
    int count;
    int64_t capacity;
};
/* Read log.jsonl, whatever its keys are: every number counts.  A last line cut short is left out; a step that comes again (a resumed
 * run) replaces what followed the first; anything else that is no log is COVER_ERROR_FORMAT with its line.  A missing file is
 * COVER_ERROR_IO. */
cover_status report_log_read(struct report_log *log, cover_context *context, const char *path);
void report_log_free(struct report_log *log, cover_context *context);
/* A line of this step, and a figure of the newest line. */
cover_status report_log_line(struct report_log *log, cover_context *context, double step);
cover_status report_log_add(struct report_log *log, cover_context *context, const char *name, double value);
/* The series of a key; NULL when the log has none. */
const struct report_series *report_find(const struct report_log *log, const char *name);
/* The newest value of a figure; NaN when there is none. */
double report_last(const struct report_log *log, const char *name);
double report_last_step(const struct report_log *log);
double report_seconds(const struct report_log *log); /* of all steps */
/* Add the quotients of figures that have an `over`, at the steps that have both (figure_ratio() is their name).  figures: may be NULL. */
cover_status report_log_divide(struct report_log *log, cover_context *context, const struct figure_words *figures);
/* Step, time, rate: nothing that is learnt by. */
bool report_is_clockwork(const char *name);

/* The field as it stands after one pyramid level, everything coarser included, in pixels of its own grid. */
struct report_level {
    struct grid grid;
    const float *field; /* (pixels, ndim), array-axis order */
};

/* One view pair: fixed(p) is moving(p + truth(p)), but for the appearance changes.  Channels last. */
struct report_pair {
    const char *name; /* of the sample; NULL = unknown */
    struct grid grid;
    int channels;
    const float *moving, *fixed;
    const float *truth, *predicted; /* (pixels, ndim), pixels, array-axis order */
    const float *mask;              /* > 0 where the truth is inside the image */

    struct report_level level[REPORT_LEVELS_MAX]; /* coarse to full size */
    int levels;
};

/* Another objective's sample: pictures of what the network is given. */
enum { REPORT_PICTURES_MAX = 8 };
struct report_picture {
    const char *name;
    struct grid grid;
    int channels;
    const float *values; /* channels last */
};
struct report_sample {
    const char *name; /* of the image that it was made of; NULL = unknown */
    struct report_picture picture[REPORT_PICTURES_MAX];
    int pictures;
};

struct report {
    const char *run;                   /* name of the run folder */
    const char *config_json;           /* every setting; NULL = not known */
    const char *dataset;               /* one line about the dataset; NULL = not known */
    const char *objective;             /* "COVER"; NULL = not known */
    const char *paper;                 /* that it is from; NULL = COVER's own */
    const struct figure_words *figure; /* what the log is about, in this order; NULL = not known */
    struct report_log log;             /* with its quotients */
    const struct report_sample *samples;
    int sample_count;
    const struct report_pair *pair;
    int pairs;
    enum coordinates coordinates; /* how fields are applied */
};

/* Write the page: path is replaced in one move.  With no samples, no pairs or an empty log those sections are left out. */
cover_status report_page_write(cover_context *context, const char *path, const struct report *report);

/* pretrain_pairs.c: the section of view pairs; nothing without pairs. */
cover_status report_pairs(struct text *html, const void *report);

/* ---- its pieces */

/* Text with the characters of HTML quoted. */
void html_add(struct text *html, const char *text);

/* ---- parts that every page has */

/* A page of a run: head, the kind's sections in their order, settings, foot.  Written in one move. */
struct page {
    const char *kicker, *run;
    const char *dataset, *config_json; /* NULL = not known */
    const char *paper;                 /* see page_end() */
    cover_status (*const *section)(struct text *html, const void *report);
    int sections;
    const void *report; /* what the sections draw */
};
cover_status page_write(cover_context *context, const char *path, const struct page *page);
void page_begin(struct text *html, const char *kicker, const char *run, const char *dataset);
/* Ends the page and writes it: path is replaced in one move.  paper: whose method it is, NULL = COVER's own. */
cover_status page_end(struct text *html, const char *path, const char *paper);
void page_tile(struct text *html, const char *name, const char *value);
/* "not known" when it is not finite. */
void page_tile_number(struct text *html, const char *name, double value, const char *unit);
void page_tile_time(struct text *html, const char *name, double seconds);
/* How fast training was, named after its samples: "pairs a second". */
/* A coloured note; plain text. */
void page_warn(struct text *html, const char *text);
void page_tile_speed(struct text *html, const struct report_log *log);

/* One chart as inline SVG. */
struct chart_line {
    const char *name;
    const char *colour;         /* CSS class: "a", "b", "c0".."c7" */
    const double *step, *value; /* steps ascend; values that are not finite are left out */
    int64_t count;
};
struct curve { /* a line of a chart: which key of the log, under which name */
    const char *key, *name, *colour;
};
enum { CHART_CURVES = 3 };
struct chart {
    const char *title, *note;           /* plain text */
    struct curve curve[CHART_CURVES];   /* for chart_add() */
    bool logarithmic, from_zero, exact; /* from_zero: unless it goes below; exact: not smoothed */
    bool dots;                          /* each of few points is marked */
    double last_step, mark_step;        /* the axis goes at least so far; a vertical line there; 0 = none */
};
/* Curves of a log, up to its last step; those that it does not have are left out. */
void chart_add(struct text *html, const struct chart *chart, const struct report_log *log);
void chart_lines(struct text *html, const struct chart *chart, const struct chart_line *lines, int count);
/* The section of curves: `more` follows its first words; charts of the kind's own go between; then those of every training. */
void page_curves_begin(struct text *html, const char *more);
void page_curves_end(struct text *html, const struct report_log *log);

/* Pictures of a pair as <img> with the PNG inside; `alt`: what it shows, for who does not see it. */

/* The slice of a volume (or all of an image) that is shown. */
struct plane {
    int row_axis, column_axis, through; /* of size[3]: 0 D, 1 H, 2 W */
    int64_t at;
};
int picture_planes(struct plane planes[3], const struct grid *grid); /* 1 in 2D, 3 in 3D */
/* Grey or colour values low..high of channels-last data. */
struct window {
    float low, high;
};
/* For qsort() of floats. */
int picture_order(const void *a, const void *b);
struct window picture_window(const float *data, const struct grid *grid, int channels);
cover_status picture_image(struct text *html, const char *alt, const float *data, const struct grid *grid, int channels,
                           const struct plane *plane, struct window window);
/* Angle = hue, length = saturation, `rim` pixels = full; outside the mask greyed. */
cover_status picture_field(struct text *html, const char *alt, const float *field, const float *mask, const struct grid *grid,
                           const struct plane *plane, float rim);
/* |a - b| of the windowed images, black = equal. */
cover_status picture_difference(struct text *html, const char *alt, const float *a, struct window a_window, const float *b,
                                struct window b_window, const float *mask, const struct grid *grid, int channels,
                                const struct plane *plane);
cover_status picture_wheel(struct text *html);
/* The address (data:...) of a whole 2D image. */
cover_status picture_address(struct text *html, const float *data, int64_t height, int64_t width, int channels,
                             struct window window);
/* A slice whose longer side is at most `side`, by averaging: size = height, width; channels last, memory_free() it. */
cover_status picture_slice(float **values, int64_t size[2], cover_context *context, const float *data, const struct grid *grid,
                           int channels, const struct plane *plane, int64_t side);

#endif
