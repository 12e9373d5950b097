/* View pairs on the page of a run: both views, true and predicted field, what they make of the moving view, and the first pair's pyramid
 * levels (paper, Fig. 7).  Called by pretrain_page.c. */
#include "core/base/number.h"
#include "cpu/kernels.h"
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct pair_pictures { /* what the pictures of one pair share */
    const struct report_pair *pair;
    const struct kernels *kernels;
    struct window moving, fixed;
    enum coordinates coordinates;
    float rim;
    int number; /* from 1 */
};

enum { ALT = 256 };
PRINTF_LIKE(3, 4) static const char *alt_text(char text[ALT], const struct pair_pictures *with, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int used = number_print_list(text, ALT, format, arguments);
    va_end(arguments);
    if (used >= 0 && used < ALT) number_print(text + used, (size_t)(ALT - used), ", pair %d", with->number);
    return text;
}

static double field_error(const struct report_pair *pair, const float *field) {
    double sum = 0, count = 0;
    int ndim = pair->grid.ndim;
    for (int64_t i = 0; i < grid_pixels(&pair->grid); i++) {
        if (!(pair->mask[i] > 0)) continue;
        double square = 0;
        for (int c = 0; c < ndim; c++) {
            double away = pair->truth[i * ndim + c] - (field ? field[i * ndim + c] : 0);
            square += away * away;
        }
        sum += sqrt(square), count++;
    }
    return count ? sum / count : NAN;
}

static double valid_share(const struct report_pair *pair) {
    double count = 0;
    for (int64_t i = 0; i < grid_pixels(&pair->grid); i++) count += pair->mask[i] > 0;
    return count / (double)grid_pixels(&pair->grid);
}

/* Nearly all true displacements of all pairs are shorter; the rim of the colour wheel.  Two digits. */
static float field_rim(const struct report *report) {
    enum { TAKEN = 4096 };
    float lengths[TAKEN], rim = 0;
    for (int p = 0; p < report->pairs; p++) {
        const struct report_pair *pair = &report->pair[p];
        int64_t pixels = grid_pixels(&pair->grid), count = pixels < TAKEN ? pixels : TAKEN, kept = 0;
        for (int64_t i = 0; i < count; i++) {
            int64_t at = (int64_t)((double)i / (double)count * (double)pixels);
            float square = 0;
            for (int c = 0; c < pair->grid.ndim; c++) {
                float part = pair->truth[at * pair->grid.ndim + c];
                square += part * part;
            }
            if (pair->mask[at] > 0 && isfinite(square)) lengths[kept++] = sqrtf(square);
        }
        qsort(lengths, (size_t)kept, sizeof *lengths, picture_order);
        if (kept && lengths[kept - 1 - kept / 50] > rim) rim = lengths[kept - 1 - kept / 50];
    }
    if (!(rim > 1e-6f)) return 1;
    float unit = powf(10, floorf(log10f(rim)) - 1);
    return ceilf(rim / unit) * unit;
}

static void begin_figure(struct text *html) { text_add(html, "<figure>"); }
static void end_figure(struct text *html, const char *caption) {
    text_add(html, "<figcaption>");
    html_add(html, caption);
    text_add(html, "</figcaption></figure>");
}

