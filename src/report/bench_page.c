/* The page of bench: summary, roofline, time beside floor, tables.  Called by bench.c. */
#include "bench_page.h"

#include "report.h"

#include "core/base/number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void format_seconds(char *text, size_t bytes, double seconds) {
    if (seconds >= 1) number_print(text, bytes, "%.2f s", seconds);
    else if (seconds >= 1e-3) number_print(text, bytes, "%.3g ms", 1e3 * seconds);
    else number_print(text, bytes, "%.3g \xc2\xb5s", 1e6 * seconds);
}

/* ---- summary */

static void add_tile(struct text *html, const char *name, double seconds) {
    char text[32];
    if (!(seconds > 0)) return;
    format_seconds(text, sizeof text, seconds);
    page_tile(html, name, text);
}

static void add_summary(struct text *html, const struct bench_figures *f) {
    char text[64];
    format_seconds(text, sizeof text, f->seconds);
    text_add(html,
             "<div class=\"summary\"><div class=\"big\"><p class=\"soft\">a round, median of %d</p><b>%s</b><p class=\"soft\">",
             f->rounds, text);
    if (f->floor_seconds > 0) text_add(html, "%.2f times its convolutions alone. ", f->seconds / f->floor_seconds);
    text_add(html, "One thread, all operations: %.1f times their floors.</p></div><dl class=\"tiles\">",
             f->ops_seconds / f->ops_floor_seconds);
    add_tile(html, "least round", f->seconds_min);
    add_tile(html, "convolutions alone", f->floor_seconds);
    add_tile(html, "update", f->update_seconds);
    add_tile(html, "preparing, once", f->create_seconds);
    number_print(text, sizeof text, "%.0f MiB", (double)f->peak_bytes / (1 << 20));
    page_tile(html, "peak memory", text);
    snprintf(text, sizeof text, "%d x %d", f->lanes, f->team);
    page_tile(html, "lanes x threads", text);
    number_print(text, sizeof text, "%.0f GFLOP/s", f->peak.all.f32 / 1e9);
    page_tile(html, "fp32 peak, all threads", text);
    if (f->peak.all.bf16 > 0) {
        number_print(text, sizeof text, "%.0f GFLOP/s", f->peak.all.bf16 / 1e9);
        page_tile(html, "bf16 peak, all threads", text);
    }
    number_print(text, sizeof text, "%.1f GB/s", f->peak.all.bytes / 1e9);
    page_tile(html, "memory, all threads", text);
    text_add(html, "</dl></div>");
}

/* ---- time beside floor: a bar an operation */

enum { WIDTH = 880, NAMES = 180, NUMBERS = 190, ROW = 24, BAR = 14 };

