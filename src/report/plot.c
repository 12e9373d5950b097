/* Plots as SVG and PNG: see plot.h. */
#include "plot.h"

#include "io/image/image.h"
#include "report.h"
#include "style.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* The drawing's own units; the page scales it. */
enum { WIDTH = 880, HEIGHT = 460, LEFT = 64, RIGHT = 16, TOP = 12, BOTTOM = 44, SIDE = 820, MARGIN = 12 };

/* Tableau's ten */
const uint8_t plot_colours[PLOT_COLOURS][3] = {{78, 121, 167}, {242, 142, 43},  {225, 87, 89},   {118, 183, 178}, {89, 161, 79},
                                               {237, 201, 72}, {176, 122, 161}, {255, 157, 167}, {156, 117, 95},  {138, 133, 130}};

struct frame {
    double x_low, x_high, y_low, y_high; /* in the units of the axes: y may be a logarithm */
    double left, right, top, bottom;     /* in the drawing's */
};

static double y_value(const struct plot *plot, double y) { return plot->logarithmic ? y > 0 ? log10(y) : NAN : y; }
static double x_of(const struct frame *frame, double x) {
    return frame->left + (frame->right - frame->left) * (x - frame->x_low) / (frame->x_high - frame->x_low);
}
static double y_of(const struct frame *frame, double y) {
    return frame->bottom - (frame->bottom - frame->top) * (y - frame->y_low) / (frame->y_high - frame->y_low);
}

/* The range of all values; false when there are none. */
static bool frame_values(struct frame *frame, const struct plot *plot, const struct plot_series *series, int count) {
    *frame = (struct frame){.x_low = DBL_MAX, .x_high = -DBL_MAX, .y_low = DBL_MAX, .y_high = -DBL_MAX};
    for (int s = 0; s < count; s++)
        for (int64_t i = 0; i < series[s].count; i++) {
            double x = series[s].x[i], y = y_value(plot, series[s].y[i]);
            if (!isfinite(x) || !isfinite(y)) continue;
            frame->x_low = fmin(frame->x_low, x), frame->x_high = fmax(frame->x_high, x);
            frame->y_low = fmin(frame->y_low, y), frame->y_high = fmax(frame->y_high, y);
        }
    if (frame->x_low > frame->x_high) return false;
    if (plot->from_zero && !plot->logarithmic) frame->y_low = fmin(0, frame->y_low);
    if (!(frame->x_high > frame->x_low)) frame->x_low -= 0.5, frame->x_high += 0.5;
    double room = frame->y_high - frame->y_low;
    if (!(room > 1e-12 * fabs(frame->y_high))) room = fmax(1e-12, fabs(frame->y_high));
    frame->y_high += 0.05 * room;
    if (!plot->from_zero || plot->logarithmic) frame->y_low -= 0.05 * room;
    return true;
}

/* One scale for both axes, in a square. */
static void frame_square(struct frame *frame, double side) {
    double half = fmax(frame->x_high - frame->x_low, frame->y_high - frame->y_low) / 2;
    double x = (frame->x_low + frame->x_high) / 2, y = (frame->y_low + frame->y_high) / 2;
    *frame = (struct frame){x - half, x + half, y - half, y + half, MARGIN, side - MARGIN, MARGIN, side - MARGIN};
}

