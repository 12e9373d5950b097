/* Which validation cases are shown, and label maps: the image with the outlines of truth and prediction and where they differ, as
 * vectors over one picture, so that they stay sharp at any size.  Called by section_seg.c and, for a choice, by fine-tuning. */
#include "report.h"
#include "task_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE_MOST = 420 };

/* ---- which cases */

struct ranked {
    double rank; /* ascending */
    int64_t row;
};

static int by_rank(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

cover_status task_examples_choose(int64_t *row, int *chosen, int most, cover_context *context, const struct task_report *report) {
    struct ranked *ranked = memory_alloc(context, (size_t)(report->cases + 1) * sizeof *ranked);
    const struct task_section *section = report->section;
    int64_t count = 0;
    if (!ranked) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; section->rank && i < report->cases; i++) {
        ranked[count] = (struct ranked){section->rank(report, i), i};
        if (!isnan(ranked[count].rank)) count++;
    }
    qsort(ranked, (size_t)count, sizeof *ranked, by_rank);
    *chosen = most < count ? most : (int)count;
    for (int i = 0; i < *chosen; i++) {
        const int64_t spread = *chosen > 1 ? i * (count - 1) / (*chosen - 1) : 0;
        row[i] = ranked[section->spread ? spread : i].row;
    }
    memory_free(context, ranked);
    return COVER_OK;
}

/* ---- planes */

int task_example_planes(const struct task_example *example) { return example->grid.ndim == 3 && example->truth ? 3 : 1; }

/* Through the middle of what the truth marks, or of the image when it marks nothing. */
static struct plane choose_plane(const struct task_example *example, int index) {
    const int64_t *size = example->grid.size;
    struct plane planes[3];
    picture_planes(planes, &example->grid);
    struct plane plane = planes[index];
    int64_t low = size[plane.through], high = -1, pixel = 0, at[3];
    for (at[0] = 0; example->truth && at[0] < size[0]; at[0]++)
        for (at[1] = 0; at[1] < size[1]; at[1]++)
            for (at[2] = 0; at[2] < size[2]; at[2]++, pixel++) {
                if (!example->truth[pixel]) continue;
                const int64_t here = at[plane.through];
                if (here < low) low = here;
                if (here > high) high = here;
            }
    if (high >= 0) plane.at = (low + high) / 2;
    return plane;
}

/* The nearest label of each pixel of a picture of this size; NULL when memory is short. */
static uint16_t *take_labels(cover_context *context, const uint16_t *labels, const struct grid *grid, const struct plane *plane,
                             const int64_t size[2]) {
    const int64_t stride[3] = {grid->size[1] * grid->size[2], grid->size[2], 1};
    const int64_t rows = grid->size[plane->row_axis], columns = grid->size[plane->column_axis];
    uint16_t *out = memory_alloc(context, (size_t)(size[0] * size[1]) * sizeof *out);
    for (int64_t y = 0; out && y < size[0]; y++)
        for (int64_t x = 0; x < size[1]; x++)
            out[y * size[1] + x] =
                labels[(2 * y + 1) * rows / (2 * size[0]) * stride[plane->row_axis] +
                       (2 * x + 1) * columns / (2 * size[1]) * stride[plane->column_axis] + plane->at * stride[plane->through]];
    return out;
}

cover_status task_example_plane(struct task_example *out, cover_context *context, const struct task_example *example, int index) {
    const struct plane plane = choose_plane(example, index);
    struct task_example flat = *example;
    float *image = NULL;
    int64_t size[2];
    flat.image = NULL, flat.truth = flat.predicted = NULL;
    TRY(picture_slice(&image, size, context, example->image, &example->grid, example->channels, &plane, SIDE_MOST));
    flat.grid = (struct grid){.ndim = 2, .size = {1, size[0], size[1]}};
    flat.image = image;
    if (example->truth && example->predicted) {
        flat.truth = take_labels(context, example->truth, &example->grid, &plane, size);
        flat.predicted = take_labels(context, example->predicted, &example->grid, &plane, size);
        if (!flat.truth || !flat.predicted) {
            task_example_free(&flat, context);
            return COVER_ERROR_MEMORY;
        }
    }
    *out = flat;
    return COVER_OK;
}