static void add_bars(struct text *html, const struct bench_figures *f) {
    double longest = 0;
    for (int i = 0; i < f->op_count; i++) longest = fmax(longest, fmax(f->ops[i].seconds, f->ops[i].floor_seconds));
    if (!(longest > 0)) return;
    double scale = (WIDTH - NAMES - NUMBERS) / longest;
    text_add(html,
             "<figure class=\"chart measured\"><figcaption><b>Time of each operation, and its floor</b><span class=\"key "
             "a\"><i>floor</i></span>"
             "<span class=\"key spent\"><i>time</i></span></figcaption><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Time "
             "and floor\">",
             WIDTH, f->op_count * ROW);
    for (int i = 0; i < f->op_count; i++) {
        const struct bench_row *row = &f->ops[i];
        char time[32];
        double y = i * ROW + (ROW - BAR) / 2.0, end = NAMES + scale * fmax(row->seconds, row->floor_seconds);
        format_seconds(time, sizeof time, row->seconds);
        text_add(html, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>", NAMES - 10, y + BAR - 2.5, row->op);
        text_add(html, "<rect class=\"spent\" x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\"/>", NAMES, y, scale * row->seconds,
                 BAR);
        text_add(html, "<rect class=\"floor\" x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\"/>", NAMES, y,
                 scale * fmin(row->seconds, row->floor_seconds), BAR);
        if (row->floor_seconds > row->seconds)
            text_add(html, "<path class=\"roof\" d=\"M%.1f %.1fv%d\"/>", NAMES + scale * row->floor_seconds, y - 2, BAR + 4);
        text_add(html, "<text x=\"%.1f\" y=\"%.1f\">%s, %.2g&#215;</text>", end + 8, y + BAR - 2.5, time,
                 row->seconds / row->floor_seconds);
    }
    text_add(html, "</svg><p>One pair on one thread. The floor is the larger of FLOPs at peak rate and bytes at the memory's rate, "
                   "layer by layer; a line beyond a bar is a floor that was undercut.</p></figure>");
}

/* ---- tables */

static void add_number(struct text *html, double value, const char *format) {
    char text[32];
    number_print(text, sizeof text, format, value);
    text_add(html, "<td>%s</td>", value > 0 ? text : "");
}

static void add_table(struct text *html, const struct bench_figures *f, const struct bench_row *rows, int count, bool layers) {
    text_add(
        html,
        "<div "
        "class=\"wide\"><table><tr><th>operation</th><th>%s</th><th>ms</th><th>%%</th><th>GFLOP</th><th>MB</th><th>GFLOP/s</th>"
        "<th>GB/s</th><th>floor, ms</th><th>&#215; floor</th><th>bound by</th></tr>",
        layers ? "layer" : "n");
    for (int i = 0; i < count; i++) {
        const struct bench_row *row = &rows[i];
        text_add(html, "<tr><th>%s</th>", row->op);
        if (layers) {
            text_add(html, "<td>");
            html_add(html, row->layer);
            text_add(html, " (%s)</td>", row->size);
        } else text_add(html, "<td>%d</td>", row->count);
        add_number(html, 1e3 * row->seconds, "%.3f");
        add_number(html, 100 * row->seconds / f->ops_seconds, "%.1f");
        add_number(html, row->flops / 1e9, "%.2f");
        add_number(html, row->bytes / 1e6, "%.1f");
        add_number(html, row->flops / row->seconds / 1e9, "%.1f");
        add_number(html, row->bytes / row->seconds / 1e9, "%.1f");
        add_number(html, 1e3 * row->floor_seconds, "%.3f");
        add_number(html, row->seconds / row->floor_seconds, "%.2f");
        text_add(html, "<td>%s</td></tr>", row->memory_bound ? "memory" : row->bf16 ? "bf16" : "fp32");
    }
    if (!layers) {
        text_add(html, "<tr><th>sum</th><td></td>");
        add_number(html, 1e3 * f->ops_seconds, "%.3f");
        text_add(html, "<td></td><td></td><td></td><td></td><td></td>");
        add_number(html, 1e3 * f->ops_floor_seconds, "%.3f");
        add_number(html, f->ops_seconds / f->ops_floor_seconds, "%.2f");
        text_add(html, "<td></td></tr>");
    }
    text_add(html, "</table></div>");
}

cover_status bench_page_write(cover_context *context, const char *path, const struct bench_figures *figures) {
    const struct bench_figures *f = figures;
    struct text html = {.context = context};
    char title[128], lead[160], size[80];
    snprintf(size, sizeof size, "%lldx%lld", (long long)f->size, (long long)f->size);
    if (f->dims == 3) snprintf(size + strlen(size), sizeof size - strlen(size), "x%lld", (long long)f->size);
    snprintf(title, sizeof title, "%s, %s, %s", f->part, size, f->precision);
    snprintf(lead, sizeof lead, "%d thread%s, random data, full widths", f->threads, f->threads == 1 ? "" : "s");
    if (strcmp(f->part, "step") == 0)
        snprintf(lead + strlen(lead), sizeof lead - strlen(lead), ", %lld pair%s a step", (long long)f->pairs,
                 f->pairs == 1 ? "" : "s");
    page_begin(&html, "COVER bench", title, lead);
    add_summary(&html, f);
    roofline_add(&html, f);
    text_add(&html, "<h2>Operations</h2><p class=\"soft\">Bytes: every input read once, every output written once.</p>");
    add_bars(&html, f);
    add_table(&html, f, f->ops, f->op_count, false);
    if (f->layer_count) {
        text_add(&html, "<details><summary>%d layers, as they run</summary>", f->layer_count);
        add_table(&html, f, f->layers, f->layer_count, true);
        text_add(&html, "</details>");
    }
    cover_status status = page_end(&html, path, NULL);
    text_free(&html);
    return status;
}
