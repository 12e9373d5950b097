/* What the page of every run has: head, tiles, curves, settings, foot.  The sections between are the kind's.  Called by
 * pretrain_page.c, task_page.c and bench_page.c. */
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/number.h"
#include "report.h"
#include "style.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void html_add(struct text *html, const char *text) {
    for (; *text; text++) {
        size_t plain = strcspn(text, "<>&\"'");
        text_add_bytes(html, text, plain);
        text += plain;
        if (!*text) break;
        text_add(html, "&#%d;", *text);
    }
}

void page_warn(struct text *html, const char *text) {
    text_add(html, "<p class=\"warn\" role=\"note\">");
    html_add(html, text);
    text_add(html, "</p>");
}

/* ---- tiles */

void page_tile(struct text *html, const char *name, const char *value) {
    text_add(html, "<div><dt>");
    html_add(html, name);
    text_add(html, "</dt><dd>");
    html_add(html, value);
    text_add(html, "</dd></div>");
}

void page_tile_number(struct text *html, const char *name, double value, const char *unit) {
    char text[64] = "not known";
    if (isfinite(value)) number_print(text, sizeof text, "%.4g%s", value, unit);
    page_tile(html, name, text);
}

void page_tile_time(struct text *html, const char *name, double seconds) {
    char text[64];
    if (seconds >= 3600)
        number_print(text, sizeof text, "%.0f h %02.0f min", floor(seconds / 3600), floor(fmod(seconds, 3600) / 60));
    else if (seconds >= 60) number_print(text, sizeof text, "%.0f min %02.0f s", floor(seconds / 60), floor(fmod(seconds, 60)));
    else number_print(text, sizeof text, "%.1f s", seconds);
    page_tile(html, name, text);
}

/* The series of the log that is a speed, and what it is called; NULL when there is none. */
static const struct report_series *speed_of(char *name, size_t bytes, const struct report_log *log) {
    static const char ending[] = "_per_s";
    for (int i = 0; i < log->count; i++) {
        if (!has_suffix(log->series[i].name, ending)) continue;
        snprintf(name, bytes, "%.*s a second", (int)(strlen(log->series[i].name) - strlen(ending)), log->series[i].name);
        return &log->series[i];
    }
    return NULL;
}

void page_tile_speed(struct text *html, const struct report_log *log) {
    char name[FIGURE_NAME + 16];
    const struct report_series *speed = speed_of(name, sizeof name, log);
    if (speed) page_tile_number(html, name, report_last(log, speed->name), "");
}

/* ---- curves */

void page_curves_begin(struct text *html, const char *more) {
    text_add(html,
             "<h2>Curves</h2><p class=\"soft\">Thin: as logged; strong: smoothed. The figures beside the names are "
             "the last logged.%s</p><div class=\"charts\">",
             more);
}

void page_curves_end(struct text *html, const struct report_log *log) {
    char name[FIGURE_NAME + 16];
    const struct report_series *speed = speed_of(name, sizeof name, log);
    const struct chart charts[] = {
        {"Gradient norm", "Global norm before clipping; logarithmic.", {{"grad_norm", "norm", "a"}}, .logarithmic = true},
        {"Learning rate", NULL, {{"lr", "lr", "a"}}, .from_zero = true, .exact = true},
        {"Speed", NULL, {{speed ? speed->name : NULL, name, "a"}}, .from_zero = true},
    };
    for (size_t i = 0; i < sizeof charts / sizeof *charts; i++) chart_add(html, &charts[i], log);
    text_add(html, "</div>");
}

/* ---- settings and frame */

static void add_settings(struct text *html, const char *config_json) {
    if (!config_json) return;
    json_t *config, *value;
    const char *name;
    if (json_read(&config, "settings", config_json, strlen(config_json)) == COVER_ERROR_MEMORY) html->failed = true;
    text_add(html, "<h2>Settings</h2><dl class=\"settings\">");
    json_object_foreach(config, name, value) {
        struct text text = {.context = html->context};
        if (!json_is_string(value)) text_add_value(&text, value);
        html->failed = html->failed || text.failed;
        text_add(html, "<div><dt>");
        html_add(html, name);
        text_add(html, "</dt><dd>");
        html_add(html, text.data ? text.data : json_is_string(value) ? json_string_value(value) : "");
        text_add(html, "</dd></div>");
        text_free(&text);
    }
    json_decref(config);
    text_add(html, "</dl>");
}

void page_begin(struct text *html, const char *kicker, const char *run, const char *dataset) {
    text_add(html, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
                   "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>");
    html_add(html, run);
    text_add(html, " \xc2\xb7 COVER</title><style>%s</style></head><body><header><p class=\"kicker\">%s</p><h1>", report_style,
             kicker);
    html_add(html, run);
    text_add(html, "</h1>");
    if (dataset) {
        text_add(html, "<p>");
        html_add(html, dataset);
        text_add(html, "</p>");
    }
    text_add(html, "</header><main>");
}

cover_status page_end(struct text *html, const char *path, const char *paper) {
    static const char own[] =
        "Vector Contrastive Learning For Pixel-Wise Pre-Training In Medical Vision, ICCV 2025, arXiv 2506.20850";
    cover_context *context = html->context;
    char *page = NULL;
    text_add(html, "</main><footer><p>Written by libcover %s. For research; not a medical device. Method: ", cover_version());
    html_add(html, paper ? paper : own);
    text_add(html, ".</p></footer></body></html>\n");
    size_t bytes = html->length;
    TRY(text_take(html, &page));
    cover_status status = file_replace(context, path, page, bytes);
    memory_free(context, page);
    return status;
}

cover_status page_write(cover_context *context, const char *path, const struct page *page) {
    struct text html = {.context = context};
    cover_status status = COVER_OK;
    page_begin(&html, page->kicker, page->run, page->dataset);
    for (int i = 0; i < page->sections; i++) GO(page->section[i](&html, page->report));
    add_settings(&html, page->config_json);
    status = page_end(&html, path, page->paper);
done:
    text_free(&html);
    return status;
}
