/* The roofline (Williams, Waterman and Patterson, 2009) as inline SVG: each operation's FLOP/s over its FLOP a byte, under the
 * roofs of this machine; a large dot an operation, a small one each of its layers.  Called by bench_page.c. */
#include "bench_page.h"

#include "plot.h"
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The drawing's own units; the page scales it. */
static const double winograd_gain = 2.25; /* multiplications of a direct convolution by those of F(2x2, 3x3) */
enum { WIDTH = 880, HEIGHT = 500, LEFT = 70, RIGHT = 20, TOP = 24, BOTTOM = 50, COLOURS = 8 };

struct frame { /* decades */
    double x_low, x_high, y_low, y_high;
};

static double x_of(const struct frame *frame, double intensity) {
    return LEFT + (WIDTH - LEFT - RIGHT) * (log10(intensity) - frame->x_low) / (frame->x_high - frame->x_low);
}
static double y_of(const struct frame *frame, double rate) {
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (log10(rate) - frame->y_low) / (frame->y_high - frame->y_low);
}

static bool on_the_chart(const struct bench_row *row) { return row->flops > 0 && row->bytes > 0 && row->seconds > 0; }

static void make_room(struct frame *frame, double intensity, double rate) {
    frame->x_low = fmin(frame->x_low, log10(intensity)), frame->x_high = fmax(frame->x_high, log10(intensity));
    frame->y_low = fmin(frame->y_low, log10(rate)), frame->y_high = fmax(frame->y_high, log10(rate));
}

/* What convolutions by Winograd can reach in the precision that they run in; 0 without convolutions. */
static double winograd_roof(const struct bench_figures *figures) {
    for (int i = 0; i < figures->op_count; i++)
        if (strncmp(figures->ops[i].op, "conv", 4) == 0 && on_the_chart(&figures->ops[i]))
            return winograd_gain * bench_roof(figures, &figures->ops[i]);
    return 0;
}

