/* Loss curves as inline SVG: the figures as logged, thin, and smoothed, strong.  Called by page.c. */
#include "plot.h"
#include "report.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The drawing's own units; the page scales it. */
enum { WIDTH = 440, HEIGHT = 230, LEFT = 56, RIGHT = 12, TOP = 12, BOTTOM = 32, POINTS_MAX = 500 };

struct points { /* one curve, brought down to POINTS_MAX */
    int count;
    double step[POINTS_MAX], value[POINTS_MAX], smooth[POINTS_MAX];
};

struct axes {
    double x_low, x_high, y_low, y_high;
    bool logarithmic;
};

/* Means over equal runs of points; what is not finite, or has no logarithm, is left out. */
static void thin_out(struct points *points, const struct chart_line *line, bool logarithmic) {
    points->count = 0;
    int64_t buckets = line->count < POINTS_MAX ? line->count : POINTS_MAX;
    for (int64_t b = 0; b < buckets; b++) {
        double sum = 0, steps = 0;
        int64_t count = 0;
        for (int64_t i = b * line->count / buckets; i < (b + 1) * line->count / buckets; i++) {
            double value = line->value[i];
            if (!isfinite(value) || (logarithmic && value <= 0)) continue;
            sum += logarithmic ? log10(value) : value;
            steps += line->step[i];
            count++;
        }
        if (!count) continue;
        points->step[points->count] = steps / (double)count;
        points->value[points->count++] = sum / (double)count;
    }
}

/* Gaussian weights over the neighbours, two in a hundred points wide. */
static void smooth(struct points *points) {
    double sigma = fmax(1, 0.02 * points->count);
    int reach = (int)ceil(3 * sigma);
    for (int i = 0; i < points->count; i++) {
        double sum = 0, weights = 0;
        for (int j = i - reach; j <= i + reach; j++) {
            if (j < 0 || j >= points->count) continue;
            double weight = exp(-0.5 * (j - i) * (j - i) / (sigma * sigma));
            sum += weight * points->value[j], weights += weight;
        }
        points->smooth[i] = sum / weights;
    }
}

/* Room for the smoothed curve and for nearly all of the raw one: a few outliers may leave the chart. */
static void grow(struct axes *axes, const struct points *points) {
    double mean = 0, square = 0;
    for (int i = 0; i < points->count; i++) {
        double away = points->value[i] - points->smooth[i];
        axes->y_low = fmin(axes->y_low, points->smooth[i]);
        axes->y_high = fmax(axes->y_high, points->smooth[i]);
        mean += away / points->count, square += away * away / points->count;
    }
    double spread = 2 * sqrt(fmax(0, square - mean * mean));
    for (int i = 0; i < points->count; i++) {
        axes->y_low = fmin(axes->y_low, fmax(points->value[i], points->smooth[i] - spread));
        axes->y_high = fmax(axes->y_high, fmin(points->value[i], points->smooth[i] + spread));
    }
}