static cover_status add_plane(struct text *html, const struct pair_pictures *with, const struct plane *plane, const float *by_truth,
                              const float *by_prediction) {
    const struct report_pair *pair = with->pair;
    const struct grid *grid = &pair->grid;
    const struct {
        const char *caption;
        const float *image;
        struct window window;
    } images[] = {
        {"moving view", pair->moving, with->moving},
        {"fixed view", pair->fixed, with->fixed},
        {"moving, by the true field", by_truth, with->moving},
        {"moving, by the predicted field", by_prediction, with->moving},
    };
    const struct {
        const char *caption;
        const float *field;
    } fields[] = {{"true field", pair->truth}, {"predicted field", pair->predicted}};
    const struct {
        const char *caption;
        const float *image;
    } differences[] = {{"difference before", pair->moving}, {"difference after", by_prediction}};

    char alt[ALT];
    text_add(html, "<div class=\"row four\">");
    for (int i = 0; i < 8; i++) { /* first row: views and fields; second row: warped and differences */
        begin_figure(html);
        const char *caption;
        if (i % 4 < 2) {
            int k = i / 4 * 2 + i % 4;
            caption = images[k].caption;
            TRY(picture_image(html, alt_text(alt, with, "%s", caption), images[k].image, grid, pair->channels, plane,
                              images[k].window));
        } else if (i < 4) {
            caption = fields[i - 2].caption;
            if (i == 2) alt_text(alt, with, "%s, on average %.2f px long", caption, field_error(pair, NULL));
            else alt_text(alt, with, "%s, on average %.2f px from the true one", caption, field_error(pair, pair->predicted));
            TRY(picture_field(html, alt, fields[i - 2].field, pair->mask, grid, plane, with->rim));
        } else {
            caption = differences[i - 6].caption;
            TRY(picture_difference(html, alt_text(alt, with, "%s", caption), pair->fixed, with->fixed, differences[i - 6].image,
                                   with->moving, pair->mask, grid, pair->channels, plane));
        }
        end_figure(html, caption);
    }
    text_add(html, "</div>");
    return COVER_OK;
}

static cover_status add_pair(struct text *html, const struct pair_pictures *with) {
    static const char *const plane_names[] = {"slice across the first axis", "slice across the second axis",
                                              "slice across the third axis"};
    const struct report_pair *pair = with->pair;
    cover_context *context = html->context;
    size_t bytes = (size_t)(grid_pixels(&pair->grid) * pair->channels) * sizeof(float);
    float *by_truth = memory_alloc(context, bytes), *by_prediction = memory_alloc(context, bytes);
    cover_status status = COVER_ERROR_MEMORY;
    if (!by_truth || !by_prediction) goto done;
    with->kernels->warp(by_truth, pair->moving, pair->truth, &pair->grid, pair->channels, with->coordinates, 0, 1);
    with->kernels->warp(by_prediction, pair->moving, pair->predicted, &pair->grid, pair->channels, with->coordinates, 0, 1);

    text_add(html, "<div class=\"pair\"><h3>Pair %d", with->number);
    if (pair->name) {
        text_add(html, " &middot; ");
        html_add(html, pair->name);
    }
    text_add(html, "<small>mean error %.2f px, of a zero field %.2f px; %.0f&thinsp;%% of the pixels count</small></h3>",
             field_error(pair, pair->predicted), field_error(pair, NULL), 100 * valid_share(pair));
    struct plane planes[3];
    int count = picture_planes(planes, &pair->grid);
    for (int i = 0; i < count; i++) {
        if (count > 1) text_add(html, "<p class=\"soft\">%s</p>", plane_names[i]);
        GO(add_plane(html, with, &planes[i], by_truth, by_prediction));
    }
    text_add(html, "</div>");
    status = COVER_OK;
done:
    memory_free(context, by_truth);
    memory_free(context, by_prediction);
    return status;
}

/* ---- the levels of one pair: a column a level, rows for field, warped image and difference */

struct level_column {
    char name[32];
    double error; /* of its field, NaN = the truth itself */
    const float *field;
    float *own; /* the level's field at full size, when it is not */
    float *warped;
};

static cover_status fill_column(struct level_column *column, const struct pair_pictures *with, cover_context *context, int index) {
    const struct report_pair *pair = with->pair;
    const struct grid *full = &pair->grid;
    int64_t pixels = grid_pixels(full);
    int ndim = full->ndim;
    column->field = pair->truth;
    if (index < pair->levels) {
        const struct report_level *level = &pair->level[index];
        column->own = memory_alloc(context, (size_t)(pixels * ndim) * sizeof(float));
        if (!column->own) return COVER_ERROR_MEMORY;
        float scale = (float)full->size[2] / (float)level->grid.size[2];
        with->kernels->resize_corners(column->own, level->field, &level->grid, full, ndim, scale, 0, 1);
        column->field = column->own;
        snprintf(column->name, sizeof column->name, "level %d", index);
        column->error = field_error(pair, column->field);
    } else snprintf(column->name, sizeof column->name, "truth"), column->error = NAN;
    column->warped = memory_alloc(context, (size_t)(pixels * pair->channels) * sizeof(float));
    if (!column->warped) return COVER_ERROR_MEMORY;
    with->kernels->warp(column->warped, pair->moving, column->field, full, pair->channels, with->coordinates, 0, 1);
    return COVER_OK;
}