static bool make_frame(struct frame *frame, const struct bench_figures *figures) {
    const struct peak_rates *peak = &figures->peak.one;
    bool any = false;
    *frame = (struct frame){INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (int set = 0; set < 2; set++) {
        const struct bench_row *rows = set ? figures->layers : figures->ops;
        for (int i = 0; i < (set ? figures->layer_count : figures->op_count); i++)
            if (on_the_chart(&rows[i]))
                any = true, make_room(frame, rows[i].flops / rows[i].bytes, rows[i].flops / rows[i].seconds);
    }
    if (!any || !(peak->f32 > 0 && peak->bytes > 0)) return false;
    make_room(frame, peak->f32 / peak->bytes, peak->f32);
    if (peak->bf16 > 0) make_room(frame, peak->bf16 / peak->bytes, peak->bf16);
    if (winograd_roof(figures) > 0) make_room(frame, winograd_roof(figures) / peak->bytes, winograd_roof(figures));
    frame->x_low -= 0.3, frame->x_high += 0.3, frame->y_low -= 0.2, frame->y_high += 0.2;
    return true;
}

/* 1, 2, 5 in each decade where there is room for them, else the decades. */
static bool next_tick(double *tick, double high, bool fine) {
    double power = pow(10, floor(log10(*tick) + 1e-9)), part = *tick / power;
    *tick = power * (!fine ? 10 : part < 1.5 ? 2 : part < 3 ? 5 : 10);
    return log10(*tick) <= high;
}

static void add_grid(struct text *svg, const struct frame *frame) {
    bool fine = frame->y_high - frame->y_low < 2.5;
    for (double y = pow(10, floor(frame->y_low) - 1); next_tick(&y, frame->y_high, fine);)
        if (log10(y) >= frame->y_low)
            text_add(svg, "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>", LEFT,
                     y_of(frame, y), WIDTH - RIGHT, LEFT - 8, y_of(frame, y) + 4.5, y / 1e9);
    fine = frame->x_high - frame->x_low < 4;
    for (double x = pow(10, floor(frame->x_low) - 1); next_tick(&x, frame->x_high, fine);)
        if (log10(x) >= frame->x_low)
            text_add(svg, "<path class=\"grid\" d=\"M%.1f %dV%d\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>",
                     x_of(frame, x), TOP, HEIGHT - BOTTOM, x_of(frame, x), HEIGHT - BOTTOM + 20, x);
    text_add(svg, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">FLOP a byte</text>", WIDTH - RIGHT, HEIGHT - 6);
    text_add(svg, "<text x=\"%d\" y=\"%d\">GFLOP/s</text>", 12, TOP - 8);
}

static void add_flat_roof(struct text *svg, const struct frame *frame, const struct peak_rates *peak, double rate,
                          const char *style, const char *name) {
    double x = x_of(frame, rate / peak->bytes), y = y_of(frame, rate);
    text_add(svg, "<path class=\"%s\" d=\"M%.1f %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s, %.0f GFLOP/s</text>",
             style, x, y, WIDTH - RIGHT, WIDTH - RIGHT, y - 6, name, rate / 1e9);
}

static void add_roofs(struct text *svg, const struct frame *frame, const struct bench_figures *figures) {
    const struct peak_rates *peak = &figures->peak.one;
    double winograd = winograd_roof(figures), top = fmax(winograd, fmax(peak->f32, peak->bf16)),
           foot = pow(10, fmax(frame->x_low, frame->y_low - log10(peak->bytes)));
    double x1 = x_of(frame, foot), y1 = y_of(frame, foot * peak->bytes), x2 = x_of(frame, top / peak->bytes), y2 = y_of(frame, top);
    text_add(svg, "<path class=\"roof\" d=\"M%.1f %.1fL%.1f %.1f\"/>", x1, y1, x2, y2);
    double x = x1 + 0.35 * (x2 - x1), y = y1 + 0.35 * (y2 - y1);
    text_add(svg,
             "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" transform=\"rotate(%.2f %.1f %.1f)\">memory, %.0f GB/s</text>", x,
             y - 7, atan2(y2 - y1, x2 - x1) * 180 / acos(-1), x, y, peak->bytes / 1e9);
    add_flat_roof(svg, frame, peak, peak->f32, "roof", "fp32");
    if (peak->bf16 > 0) add_flat_roof(svg, frame, peak, peak->bf16, "roof", "bf16");
    if (winograd > 0)
        add_flat_roof(svg, frame, peak, winograd, "mark",
                      winograd > winograd_gain * peak->f32 ? "bf16 by Winograd" : "fp32 by Winograd");
}

/* The colour of an operation: its place among those on the chart. */
static int colour_of(const struct bench_figures *figures, const char *op) {
    int colour = 0;
    for (int i = 0; i < figures->op_count; i++) {
        if (!on_the_chart(&figures->ops[i])) continue;
        if (figures->ops[i].op == op) break;
        colour++;
    }
    return colour % COLOURS;
}

static void add_dot(struct text *svg, const struct frame *frame, const struct bench_figures *figures, const struct bench_row *row) {
    double intensity = row->flops / row->bytes, rate = row->flops / row->seconds, share = row->seconds / figures->ops_seconds;
    text_add(svg, "<circle class=\"%s c%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"><title>", row->layer[0] ? "layer" : "op",
             colour_of(figures, row->op), x_of(frame, intensity), y_of(frame, rate), row->layer[0] ? 3.2 : 6 + 12 * sqrt(share));
    html_add(svg, row->op);
    if (row->layer[0]) {
        text_add(svg, " ");
        html_add(svg, row->layer);
        text_add(svg, " (%s)", row->size);
    }
    text_add(svg, ": %.3g ms, %.1f%% of the time, %.0f GFLOP/s, %.1f GB/s, %.1f FLOP a byte, %.2f times its floor</title></circle>",
             1e3 * row->seconds, 100 * share, rate / 1e9, row->bytes / row->seconds / 1e9, intensity,
             row->seconds / row->floor_seconds);
}

void roofline_add(struct text *html, const struct bench_figures *figures) {
    struct frame frame;
    if (!make_frame(&frame, figures)) return;
    text_add(html, "<h2>Roofline</h2><p class=\"soft\">One thread; the roofs were measured in the same run.</p>"
                   "<figure class=\"chart measured\"><figcaption><b>GFLOP/s over FLOP a byte</b>");
    for (int i = 0; i < figures->op_count; i++)
        if (on_the_chart(&figures->ops[i]))
            text_add(html, "<span class=\"key c%d\"><i>%s</i></span>", colour_of(figures, figures->ops[i].op), figures->ops[i].op);
    text_add(html, "</figcaption><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Roofline\">", WIDTH, HEIGHT);
    add_grid(html, &frame);
    add_roofs(html, &frame, figures);
    for (int i = 0; i < figures->layer_count; i++)
        if (on_the_chart(&figures->layers[i])) add_dot(html, &frame, figures, &figures->layers[i]);
    for (int i = 0; i < figures->op_count; i++) /* the largest first, so that none hides another */
        if (on_the_chart(&figures->ops[i])) add_dot(html, &frame, figures, &figures->ops[i]);
    text_add(
        html,
        "</svg><p>Both axes are logarithmic. Large dots: operations, their area grows with their share of the time; small dots: "
        "their layers; the pointer shows figures. What is neither convolution nor MoV has no FLOPs counted, and stands "
        "in the table alone. Convolutions are counted as direct convolution: Winograd's form multiplies 2.25 times less, so its "
        "dots may lie above the roof, up to the dotted line. So may layers whose data is still in the cache lie above the "
        "memory's.</p></figure>");
}
