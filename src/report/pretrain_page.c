/* The page of a pretraining run: summary, curves, samples.  Called by cover_report_write(). */
#include "report.h"

#include <math.h>

/* ---- summary and curves */

static void add_summary(struct text *html, const struct report_log *log) {
    double ratio = report_last(log, "l_vec") / report_last(log, "l_zero");
    text_add(html, "<div class=\"summary\"><div class=\"big\"><p class=\"soft\">l_vec / l_zero</p>");
    if (isfinite(ratio)) text_add(html, "<b>%.2f</b>", ratio);
    else text_add(html, "<b>&ndash;</b>");
    if (isfinite(ratio) && ratio < 1)
        text_add(html,
                 "<p class=\"soft\">The vector loss is %.0f&thinsp;%% below that of answering &ldquo;nothing moved&rdquo; "
                 "on the same views.</p>",
                 100 * (1 - ratio));
    else
        text_add(html, "<p class=\"soft\">The vector loss against that of answering &ldquo;nothing moved&rdquo; on the same "
                       "views; below 1 something was learnt.</p>");
    text_add(html, "</div><dl class=\"tiles\">");
    page_tile_number(html, "l_vec, pixels", report_last(log, "l_vec"), "");
    page_tile_number(html, "l_con", report_last(log, "l_con"), "");
    page_tile_number(html, "l_zero, pixels", report_last(log, "l_zero"), "");
    page_tile_number(html, "steps", report_last_step(log), "");
    page_tile_number(html, "pairs a second", report_last(log, "pairs_per_s"), "");
    page_tile_time(html, "time in steps", report_seconds(log));
    text_add(html, "</dl></div>");
}

static void add_charts(struct text *html, const struct report_log *log) {
    static const struct chart charts[] = {
        {"Vector loss",
         "Sum of |truth \xe2\x88\x92 prediction| over the axes, a valid pixel, in pixels.",
         {{"l_vec", "l_vec", "a"}, {"l_zero", "l_zero", "b"}},
         .from_zero = true},
        {"l_vec / l_zero", "1 is nothing learnt, 0 is the truth.", {{"l_vec", "ratio", "a", "l_zero"}}, .from_zero = true},
        {"Consistency loss",
         "1 \xe2\x88\x92 mean cosine of the two views' features at the same point.",
         {{"l_con", "l_con", "a"}},
         .from_zero = true},
    };
    page_curves_begin(html, "");
    for (size_t i = 0; i < sizeof charts / sizeof *charts; i++) chart_add(html, &charts[i], log);
    page_curves_end(html, log, "pairs_per_s", "pairs a second");
}

/* ---- the page */

static cover_status add_log(struct text *html, const void *data) {
    const struct report *report = data;
    if (report->log.lines.count == 0) return COVER_OK;
    add_summary(html, &report->log);
    add_charts(html, &report->log);
    return COVER_OK;
}

static cover_status (*const sections[])(struct text *html, const void *report) = {add_log, report_pairs};

cover_status report_page_write(cover_context *context, const char *path, const struct report *report) {
    const struct page page = {.kicker = "COVER pretraining",
                              .run = report->run,
                              .dataset = report->dataset,
                              .config_json = report->config_json,
                              .section = sections,
                              .sections = 2,
                              .report = report};
    return page_write(context, path, &page);
}
