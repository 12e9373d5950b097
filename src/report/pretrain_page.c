/* The page of a pretraining run: summary, curves, samples.  Called by cover_report_write(). */
#include "report.h"

#include <math.h>
#include <string.h>

enum { FIGURES = 24 }; /* most that are shown */

/* ---- which figures: those that the objective has words for, then what else the log has */

static bool is_listed(const struct figure_words *figures, const char *name) {
    char ratio[FIGURE_NAME];
    for (; figures && figures->name; figures++)
        if (strcmp(figures->name, name) == 0 || (figures->over && strcmp(figure_ratio(ratio, figures), name) == 0)) return true;
    return false;
}

static bool every_run_has(const char *name) {
    return report_is_clockwork(name) || strcmp(name, "loss") == 0 || strcmp(name, "grad_norm") == 0;
}

static int list_figures(struct figure_words list[FIGURES], const struct report *report) {
    int count = 0;
    for (const struct figure_words *figure = report->figure; figure && figure->name && count < FIGURES; figure++)
        list[count++] = *figure;
    for (int i = 0; i < report->log.count && count < FIGURES; i++) {
        const char *name = report->log.series[i].name;
        if (!is_listed(report->figure, name) && !every_run_has(name)) list[count++] = (struct figure_words){.name = name};
    }
    return count;
}

/* What another figure is measured against is drawn with that one. */
static bool is_yardstick(const struct figure_words *list, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (list[i].over && strcmp(list[i].over, name) == 0) return true;
    return false;
}

static const char *title_of(const struct figure_words *figure) { return figure->title ? figure->title : figure->name; }

/* ---- summary */

/* The first figure that has something to be measured against, else the first. */
static void add_main_figure(struct text *html, const struct report_log *log, const struct figure_words *list, int count) {
    const struct figure_words *figure = &list[0];
    for (int i = count - 1; i >= 0; i--)
        if (list[i].over) figure = &list[i];
    char ratio[FIGURE_NAME];
    const char *name = figure->over ? figure_ratio(ratio, figure) : figure->name;
    const double value = report_last(log, name);
    text_add(html, "<div class=\"big\"><p class=\"soft\">");
    html_add(html, name);
    if (isfinite(value)) text_add(html, figure->over ? "</p><b>%.2f</b>" : "</p><b>%.4g</b>", value);
    else text_add(html, "</p><b>&ndash;</b>");
    text_add(html, "<p class=\"soft\">");
    if (figure->over) {
        const bool below = isfinite(value) && value < 1;
        text_add(html, "The ");
        html_add(html, title_of(figure));
        if (below) text_add(html, " is %.0f&thinsp;%% below that of ", 100 * (1 - value));
        else text_add(html, " against that of ");
        html_add(html, figure->naive ? figure->naive : figure->over);
        text_add(html, below ? "." : "; below 1 something was learnt.");
    } else html_add(html, figure->note ? figure->note : title_of(figure));
    text_add(html, "</p>");
    if (figure->over && value > 1)
        page_warn(html, "Worse than nothing: an answer that knows nothing is nearer to the truth. If the views below are empty or "
                        "constant, the "
                        "intensities are the matter (pack with a window or percentiles, or another normalise=). If they look "
                        "right: more steps, a lower lr, clip=1.");
    text_add(html, "</div>");
}

static void add_summary(struct text *html, const struct report_log *log, const struct figure_words *list, int count) {
    char name[FIGURE_NAME + 32];
    text_add(html, "<div class=\"summary\">");
    if (count) add_main_figure(html, log, list, count);
    text_add(html, "<dl class=\"tiles\">");
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s%s%s", list[i].name, list[i].unit ? ", " : "", list[i].unit ? list[i].unit : "");
        page_tile_number(html, name, report_last(log, list[i].name), "");
    }
    page_tile_number(html, "steps", report_last_step(log), "");
    page_tile_speed(html, log);
    page_tile_time(html, "time in steps", report_seconds(log));
    text_add(html, "</dl></div>");
}

/* ---- curves */

static void add_chart(struct text *html, const struct report_log *log, const struct figure_words *figure) {
    char title[FIGURE_NAME];
    snprintf(title, sizeof title, "%s", title_of(figure));
    if (figure->title && title[0] >= 'a' && title[0] <= 'z') title[0] = (char)(title[0] - 'a' + 'A');
    const struct chart own = {
        title, figure->note, {{figure->name, figure->name, "a"}, {figure->over, figure->over, "b"}}, .from_zero = true};
    chart_add(html, &own, log);
    if (!figure->over) return;
    const char *name = figure_ratio(title, figure);
    chart_add(html, &(struct chart){name, "1 is nothing learnt, 0 is the truth.", {{name, "ratio", "a"}}, .from_zero = true}, log);
}

static cover_status add_log(struct text *html, const void *data) {
    const struct report *report = data;
    struct figure_words list[FIGURES];
    if (report->log.lines.count == 0) return COVER_OK;
    const int count = list_figures(list, report);
    add_summary(html, &report->log, list, count);
    page_curves_begin(html, "");
    for (int i = 0; i < count; i++)
        if (!is_yardstick(list, count, list[i].name)) add_chart(html, &report->log, &list[i]);
    page_curves_end(html, &report->log);
    return COVER_OK;
}

/* ---- samples of an objective that is not over pairs: the pictures of each in a row, a row a slice */

static cover_status add_sample(struct text *html, const struct report_sample *sample) {
    struct plane planes[3];
    int count = 1;
    for (int i = 0; i < sample->pictures; i++)
        if (sample->picture[i].grid.ndim == 3) count = 3;
    for (int p = 0; p < count; p++) {
        text_add(html, "<div class=\"row four\">");
        for (int i = 0; i < sample->pictures; i++) {
            const struct report_picture *picture = &sample->picture[i];
            if (picture_planes(planes, &picture->grid) <= p) continue;
            text_add(html, "<figure>");
            TRY(picture_image(html, picture->name, picture->values, &picture->grid, picture->channels, &planes[p],
                              picture_window(picture->values, &picture->grid, picture->channels)));
            text_add(html, "<figcaption>");
            html_add(html, picture->name);
            text_add(html, "</figcaption></figure>");
        }
        text_add(html, "</div>");
    }
    return COVER_OK;
}

static cover_status add_samples(struct text *html, const void *data) {
    const struct report *report = data;
    if (report->sample_count == 0) return COVER_OK;
    text_add(html, "<h2>Samples</h2><p class=\"soft\">What the network is given; drawn like all others, never trained on.</p>");
    for (int k = 0; k < report->sample_count; k++) {
        text_add(html, "<div class=\"pair\"><h3>%d", k + 1);
        if (report->samples[k].name && *report->samples[k].name) {
            text_add(html, " &middot; ");
            html_add(html, report->samples[k].name);
        }
        text_add(html, "</h3>");
        TRY(add_sample(html, &report->samples[k]));
        text_add(html, "</div>");
    }
    return COVER_OK;
}

/* ---- the page */

static cover_status (*const sections[])(struct text *html, const void *report) = {add_log, report_pairs, add_samples};

cover_status report_page_write(cover_context *context, const char *path, const struct report *report) {
    char kicker[80];
    snprintf(kicker, sizeof kicker, "%.60s pretraining", report->objective ? report->objective : "");
    const struct page page = {.kicker = report->objective ? kicker : "pretraining",
                              .run = report->run,
                              .dataset = report->dataset,
                              .config_json = report->config_json,
                              .paper = report->paper,
                              .section = sections,
                              .sections = sizeof sections / sizeof *sections,
                              .report = report};
    return page_write(context, path, &page);
}