static cover_status add_levels(struct text *html, const struct pair_pictures *with) {
    static const char *const rows[] = {"field", "moving view by it", "difference"};
    const struct report_pair *pair = with->pair;
    struct level_column column[REPORT_LEVELS_MAX + 1] = {0};
    struct plane planes[3];
    int columns = pair->levels + 1;
    cover_status status = COVER_OK;
    picture_planes(planes, &pair->grid);
    for (int i = 0; i < columns; i++) GO(fill_column(&column[i], with, html->context, i));
    text_add(html, "<div class=\"levels\">");
    for (int row = 0; row < 3; row++) {
        text_add(html, "<div class=\"row\" style=\"grid-template-columns:repeat(%d,1fr)\">", columns);
        for (int i = 0; i < columns; i++) {
            char caption[80], alt[ALT];
            const bool known = row == 0 && isfinite(column[i].error);
            if (known) number_print(caption, sizeof caption, "%s, %s: error %.2f px", rows[row], column[i].name, column[i].error);
            else snprintf(caption, sizeof caption, "%s, %s", rows[row], column[i].name);
            alt_text(alt, with, "%s", caption);
            begin_figure(html);
            if (row == 0) GO(picture_field(html, alt, column[i].field, pair->mask, &pair->grid, planes, with->rim));
            else if (row == 1) GO(picture_image(html, alt, column[i].warped, &pair->grid, pair->channels, planes, with->moving));
            else
                GO(picture_difference(html, alt, pair->fixed, with->fixed, column[i].warped, with->moving, pair->mask, &pair->grid,
                                      pair->channels, planes));
            end_figure(html, caption);
        }
        text_add(html, "</div>");
    }
    text_add(html, "</div>");
done:
    for (int i = 0; i < columns; i++) {
        memory_free(html->context, column[i].own);
        memory_free(html->context, column[i].warped);
    }
    return status;
}

cover_status report_pairs(struct text *html, const void *data) {
    const struct report *report = data;
    if (report->pairs == 0) return COVER_OK;
    float rim = field_rim(report);
    text_add(html, "<h2>View pairs</h2><p class=\"soft\">Two views of one image with a known field between them. Each point of "
                   "the fixed view is looked up in the moving view at the end of its vector; the network sees the two views "
                   "alone and answers with the predicted field. The moving view has its appearance changed (noise, contrast, "
                   "boxes painted over), so a difference stays even with the true field.</p><div class=\"legend\">");
    TRY(picture_wheel(html));
    text_add(html,
             "<p class=\"soft\">The colour of a vector is where it points to on this wheel: at its centre 0, at its rim "
             "%g&nbsp;pixels. Greyed: the point lies outside the moving view and does not count. Differences: "
             "black is equal, white is the whole range of the image.</p></div>",
             rim);
    for (int p = 0; p < report->pairs; p++) {
        const struct report_pair *pair = &report->pair[p];
        struct pair_pictures with = {.pair = pair,
                                     .kernels = kernels_best(html->context->cpu_features, ELEMENT_F32),
                                     .moving = picture_window(pair->moving, &pair->grid, pair->channels),
                                     .fixed = picture_window(pair->fixed, &pair->grid, pair->channels),
                                     .coordinates = report->coordinates,
                                     .rim = rim,
                                     .number = p + 1};
        TRY(add_pair(html, &with));
        if (p > 0 || pair->levels == 0) continue;
        text_add(html, "<h3>Pair 1 through the pyramid<small>field, moving view by it, difference to the fixed view</small>"
                       "</h3>");
        TRY(add_levels(html, &with));
        text_add(html, "<p class=\"soft\">Coarse levels bring the whole into place; finer ones add what is left.</p>");
    }
    return COVER_OK;
}