void task_example_free(struct task_example *plane, cover_context *context) {
    memory_free(context, (void *)plane->image);
    memory_free(context, (void *)plane->truth);
    memory_free(context, (void *)plane->predicted);
    plane->image = NULL, plane->truth = plane->predicted = NULL;
}

/* ---- outlines and differences of one plane */

struct label_slice {
    int64_t height, width;
    const uint16_t *label;
};

static bool is_class(const struct label_slice *slice, int64_t y, int64_t x, int c) {
    return y >= 0 && x >= 0 && y < slice->height && x < slice->width && slice->label[y * slice->width + x] == c;
}

/* The edges between pixels of a class and others, as straight runs. */
static void add_outline(struct text *svg, const struct label_slice *slice, int c, int first) {
    struct text path = {.context = svg->context};
    for (int down = 0; down < 2; down++) { /* edges along x, then along y */
        const int64_t lines = down ? slice->width : slice->height, length = down ? slice->height : slice->width;
        for (int64_t line = 0; line <= lines; line++)
            for (int64_t at = 0, from = -1; at <= length; at++) {
                const bool edge = at < length && (down ? is_class(slice, at, line - 1, c) != is_class(slice, at, line, c)
                                                       : is_class(slice, line - 1, at, c) != is_class(slice, line, at, c));
                if (edge && from < 0) from = at;
                if (edge || from < 0) continue;
                text_add(&path, down ? "M%lld %lldv%lld" : "M%lld %lldh%lld", (long long)(down ? line : from),
                         (long long)(down ? from : line), (long long)(at - from));
                from = -1;
            }
    }
    if (path.data) {
        text_add(svg, "<path class=\"outline c%d\" d=\"", (c - first) % TASK_COLOURS);
        text_add_bytes(svg, path.data, path.length);
        text_add(svg, "\"/>");
    }
    svg->failed |= path.failed;
    text_free(&path);
}

enum difference { SAME, MISSED, ADDED, OTHER };
static const struct {
    const char *name, *colour;
} differences[] = {[MISSED] = {"missed", "missed"}, [ADDED] = {"added", "added"}, [OTHER] = {"another class", "other"}};

static enum difference difference_at(const struct label_slice *truth, const struct label_slice *predicted, int64_t pixel) {
    const uint16_t is = truth->label[pixel], taken = predicted->label[pixel];
    return is == taken ? SAME : taken == 0 ? MISSED : is == 0 ? ADDED : OTHER;
}

/* Pixels of one kind of difference, as runs. */
static void add_difference(struct text *svg, const struct label_slice *truth, const struct label_slice *predicted,
                           enum difference kind) {
    text_add(svg, "<path class=\"area %s\" d=\"", differences[kind].colour);
    for (int64_t y = 0; y < truth->height; y++)
        for (int64_t x = 0, from = -1; x <= truth->width; x++) {
            const bool inside = x < truth->width && difference_at(truth, predicted, y * truth->width + x) == kind;
            if (inside && from < 0) from = x;
            if (inside || from < 0) continue;
            text_add(svg, "M%lld %lldh%lldv1h-%lldz", (long long)from, (long long)y, (long long)(x - from), (long long)(x - from));
            from = -1;
        }
    text_add(svg, "\"/>");
}

/* ---- panels */

/* The first panel holds the picture, the others show it again. */
static void begin_panel(struct text *html, const int64_t size[2], int picture, const char *what, const char *name) {
    text_add(html, "<figure class=\"over\"><svg viewBox=\"0 0 %lld %lld\" role=\"img\" aria-label=\"%s, ", (long long)size[1],
             (long long)size[0], what);
    html_add(html, name ? name : "case");
    text_add(html, "\">");
    if (picture >= 0) text_add(html, "<use href=\"#picture-%d\"/>", picture);
}
static void end_panel(struct text *html, const char *caption) {
    text_add(html, "</svg><figcaption>");
    html_add(html, caption);
    text_add(html, "</figcaption></figure>");
}