static void add_axes(struct text *svg, const struct plot *plot, const struct frame *frame) {
    double step = tick_step(frame->y_high - frame->y_low, 5);
    if (plot->logarithmic) step = fmax(1, step);
    for (double y = ceil(frame->y_low / step) * step; y <= frame->y_high; y += step) {
        double shown = plot->logarithmic ? pow(10, y) : fabs(y) < 1e-9 * step ? 0 : y;
        text_add(svg, "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>", LEFT,
                 y_of(frame, y), WIDTH - RIGHT, LEFT - 8, y_of(frame, y) + 4.5, shown);
    }
    step = tick_step(frame->x_high - frame->x_low, 8);
    for (double x = ceil(frame->x_low / step) * step; x <= frame->x_high; x += step)
        text_add(svg, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.6g</text>", x_of(frame, x), HEIGHT - BOTTOM + 20,
                 fabs(x) < 1e-9 * step ? 0 : x);
    if (plot->x_label) {
        text_add(svg, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", WIDTH - RIGHT, HEIGHT - 4);
        html_add(svg, plot->x_label);
        text_add(svg, "</text>");
    }
}

static void add_series(struct text *svg, const struct plot *plot, const struct frame *frame, const struct plot_series *series,
                       int index) {
    const uint8_t *rgb = plot_colours[index % PLOT_COLOURS];
    if (plot->dots) text_add(svg, "<g fill=\"#%02x%02x%02x\" fill-opacity=\".75\">", rgb[0], rgb[1], rgb[2]);
    else text_add(svg, "<polyline class=\"line\" stroke=\"#%02x%02x%02x\" points=\"", rgb[0], rgb[1], rgb[2]);
    for (int64_t i = 0; i < series->count; i++) {
        double x = series->x[i], y = y_value(plot, series->y[i]);
        if (!isfinite(x) || !isfinite(y)) continue;
        text_add(svg, plot->dots ? "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>" : "%.1f,%.1f ", x_of(frame, x), y_of(frame, y));
    }
    text_add(svg, plot->dots ? "</g>" : "\"/>");
    if (plot->dots || series->count != 1) return; /* a line of one point draws nothing */
    const double x = series->x[0], y = y_value(plot, series->y[0]);
    if (isfinite(x) && isfinite(y))
        text_add(svg, "<circle fill=\"#%02x%02x%02x\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>", rgb[0], rgb[1], rgb[2], x_of(frame, x),
                 y_of(frame, y));
}

void plot_add(struct text *html, const struct plot *plot, const struct plot_series *series, int count) {
    struct frame frame;
    if (!frame_values(&frame, plot, series, count)) return;
    if (plot->dots) frame_square(&frame, SIDE);
    else frame.left = LEFT, frame.right = WIDTH - RIGHT, frame.top = TOP, frame.bottom = HEIGHT - BOTTOM;
    text_add(html, "<figure class=\"chart\"><figcaption><b>");
    html_add(html, plot->title);
    text_add(html, "</b>");
    for (int s = 0; s < count; s++) {
        const uint8_t *rgb = plot_colours[s % PLOT_COLOURS];
        text_add(html, "<span class=\"key\" style=\"color:#%02x%02x%02x\"><i>", rgb[0], rgb[1], rgb[2]);
        html_add(html, series[s].name);
        text_add(html, "</i></span>");
    }
    text_add(html, "</figcaption><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", plot->dots ? SIDE : WIDTH,
             plot->dots ? SIDE : HEIGHT);
    html_add(html, plot->title);
    text_add(html, "\">");
    if (!plot->dots) add_axes(html, plot, &frame);
    for (int s = 0; s < count; s++) add_series(html, plot, &frame, &series[s], s);
    text_add(html, "</svg>");
    if (plot->note) {
        text_add(html, "<p>");
        html_add(html, plot->note);
        text_add(html, "</p>");
    }
    text_add(html, "</figure>");
}

void plot_page_begin(struct text *html, const char *title, const char *lead) {
    text_add(html, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
                   "content=\"width=device-width,initial-scale=1\"><title>");
    html_add(html, title);
    text_add(html, "</title><style>");
    text_add_bytes(html, report_style, strlen(report_style));
    text_add(html, ".chart{margin-top:2.2rem}</style></head><body><header><p class=\"kicker\">libcover analysis</p><h1>");
    html_add(html, title);
    text_add(html, "</h1><p>");
    html_add(html, lead);
    text_add(html, "</p></header><main>");
}

void plot_page_end(struct text *html) {
    text_add(html, "</main><footer><p>Written by libcover %s.</p></footer></body></html>\n", cover_version());
}

/* ---- PNG */

static void draw_dot(uint8_t *pixels, int side, double x, double y, double radius, const uint8_t rgb[3]) {
    for (int row = (int)floor(y - radius); row <= (int)ceil(y + radius); row++)
        for (int column = (int)floor(x - radius); column <= (int)ceil(x + radius); column++) {
            if (row < 0 || column < 0 || row >= side || column >= side) continue;
            double cover = fmin(1, fmax(0, radius + 0.5 - hypot(row - y, column - x))); /* soft at the rim */
            uint8_t *pixel = pixels + 3 * ((int64_t)row * side + column);
            for (int c = 0; c < 3; c++) pixel[c] = (uint8_t)lround(pixel[c] + cover * (rgb[c] - pixel[c]));
        }
}

cover_status plot_png(cover_context *context, uint8_t **png, size_t *bytes, const struct plot_series *series, int count, int side) {
    static const struct plot plain = {0};
    struct frame frame;
    size_t size = (size_t)3 * (size_t)side * (size_t)side;
    uint8_t *pixels = memory_alloc(context, size);
    if (!pixels) return COVER_ERROR_MEMORY;
    memset(pixels, 255, size);
    bool any = frame_values(&frame, &plain, series, count);
    frame_square(&frame, side);
    for (int s = 0; s < count && any; s++)
        for (int64_t i = 0; i < series[s].count; i++)
            if (isfinite(series[s].x[i]) && isfinite(series[s].y[i]))
                draw_dot(pixels, side, x_of(&frame, series[s].x[i]), y_of(&frame, series[s].y[i]), side / 300.0,
                         plot_colours[s % PLOT_COLOURS]);
    cover_status status = png_encode(context, png, bytes, pixels, side, side, 3);
    memory_free(context, pixels);
    return status;
}