/* 1, 2 or 5 times a power of ten, so that about `count` of them fill the range */
double tick_step(double range, int count) {
    double raw = range / count, power = pow(10, floor(log10(raw))), part = raw / power;
    return power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

static double x_of(const struct axes *axes, double step) {
    return LEFT + (WIDTH - LEFT - RIGHT) * (step - axes->x_low) / (axes->x_high - axes->x_low);
}
static double y_of(const struct axes *axes, double value) {
    return TOP + (HEIGHT - TOP - BOTTOM) * (axes->y_high - value) / (axes->y_high - axes->y_low);
}

static void add_step_label(struct text *svg, double x, double step) {
    const char *anchor = x > WIDTH - RIGHT - 16 ? "end" : "middle";
    text_add(svg, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">", x, HEIGHT - 9, anchor);
    if (step >= 1e6) text_add(svg, "%gM</text>", step / 1e6);
    else if (step >= 1e4) text_add(svg, "%gk</text>", step / 1e3);
    else text_add(svg, "%g</text>", step);
}

static void add_level(struct text *svg, const struct axes *axes, double value, double shown) {
    double y = y_of(axes, value);
    text_add(svg, "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>", LEFT, y,
             WIDTH - RIGHT, LEFT - 7, y + 4.5, shown);
}

/* Powers of ten, and the more between them the fewer there are. */
static void add_decades(struct text *svg, const struct axes *axes) {
    static const struct {
        double below; /* decades on the axis */
        double multiples[8];
    } ticks[] = {{1, {1, 1.5, 2, 3, 4, 5, 7}}, {2.5, {1, 2, 5}}, {DBL_MAX, {1}}};
    double range = axes->y_high - axes->y_low, step = fmax(1, tick_step(range, 5));
    const double *multiple = ticks[range < ticks[0].below ? 0 : range < ticks[1].below ? 1 : 2].multiples;
    for (double decade = floor(axes->y_low / step) * step; decade <= axes->y_high; decade += step)
        for (int i = 0; multiple[i] > 0; i++) {
            double value = decade + log10(multiple[i]);
            if (value >= axes->y_low && value <= axes->y_high) add_level(svg, axes, value, multiple[i] * pow(10, decade));
        }
}

static void add_axes(struct text *svg, const struct axes *axes) {
    double step = tick_step(axes->y_high - axes->y_low, 4);
    if (axes->logarithmic) add_decades(svg, axes);
    else
        for (double value = ceil(axes->y_low / step) * step; value <= axes->y_high + 1e-9 * step; value += step)
            add_level(svg, axes, value, fabs(value) < 1e-9 * step ? 0 : value);
    step = fmax(1, tick_step(axes->x_high - axes->x_low, 5));
    for (double value = ceil(axes->x_low / step) * step; value <= axes->x_high + 1e-9 * step; value += step)
        add_step_label(svg, x_of(axes, value), value);
}

static void add_line(struct text *svg, const struct axes *axes, const struct points *points, const double *values,
                     const char *colour, const char *kind) {
    text_add(svg, "<polyline class=\"%s %s\" points=\"", kind, colour);
    for (int i = 0; i < points->count; i++)
        text_add(svg, "%s%.1f,%.1f", i ? " " : "", x_of(axes, points->step[i]),
                 y_of(axes, fmin(axes->y_high, fmax(axes->y_low, values[i]))));
    text_add(svg, "\"/>");
}

/* Few points stand for themselves. */
static void add_dots(struct text *svg, const struct axes *axes, const struct points *points, const char *colour) {
    enum { MOST = 60 };
    for (int i = 0; i < points->count && points->count <= MOST; i++)
        text_add(svg, "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.4\"/>", colour, x_of(axes, points->step[i]),
                 y_of(axes, points->value[i]));
}

static double last_value(const struct chart_line *line) {
    for (int64_t i = line->count - 1; i >= 0; i--)
        if (isfinite(line->value[i])) return line->value[i];
    return NAN;
}

static void add_heading(struct text *html, const struct chart *chart, const struct chart_line *lines, int count) {
    text_add(html, "<figure class=\"chart\"><figcaption><b>");
    html_add(html, chart->title);
    text_add(html, "</b>");
    for (int c = 0; c < count; c++) {
        double last = last_value(&lines[c]);
        text_add(html, "<span class=\"key %s\">", lines[c].colour);
        html_add(html, lines[c].name);
        if (isfinite(last)) text_add(html, " <i>%.4g</i>", last);
        text_add(html, "</span>");
    }
    text_add(html, "</figcaption>");
}

static double value_at(const struct chart_line *line, double step) {
    for (int64_t i = 0; i < line->count; i++)
        if (line->step[i] == step) return line->value[i];
    return NAN;
}

/* Some of the values, for who does not see the curves: rows are steps of the longest line. */
static void add_values(struct text *html, const struct chart_line *lines, int count) {
    enum { ROWS = 12 };
    const struct chart_line *longest = &lines[0];
    for (int c = 1; c < count; c++)
        if (lines[c].count > longest->count) longest = &lines[c];
    const int64_t rows = longest->count < ROWS ? longest->count : ROWS;
    text_add(html, "<details><summary>Values</summary><div class=\"wide\"><table><tr class=\"at\"><th>step</th>");
    for (int c = 0; c < count; c++) {
        text_add(html, "<th>");
        html_add(html, lines[c].name);
        text_add(html, "</th>");
    }
    for (int64_t r = 0; r < rows; r++) {
        const double step = longest->step[rows > 1 ? r * (longest->count - 1) / (rows - 1) : 0];
        text_add(html, "</tr><tr class=\"at\"><th>%.15g</th>", step);
        for (int c = 0; c < count; c++) {
            const double value = value_at(&lines[c], step);
            if (isfinite(value)) text_add(html, "<td>%.4g</td>", value);
            else text_add(html, "<td>\xe2\x80\x93</td>");
        }
    }
    text_add(html, "</tr></table></div></details>");
}

/* What all lines need of the plane; false when there is nothing to draw. */
static bool find_axes(struct axes *axes, const struct chart *chart, const struct chart_line *lines, int count) {
    struct points points;
    int drawn = 0;
    *axes = (struct axes){.x_high = 1, .y_low = DBL_MAX, .y_high = -DBL_MAX, .logarithmic = chart->logarithmic};
    for (int c = 0; c < count; c++) {
        thin_out(&points, &lines[c], chart->logarithmic);
        smooth(&points);
        if (chart->exact) memcpy(points.smooth, points.value, sizeof points.smooth);
        grow(axes, &points);
        drawn += points.count;
        if (lines[c].count) axes->x_high = fmax(axes->x_high, lines[c].step[lines[c].count - 1]);
    }
    axes->x_high = fmax(axes->x_high, chart->last_step);
    const bool from_zero = chart->from_zero && axes->y_low >= 0;
    if (from_zero) axes->y_low = 0;
    double room = axes->y_high - axes->y_low;
    if (!(room > 1e-12 * fabs(axes->y_high))) room = fmax(1e-12, fabs(axes->y_high)), axes->y_low -= from_zero ? 0 : room / 2;
    axes->y_high += 0.05 * room;
    if (!from_zero) axes->y_low -= 0.05 * room;
    return drawn > 0;
}

void chart_lines(struct text *html, const struct chart *chart, const struct chart_line *lines, int count) {
    struct points points;
    struct axes axes;
    if (!find_axes(&axes, chart, lines, count)) return;
    add_heading(html, chart, lines, count);
    text_add(html, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
    html_add(html, chart->title);
    for (int c = 0; c < count; c++) {
        const double last = last_value(&lines[c]);
        text_add(html, c ? ", " : ": ");
        html_add(html, lines[c].name);
        if (isfinite(last)) text_add(html, " %.4g at the end", last);
    }
    text_add(html, "\">");
    add_axes(html, &axes);
    if (chart->mark_step > 0)
        text_add(html, "<path class=\"mark\" d=\"M%.1f %dV%d\"/>", x_of(&axes, chart->mark_step), TOP, HEIGHT - BOTTOM);
    for (int c = 0; c < count; c++) {
        thin_out(&points, &lines[c], chart->logarithmic);
        smooth(&points);
        if (!chart->exact) add_line(html, &axes, &points, points.value, lines[c].colour, "raw");
        add_line(html, &axes, &points, chart->exact ? points.value : points.smooth, lines[c].colour, "line");
        if (chart->dots || points.count == 1) add_dots(html, &axes, &points, lines[c].colour);
    }
    text_add(html, "</svg>");
    if (chart->note) {
        text_add(html, "<p>");
        html_add(html, chart->note);
        text_add(html, "</p>");
    }
    add_values(html, lines, count);
    text_add(html, "</figure>");
}

void chart_add(struct text *html, const struct chart *chart, const struct report_log *log) {
    struct chart shown = *chart;
    struct chart_line lines[CHART_CURVES];
    int count = 0;
    if (log->lines.count) shown.last_step = report_last_step(log);
    for (int c = 0; c < CHART_CURVES; c++) {
        const struct curve *curve = &chart->curve[c];
        const struct report_series *series = curve->key ? report_find(log, curve->key) : NULL;
        if (!series || series->count == 0) continue;
        lines[count++] = (struct chart_line){curve->name, curve->colour, series->step, series->value, series->count};
    }
    chart_lines(html, &shown, lines, count);
}