/* `plane`: 2D, with truth and prediction. */
static cover_status add_plane(struct text *html, const struct task_report *report, const struct task_example *plane, int picture) {
    const int64_t size[2] = {plane->grid.size[1], plane->grid.size[2]};
    const struct label_slice truth = {size[0], size[1], plane->truth}, predicted = {size[0], size[1], plane->predicted};
    const int first = report->section->first_class;
    text_add(html, "<div class=\"row four\">");
    begin_panel(html, size, -1, "image", plane->name);
    text_add(html, "<image id=\"picture-%d\" width=\"%lld\" height=\"%lld\" href=\"", picture, (long long)size[1],
             (long long)size[0]);
    TRY(picture_address(html, plane->image, size[0], size[1], plane->channels,
                        picture_window(plane->image, &plane->grid, plane->channels)));
    text_add(html, "\"/>");
    end_panel(html, "image");
    begin_panel(html, size, picture, "truth", plane->name);
    for (int c = first; c < report->classes; c++) add_outline(html, &truth, c, first);
    end_panel(html, "truth");
    begin_panel(html, size, picture, "prediction", plane->name);
    for (int c = first; c < report->classes; c++) add_outline(html, &predicted, c, first);
    end_panel(html, "prediction");
    begin_panel(html, size, picture, "where they differ", plane->name);
    for (int kind = MISSED; kind <= OTHER; kind++) add_difference(html, &truth, &predicted, (enum difference)kind);
    end_panel(html, "where they differ");
    text_add(html, "</div>");
    return COVER_OK;
}

static void add_case_heading(struct text *html, const struct task_report *report, const struct task_example *example,
                             const char *figure) {
    const int first = report->section->first_class;
    text_add(html, "<h3>");
    html_add(html, example->name ? example->name : "case");
    if (report->figure && example->row >= 0 && example->row < report->cases) {
        const double *value = report->figure + example->row * report->classes;
        text_add(html, "<small>%s", figure);
        for (int c = first; c < report->classes && c < first + TASK_COLOURS; c++) {
            text_add(html, "%s ", c > first ? "," : "");
            html_add(html, report->names[c]);
            if (isfinite(value[c])) text_add(html, " %.3f", value[c]);
            else text_add(html, " \xe2\x80\x93");
        }
        text_add(html, "</small>");
    }
    text_add(html, "</h3>");
}

cover_status task_maps(struct text *html, const struct task_report *report, const char *figure) {
    int picture = 0;
    for (int i = 0; i < report->examples; i++) {
        const struct task_example *example = &report->example[i];
        if (!example->truth || !example->predicted) continue;
        text_add(html, "<div class=\"pair\">");
        if (i == 0 || example->row < 0 || example[-1].row != example->row) add_case_heading(html, report, example, figure);
        for (int p = 0; p < task_example_planes(example); p++) {
            struct task_example plane;
            TRY(task_example_plane(&plane, html->context, example, p));
            const cover_status status = add_plane(html, report, &plane, picture++);
            task_example_free(&plane, html->context);
            TRY(status);
        }
        text_add(html, "</div>");
    }
    return COVER_OK;
}

void task_maps_legend(struct text *html, const struct task_report *report) {
    text_add(html, "<div class=\"legend-row\">");
    const int first = report->section->first_class;
    for (int c = first; c < report->classes; c++) {
        text_add(html, "<span class=\"key c%d\"><i>", (c - first) % TASK_COLOURS);
        html_add(html, report->names[c]);
        text_add(html, "</i></span>");
    }
    text_add(html, "<span class=\"soft\">differences:</span>");
    for (int kind = MISSED; kind <= (report->classes > first + 1 ? OTHER : ADDED); kind++)
        text_add(html, "<span class=\"key %s\"><i>%s</i></span>", differences[kind].colour, differences[kind].name);
    text_add(html, "</div>");
}
