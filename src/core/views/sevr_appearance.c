/* SeVR's appearance transformation (paper, supplement B.1): noise, blur, contrast, brightness and in-painting, in this
 * order, each with its probability, on one view.  Called by sevr.c. */
#include "sevr_parts.h"

#include <math.h>
#include <string.h>

enum { PLANE_BRIGHTNESS = 1, PLANE_FILL = 1 }; /* of RANDOM_VIEW_APPEARANCE and of RANDOM_VIEW_INPAINT */

struct look { /* the view that is changed */
    float *view;
    const struct draw *draw;
    int64_t values; /* pixels x channels */
    void *scratch;
};

struct random_image appearance_noise(const struct draw *draw) {
    return draw_image(draw, RANDOM_VIEW_NOISE, 0);
}

static void add_noise(const struct look *look, float sigma) {
    enum { BLOCK = 1024 };
    float normal[BLOCK];
    const struct random_image noise = appearance_noise(look->draw);
    for (int64_t done = 0; done < look->values; done += BLOCK) {
        int64_t count = look->values - done < BLOCK ? look->values - done : BLOCK;
        random_image_normal(normal, &noise, done, count);
        for (int64_t i = 0; i < count; i++) look->view[done + i] += sigma * normal[i];
    }
}

static void blur(const struct look *look, float sigma) {
    struct grid grid = {.ndim = look->draw->work.ndim};
    memcpy(grid.size, look->draw->crop.size, sizeof grid.size);
    blur_image(look->view, &grid, look->draw->channels, (double)sigma, look->scratch);
}

size_t appearance_bytes(const struct settings *settings, const struct grid *crop, int channels) {
    return blur_bytes((double)(float)settings->views.blur, crop, channels); /* sigma is drawn as float32 */
}

/* ---- contrast and brightness */

/* (x - mean) gain + mean, the mean over all values. */
static void change_contrast(const struct look *look, float gain) {
    float mean = mean_value(look->view, look->values);
    for (int64_t i = 0; i < look->values; i++) look->view[i] = (look->view[i] - mean) * gain + mean;
}

float brightness_offset(const struct draw *draw, float sigma) {
    const struct random_image image = draw_image(draw, RANDOM_VIEW_APPEARANCE, PLANE_BRIGHTNESS);
    float offset;
    random_image_normal(&offset, &image, 0, 1);
    return sigma * offset;
}

static void change_brightness(const struct look *look, float sigma) {
    const float offset = brightness_offset(look->draw, sigma);
    for (int64_t i = 0; i < look->values; i++) look->view[i] += offset;
}

/* ---- in-painting: boxes of 3/30 to 4/30 of the view's sides, at least 3 pixels from its border, filled with U(0, 1);
 * boxes are drawn until the number is reached or a coin says stop */

enum { BORDER = 3 };

struct boxes boxes_of(const struct draw *draw, float amount) {
    return (struct boxes){draw, draw_stream(draw, RANDOM_VIEW_INPAINT), (int)amount};
}

bool boxes_next(struct window *box, struct boxes *boxes) {
    const int64_t *size = boxes->draw->crop.size;
    if (boxes->left-- <= 0 || !random_coin(&boxes->stream, boxes->draw->settings->views.inpaint_probability)) return false;
    *box = (struct window){.size = {1, 1, 1}};
    for (int a = 3 - boxes->draw->work.ndim; a < 3; a++) {
        int64_t least = size[a] * 3 / 30, most = size[a] * 4 / 30;
        box->size[a] = least + random_below(&boxes->stream, most - least + 1);
        box->first[a] = BORDER + random_below(&boxes->stream, size[a] - box->size[a] - 2 * BORDER + 1);
    }
    return true;
}

struct random_image appearance_fill(const struct draw *draw) {
    return draw_image(draw, RANDOM_VIEW_INPAINT, PLANE_FILL);
}

static void fill_box(const struct look *look, const struct window *box) {
    const struct random_image fill = appearance_fill(look->draw);
    const int64_t *size = look->draw->crop.size, channels = look->draw->channels;
    for (int64_t z = box->first[0]; z < box->first[0] + box->size[0]; z++)
        for (int64_t y = box->first[1]; y < box->first[1] + box->size[1]; y++) {
            int64_t place = ((z * size[1] + y) * size[2] + box->first[2]) * channels;
            random_image_uniform(look->view + place, &fill, place, box->size[2] * channels);
        }
}

static void inpaint(const struct look *look, float amount) {
    struct window box;
    for (struct boxes boxes = boxes_of(look->draw, amount); boxes_next(&box, &boxes);) fill_box(look, &box);
}

/* For each change in its order a coin, and an amount within low..high. */
void appearance_draw(struct appearance *appearance, const struct draw *draw) {
    const struct settings *s = draw->settings;
    const struct {
        double low, high;
    } amounts[CHANGES] = {
        [CHANGE_NOISE] = {0, s->views.noise},
        [CHANGE_BLUR] = {0, s->views.blur},
        [CHANGE_CONTRAST] = {s->views.contrast_low, s->views.contrast_high},
        [CHANGE_BRIGHTNESS] = {s->views.brightness, s->views.brightness},
        [CHANGE_INPAINT] = {(double)s->views.inpaint_boxes, (double)s->views.inpaint_boxes},
    };
    struct random_stream stream = draw_stream(draw, RANDOM_VIEW_APPEARANCE);
    for (int i = 0; i < CHANGES; i++) {
        appearance->wanted[i] = random_coin(&stream, s->views.appearance_probability);
        appearance->amount[i] = random_uniform(&stream, (float)amounts[i].low, (float)amounts[i].high);
    }
}

void appearance_change(float *view, const struct draw *draw, void *scratch) {
    static void (*const changes[CHANGES])(const struct look *look, float amount) = {
        [CHANGE_NOISE] = add_noise,          [CHANGE_BLUR] = blur,
        [CHANGE_CONTRAST] = change_contrast, [CHANGE_BRIGHTNESS] = change_brightness,
        [CHANGE_INPAINT] = inpaint,
    };
    const struct look look = {view, draw, draw->crop.size[0] * draw->crop.size[1] * draw->crop.size[2] * draw->channels, scratch};
    struct appearance appearance;
    appearance_draw(&appearance, draw);
    for (int i = 0; i < CHANGES; i++)
        if (appearance.wanted[i]) changes[i](&look, appearance.amount[i]);
}
