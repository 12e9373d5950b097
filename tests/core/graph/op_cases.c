/* The cases of test_ops.c: a row an op, and the double that every executor is compared with. */
#include "op_cases.h"
#include "op_cases_regress.h"

#include "../../check_main.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- drawing */

int scene_pick(struct scene *scene, int low, int high) {
    return low + (int)(random_word(&scene->random) % (uint32_t)(high - low + 1));
}
double scene_uniform(struct scene *scene, double low, double high) {
    return (double)random_uniform(&scene->random, (float)low, (float)high);
}
bool toss(struct scene *scene) { return scene_pick(scene, 0, 1); }

static struct scene_input *add_input(struct scene *scene, int images, const struct grid *grid, int64_t channels, double low,
                                     double high) {
    ck_assert_int_lt(scene->inputs, SCENE_INPUTS);
    struct scene_input *in = &scene->in[scene->inputs++];
    *in = (struct scene_input){.smooth = true,
                               .row = ABSENT,
                               .images = images,
                               .grid = *grid,
                               .channels = channels,
                               .norm = ABSENT,
                               .count = images * grid_pixels(grid) * channels};
    in->values = calloc((size_t)in->count, sizeof *in->values);
    for (int64_t i = 0; i < in->count; i++) in->values[i] = scene_uniform(scene, low, high);
    return in;
}

int scene_values(struct scene *scene, const char *name, int images, const struct grid *grid, int64_t channels, double low,
                 double high) {
    struct scene_input *in = add_input(scene, images, grid, channels, low, high);
    in->tensor = in->read = graph_input(&scene->graph, name, images, grid, channels);
    return scene->inputs - 1;
}

int parameter(struct scene *scene, const char *name, int rank, const int64_t *shape, double low, double high) {
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= shape[i];
    struct scene_input *in = add_input(scene, 1, &(struct grid){2, {1, 1, 1}}, count, low, high);
    in->parameter = true;
    in->tensor = in->read = graph_parameter(&scene->graph, name, rank, shape, 1, INIT_ZERO);
    in->row = scene->graph.tensors[in->tensor].index;
    return scene->inputs - 1;
}
static int vector(struct scene *scene, const char *name, int64_t count, double low, double high) {
    return parameter(scene, name, 1, &count, low, high);
}

/* x as a tensor of `element` that a node has made: a convolution with the identity. */
static int made(struct scene *scene, int x, enum element element) {
    const struct tensor *tensor = &scene->graph.tensors[x];
    char name[32];
    const int rank = 2 + tensor->grid.ndim;
    const int64_t shape[5] = {tensor->channels, tensor->channels, 1, 1, 1};
    snprintf(name, sizeof name, "identity %dd %d", tensor->grid.ndim, (int)tensor->channels);
    const int weights = graph_parameter(&scene->graph, name, rank, shape, 1, INIT_ZERO);
    scene->frozen[scene->graph.tensors[weights].index] = true;
    return graph_conv(&scene->graph, x, ABSENT, weights, ABSENT, 1, element, NULL);
}

static int normalise(struct scene *scene, int x, int *number) {
    struct scene_norm norm = {.slope = toss(scene) ? 0.2 : 1};
    const int64_t channels = scene->graph.tensors[x].channels;
    char name[32];
    norm.groups = channels % 2 == 0 && toss(scene) ? (int)channels / 2 : 1;
    snprintf(name, sizeof name, "gamma %d", scene->norms);
    norm.gamma = vector(scene, name, channels, 0.5, 1.5);
    snprintf(name, sizeof name, "beta %d", scene->norms);
    norm.beta = vector(scene, name, channels, -0.5, 0.5);
    scene->norm[ *number = scene->norms++] = norm;
    return graph_norm_act(&scene->graph, x, scene->in[norm.gamma].tensor, scene->in[norm.beta].tensor, ABSENT, ABSENT,
                          (struct norm_attributes){norm.groups, 1e-5f, (float)norm.slope});
}

/* of_a_node: a gradient for it can be added to in place */
static int feature(struct scene *scene, const char *name, int images, const struct grid *grid, int64_t channels, bool normalised,
                   bool of_a_node) {
    const int number = scene_values(scene, name, images, grid, channels, -2, 2);
    struct scene_input *in = &scene->in[number];
    for (int64_t i = 0; scene->element == ELEMENT_BF16 && i < in->count; i++)
        in->values[i] = (double)bf16_to_float(bf16_from_float((float)in->values[i]));
    if (scene->element == ELEMENT_BF16 || of_a_node) in->read = made(scene, in->read, scene->element);
    if (normalised) in->read = normalise(scene, in->read, &in->norm);
    return number;
}
int scene_feature(struct scene *scene, const char *name, int images, const struct grid *grid, int64_t channels, bool normalised) {
    return feature(scene, name, images, grid, channels, normalised && toss(scene), false);
}

static int64_t drawn_channels(struct scene *scene) {
    static const int64_t channels[] = {1, 2, 3, 4, 6, 8, 13, 16};
    return channels[scene_pick(scene, 0, 7)];
}
static struct grid drawn_grid(struct scene *scene, int least) {
    struct grid grid = {2 + scene_pick(scene, 0, 1), {1, 1, 1}};
    for (int i = 3 - grid.ndim; i < 3; i++) grid.size[i] = scene_pick(scene, least, grid.ndim == 2 ? 9 : 5);
    return grid;
}

void scene_begin(struct scene *scene, const struct op_case *op_case, cover_context *context, uint64_t seed, enum element element) {
    *scene = (struct scene){.context = context,
                            .random = random_stream(seed, RANDOM_TEST, (uint32_t)op_case->op, 0),
                            .element = element,
                            .flow = 1,
                            .parameters = {.context = context}};
    graph_begin(&scene->graph, context, &scene->parameters);
    scene->images = scene_pick(scene, 1, 3), scene->channels = drawn_channels(scene);
    scene->grid = drawn_grid(scene, op_case->op == OP_max_pool2 ? 2 : 1);
    op_case->build(scene);
}

void scene_free(struct scene *scene) {
    for (int i = 0; i < scene->inputs; i++) free(scene->in[i].values);
    graph_free(&scene->graph);
    parameters_free(&scene->parameters);
}

int x_of(struct scene *scene, bool normalised) {
    return scene->in[scene_feature(scene, "x", scene->images, &scene->grid, scene->channels, normalised)].read;
}
static int read_of(const struct scene *scene, int input) { return input == ABSENT ? ABSENT : scene->in[input].read; }

/* ---- where pixels are, in double */

static void place_of(const struct grid *grid, int64_t pixel, int64_t at[3]) {
    at[2] = pixel % grid->size[2], at[1] = pixel / grid->size[2] % grid->size[1], at[0] = pixel / grid->size[2] / grid->size[1];
}
/* The pixel at a place, -1 outside. */
static int64_t pixel_at(const struct grid *grid, const int64_t at[3]) {
    for (int i = 0; i < 3; i++)
        if (at[i] < 0 || at[i] >= grid->size[i]) return -1;
    return (at[0] * grid->size[1] + at[1]) * grid->size[2] + at[2];
}

double between(const double *image, const struct grid *grid, int64_t channels, int64_t channel, const double at[3], bool clamped) {
    double sum = 0;
    for (int corner = 0; corner < 8; corner++) {
        double weight = 1;
        int64_t place[3];
        for (int i = 0; i < 3; i++) {
            double low = floor(at[i]);
            weight *= corner >> i & 1 ? at[i] - low : 1 - (at[i] - low);
            place[i] = (int64_t)low + (corner >> i & 1);
            if (clamped) place[i] = place[i] < 0 ? 0 : place[i] >= grid->size[i] ? grid->size[i] - 1 : place[i];
        }
        const int64_t pixel = weight > 0 ? pixel_at(grid, place) : -1;
        if (pixel >= 0) sum += weight * image[pixel * channels + channel];
    }
    return sum;
}

/* ---- norm_act */

static void normalised(double *y, const double *x, const double *gamma, const double *beta, const double *bias, int images,
                       int64_t pixels, int64_t channels, int groups, double epsilon, double slope) {
    const int64_t width = channels / groups;
    for (int64_t image = 0; image < images; image++)
        for (int group = 0; group < groups; group++) {
            double sum = 0, squares = 0;
            for (int pass = 0; pass < 2; pass++)
                for (int64_t p = 0; p < pixels; p++)
                    for (int64_t c = group * width; c < (group + 1) * width; c++) {
                        const double value = x[(image * pixels + p) * channels + c] + (bias ? bias[c] : 0);
                        if (pass == 0) sum += value;
                        else squares += pow(value - sum / (double)(pixels * width), 2);
                    }
            const double count = (double)(pixels * width), mean = sum / count, deviation = sqrt(squares / count + epsilon);
            for (int64_t p = 0; p < pixels; p++)
                for (int64_t c = group * width; c < (group + 1) * width; c++) {
                    const int64_t i = (image * pixels + p) * channels + c;
                    const double value = gamma[c] * (x[i] + (bias ? bias[c] : 0) - mean) / deviation + beta[c];
                    y[i] = value > 0 ? value : slope * value;
                }
        }
}

/* The values that the op reads from an input: its own, or normalised into fresh memory. */
double *read_values(const struct scene *scene, double *const *values, int number) {
    const struct scene_input *in = &scene->in[number];
    double *read = malloc((size_t)in->count * sizeof *read);
    if (in->norm == ABSENT) return memcpy(read, values[number], (size_t)in->count * sizeof *read);
    const struct scene_norm *norm = &scene->norm[in->norm];
    normalised(read, values[number], values[norm->gamma], values[norm->beta], NULL, in->images, grid_pixels(&in->grid),
               in->channels, norm->groups, 1e-5, norm->slope);
    return read;
}
int named(const struct scene *scene, const char *name) {
    for (int i = 0; i < scene->inputs; i++)
        if (!strcmp(scene->graph.tensors[scene->in[i].tensor].name, name)) return i;
    return ABSENT;
}
double *values_of(const struct scene *scene, double *const *values, const char *name) {
    const int number = named(scene, name);
    return number == ABSENT ? NULL : values[number];
}

void build_norm_act(struct scene *s) {
    const int x = scene_feature(s, "x", s->images, &s->grid, s->channels, false);
    s->groups = s->channels % 2 == 0 && toss(s) ? 2 : 1, s->slope = toss(s) ? 0.2 : 1, s->epsilon = toss(s) ? 1e-5 : 0.25;
    const int gamma = vector(s, "gamma", s->channels, -1.5, 1.5), beta = vector(s, "beta", s->channels, -1, 1);
    const int bias = toss(s) ? vector(s, "bias", s->channels, -1, 1) : ABSENT;
    int y = s->in[x].read, sums = ABSENT;
    if (s->element == ELEMENT_F32 && toss(s)) { /* with the sums of a convolution */
        const int weights = graph_parameter(&s->graph, "identity", 2 + s->grid.ndim,
                                            (const int64_t[]){s->channels, s->channels, 1, 1, 1}, 1, INIT_ZERO);
        s->frozen[s->graph.tensors[weights].index] = true;
        y = graph_conv(&s->graph, y, ABSENT, weights, ABSENT, 1, s->element, &sums);
    }
    if (sums != ABSENT && bias != ABSENT) sums = ABSENT; /* they are those of what the convolution gave */
    s->y = graph_norm_act(&s->graph, y, s->in[gamma].tensor, s->in[beta].tensor, read_of(s, bias), sums,
                          (struct norm_attributes){s->groups, (float)s->epsilon, (float)s->slope});
}
void compute_norm_act(const struct scene *s, double *const *v, double *y) {
    normalised(y, v[0], values_of(s, v, "gamma"), values_of(s, v, "beta"), values_of(s, v, "bias"), s->images,
               grid_pixels(&s->grid), s->channels, s->groups, s->epsilon, s->slope);
}

/* ---- norm_apply, widen: x as it is read */

static void one_node(struct scene *s, enum op op, int x) {
    int out[NODE_OUTPUTS];
    s->y = graph_node(&s->graph, op, &x, &(struct attributes){0}, out) ? out[0] : ABSENT;
}
void build_norm_apply(struct scene *s) {
    one_node(s, OP_norm_apply, s->in[feature(s, "x", s->images, &s->grid, s->channels, true, false)].read);
}
void build_widen(struct scene *s) {
    one_node(s, OP_widen, s->in[feature(s, "x", s->images, &s->grid, s->channels, toss(s), true)].read);
}
void compute_read(const struct scene *s, double *const *v, double *y) {
    double *x = read_values(s, v, 0);
    memcpy(y, x, (size_t)s->in[0].count * sizeof *y);
    free(x);
}

/* ---- conv */

void build_conv(struct scene *s) {
    const int x = scene_feature(s, "x", s->images, &s->grid, s->channels, true);
    const int64_t more = toss(s) ? drawn_channels(s) : 0;
    const int x2 = more ? scene_feature(s, "x2", s->images, &s->grid, more, true) : ABSENT;
    const int64_t wide = s->kernel = toss(s) ? 3 : 1, out = drawn_channels(s), two[] = {out, s->channels + more, wide, wide, wide};
    const int weights = parameter(s, "weights", 2 + s->grid.ndim, two, -0.5, 0.5);
    const int bias = toss(s) ? vector(s, "bias", out, -1, 1) : ABSENT;
    s->y =
        graph_conv(&s->graph, s->in[x].read, read_of(s, x2), s->in[weights].tensor, read_of(s, bias), s->kernel, s->element, NULL);
}
void compute_conv(const struct scene *s, double *const *v, double *y) {
    const int weights = named(s, "weights"), second = named(s, "x2");
    const double *bias = values_of(s, v, "bias"), *w = v[weights];
    double *x[] = {read_values(s, v, 0), second == ABSENT ? NULL : read_values(s, v, second)};
    const int64_t channels[] = {s->channels, second == ABSENT ? 0 : s->in[second].channels}, in = channels[0] + channels[1];
    const int64_t pixels = grid_pixels(&s->grid),
                  taps = s->kernel == 1      ? 1
                         : s->grid.ndim == 2 ? 9
                                             : 27,
                  out = s->in[weights].count / (in * taps);
    for (int64_t i = 0; i < s->images * pixels * out; i++) y[i] = bias ? bias[i % out] : 0;
    for (int64_t row = 0; row < s->images * pixels; row++)
        for (int64_t tap = 0; tap < taps; tap++) {
            int64_t at[3], step[] = {taps == 27 ? tap / 9 - 1 : 0, taps > 1 ? tap / 3 % 3 - 1 : 0, taps > 1 ? tap % 3 - 1 : 0};
            place_of(&s->grid, row % pixels, at);
            for (int i = 0; i < 3; i++) at[i] += step[i];
            const int64_t from = pixel_at(&s->grid, at);
            if (from < 0) continue;
            for (int64_t c = 0; c < in; c++) {
                const int which = c >= channels[0];
                const double value = x[which][(row / pixels * pixels + from) * channels[which] + (which ? c - channels[0] : c)];
                for (int64_t o = 0; o < out; o++) y[row * out + o] += value * w[(o * in + c) * taps + tap];
            }
        }
    free(x[0]), free(x[1]);
}

/* ---- moving pixels */

void build_max_pool2(struct scene *s) { s->y = graph_max_pool2(&s->graph, x_of(s, true)); }
void compute_max_pool2(const struct scene *s, double *const *v, double *y) {
    double *x = read_values(s, v, 0);
    struct grid half = s->grid;
    for (int i = 3 - s->grid.ndim; i < 3; i++) half.size[i] /= 2;
    const int64_t pixels = grid_pixels(&half), c = s->channels;
    for (int64_t i = 0; i < s->images * pixels * c; i++) {
        int64_t place[3];
        place_of(&half, i / c % pixels, place);
        y[i] = -INFINITY;
        for (int corner = 0; corner < 8; corner++) {
            int64_t at[3];
            for (int k = 0; k < 3; k++)
                at[k] = (k < 3 - s->grid.ndim ? 1 : 2) * place[k] + (k < 3 - s->grid.ndim ? 0 : corner >> k & 1);
            y[i] = fmax(y[i], x[(i / c / pixels * grid_pixels(&s->grid) + pixel_at(&s->grid, at)) * c + i % c]);
        }
    }
    free(x);
}

/* y of grid `to` read from x of `from` at the place that each axis gives */
static void resized(double *y, const double *x, const struct scene *s, const struct grid *to,
                    double (*axis)(int64_t i, int64_t from, int64_t to)) {
    const int64_t pixels = grid_pixels(to), c = s->channels;
    for (int64_t i = 0; i < s->images * pixels * c; i++) {
        int64_t place[3];
        double at[3];
        place_of(to, i / c % pixels, place);
        for (int k = 0; k < 3; k++) at[k] = k < 3 - to->ndim ? 0 : axis(place[k], s->grid.size[k], to->size[k]);
        y[i] = between(x + i / c / pixels * grid_pixels(&s->grid) * c, &s->grid, c, i % c, at, true);
    }
}
static double half_pixel(int64_t i, int64_t from, int64_t to) { return (void)from, (void)to, ((double)i + 0.5) / 2 - 0.5; }
static double corners(int64_t i, int64_t from, int64_t to) {
    return to == 1 ? 0 : (double)i * (double)(from - 1) / (double)(to - 1);
}

void build_upsample(struct scene *s) { s->y = graph_upsample(&s->graph, x_of(s, true)); }
void compute_upsample(const struct scene *s, double *const *v, double *y) {
    double *x = read_values(s, v, 0);
    struct grid twice = s->grid;
    for (int i = 3 - s->grid.ndim; i < 3; i++) twice.size[i] *= 2;
    resized(y, x, s, &twice, half_pixel);
    free(x);
}
void build_resize_corners(struct scene *s) {
    s->to = s->grid, s->scale = scene_uniform(s, 0.5, 3);
    for (int i = 3 - s->grid.ndim; i < 3; i++) s->to.size[i] = scene_pick(s, 1, 9);
    s->scale = (double)(float)s->scale;
    s->y = graph_resize_corners(&s->graph, x_of(s, false), &s->to, (float)s->scale);
}
void compute_resize_corners(const struct scene *s, double *const *v, double *y) {
    resized(y, v[0], s, &s->to, corners);
    for (int64_t i = 0; i < s->images * grid_pixels(&s->to) * s->channels; i++) y[i] *= s->scale;
}

void build_warp(struct scene *s) {
    s->coordinates = toss(s) ? COORDINATES_RELEASED : COORDINATES_EXACT;
    const int source = x_of(s, false);
    const int field = scene_values(s, "field", s->images, &s->grid, s->grid.ndim, -3, 3);
    s->y = graph_warp(&s->graph, source, s->in[field].read, s->coordinates);
}
void compute_warp(const struct scene *s, double *const *v, double *y) {
    const int64_t pixels = grid_pixels(&s->grid), c = s->channels;
    const int ndim = s->grid.ndim;
    const double *field = values_of(s, v, "field");
    for (int64_t row = 0; row < s->images * pixels; row++) {
        int64_t place[3];
        double at[3] = {0};
        bool nowhere = false;
        place_of(&s->grid, row % pixels, place);
        for (int a = 0; a < ndim; a++) {
            const int k = 3 - ndim + a;
            const double size = (double)s->grid.size[k];
            at[k] = (double)place[k] + field[row * ndim + a];
            if (s->coordinates == COORDINATES_EXACT) continue;
            nowhere |= size == 1;
            at[k] = size == 1 ? 0 : at[k] * size / (size - 1) - 0.5;
        }
        for (int64_t i = 0; i < c; i++)
            y[row * c + i] = nowhere ? 0 : between(v[0] + row / pixels * pixels * c, &s->grid, c, i, at, false);
    }
}

void build_mov(struct scene *s) {
    s->heads = s->channels % 4 == 0 && toss(s) ? 4 : s->channels % 2 == 0 && toss(s) ? 2 : 1, s->radius = scene_pick(s, 1, 2);
    const int query = x_of(s, false), key = scene_values(s, "key", s->images, &s->grid, s->channels, -2, 2);
    s->y = graph_mov(&s->graph, query, s->in[key].read, s->heads, s->radius);
}
static void mov_head(double field[3], const struct scene *s, const double *query, const double *keys, const int64_t place[3],
                     int head) {
    double sum = 0, largest = -INFINITY;
    for (int pass = 0; pass < 2; pass++) /* the largest logit, then the mixture */
        for (int64_t o = 0; o < 125; o++) {
            const int64_t step[] = {o / 25 - 2, o / 5 % 5 - 2, o % 5 - 2};
            int64_t at[3];
            bool inside = true;
            double logit = 0;
            for (int k = 0; k < 3; k++) {
                inside &= llabs(step[k]) <= (k < 3 - s->grid.ndim ? 0 : s->radius);
                at[k] = place[k] + step[k];
            }
            if (!inside) continue;
            const int64_t pixel = pixel_at(&s->grid, at);
            for (int64_t c = head; pixel >= 0 && c < s->channels; c += s->heads) logit += query[c] * keys[pixel * s->channels + c];
            logit = pixel < 0 ? -1000 : logit / sqrt((double)s->channels / s->heads);
            if (pass == 0) largest = fmax(largest, logit);
            else {
                sum += exp(logit - largest);
                for (int k = 0; k < 3; k++) field[k] += exp(logit - largest) * (double)step[k];
            }
        }
    for (int k = 0; k < 3; k++) field[k] /= sum;
}
void compute_mov(const struct scene *s, double *const *v, double *y) {
    const int64_t pixels = grid_pixels(&s->grid);
    const double *keys = values_of(s, v, "key");
    for (int64_t row = 0; row < s->images * pixels; row++) {
        int64_t place[3];
        double mean[3] = {0};
        place_of(&s->grid, row % pixels, place);
        for (int head = 0; head < s->heads; head++) {
            double field[3] = {0};
            mov_head(field, s, v[0] + row * s->channels, keys + row / pixels * pixels * s->channels, place, head);
            for (int k = 0; k < 3; k++) mean[k] += field[k] / s->heads;
        }
        for (int a = 0; a < s->grid.ndim; a++) y[row * s->grid.ndim + a] = mean[3 - s->grid.ndim + a];
    }
}

/* ---- losses */

int whole_numbers(struct scene *s, const char *name, int64_t channels, int low, int high) {
    const int number = scene_values(s, name, s->images, &s->grid, channels, 0, 1);
    s->in[number].smooth = false;
    for (int64_t i = 0; i < s->in[number].count; i++) s->in[number].values[i] = scene_pick(s, low, high);
    return s->in[number].read;
}
void build_vector_loss(struct scene *s) {
    s->channels = s->grid.ndim;
    const int prediction = x_of(s, false), truth = scene_values(s, "truth", s->images, &s->grid, s->channels, -2, 2);
    s->in[truth].smooth = false;
    s->y = graph_vector_loss(&s->graph, prediction, s->in[truth].read, whole_numbers(s, "mask", 1, 0, 1));
}
void compute_vector_loss(const struct scene *s, double *const *v, double *y) {
    const double *truth = values_of(s, v, "truth"), *mask = values_of(s, v, "mask");
    const int64_t each = grid_pixels(&s->grid) * s->channels;
    memset(y, 0, (size_t)s->images * sizeof *y);
    for (int64_t i = 0; i < s->in[0].count; i++) y[i / each] += mask[i / s->channels] > 0 ? fabs(truth[i] - v[0][i]) : 0;
}
void build_cosine_loss(struct scene *s) {
    const int a = x_of(s, false), b = scene_feature(s, "b", s->images, &s->grid, s->channels, false),
              mask = whole_numbers(s, "mask", 1, 0, 1);
    s->masked = toss(s);
    s->y = graph_cosine_loss(&s->graph, a, s->in[b].read, s->masked ? mask : ABSENT);
}
void compute_cosine_loss(const struct scene *s, double *const *v, double *y) {
    const double *b = values_of(s, v, "b"), *mask = values_of(s, v, "mask");
    const int64_t pixels = grid_pixels(&s->grid);
    memset(y, 0, (size_t)s->images * sizeof *y);
    for (int64_t row = 0; row < s->images * pixels; row++) {
        double product = 0, aa = 0, bb = 0;
        for (int64_t i = row * s->channels; i < (row + 1) * s->channels; i++)
            product += v[0][i] * b[i], aa += v[0][i] * v[0][i], bb += b[i] * b[i];
        if (!s->masked || mask[row] > 0) y[row / pixels] -= product / (fmax(sqrt(aa), 1e-12) * fmax(sqrt(bb), 1e-12));
    }
}
static int class_weights(struct scene *s) {
    if (toss(s)) return ABSENT;
    const int number = scene_values(s, "class weights", 1, &(struct grid){2, {1, 1, 1}}, s->channels, 0.2, 2);
    s->in[number].smooth = false;
    return s->in[number].read;
}
static double class_weight(const double *weights, int64_t class) { return weights ? weights[class] : 1; }
void build_softmax_loss(struct scene *s) {
    s->channels += s->channels == 1;
    const int logits = x_of(s, false), target = whole_numbers(s, "target", 1, -1, (int)s->channels - 1), weights = class_weights(s);
    s->weight[0] = 0.75, s->weight[1] = toss(s) ? 0.5 : 0;
    s->y = graph_softmax_loss(&s->graph, logits, target, weights, (float)s->weight[0], (float)s->weight[1]);
}
static void softmax_of_image(const struct scene *s, const double *z, const double *target, const double *weights, double loss[2]) {
    double overlap[SCENE_ROWS * 2] = {0}, total[SCENE_ROWS * 2] = {0}, entropy = 0, valid = 0, dice = 0;
    for (int64_t p = 0; p < grid_pixels(&s->grid); p++) {
        double sum = 0;
        if (target[p] < 0) continue;
        for (int64_t k = 0; k < s->channels; k++) sum += exp(z[p * s->channels + k]);
        for (int64_t k = 0; k < s->channels; k++) {
            const double probability = exp(z[p * s->channels + k]) / sum;
            const bool hit = (int64_t)target[p] == k;
            total[k] += probability + hit;
            if (hit) overlap[k] += probability, entropy -= class_weight(weights, k) * log(probability);
        }
        valid++;
    }
    for (int64_t k = 1; k < s->channels; k++) dice += (2 * overlap[k] + 1) / (total[k] + 1) / (double)(s->channels - 1);
    loss[0] = valid > 0 ? entropy / valid : 0, loss[1] = valid > 0 ? 1 - dice : 0;
}
void compute_softmax_loss(const struct scene *s, double *const *v, double *y) {
    const int64_t pixels = grid_pixels(&s->grid);
    for (int image = 0; image < s->images; image++)
        softmax_of_image(s, v[0] + image * pixels * s->channels, values_of(s, v, "target") + image * pixels,
                         values_of(s, v, "class weights"), y + 2 * image);
}
void build_sigmoid_loss(struct scene *s) {
    const int logits = x_of(s, false), target = whole_numbers(s, "target", s->channels, -1, 1);
    s->weight[0] = 1;
    s->y = graph_sigmoid_loss(&s->graph, logits, target, class_weights(s));
}
void compute_sigmoid_loss(const struct scene *s, double *const *v, double *y) {
    const double *target = values_of(s, v, "target"), *weights = values_of(s, v, "class weights");
    const int64_t each = grid_pixels(&s->grid) * s->channels;
    for (int image = 0; image < s->images; image++) {
        double sum = 0, known = 0;
        for (int64_t i = image * each; i < (image + 1) * each; i++) {
            const double z = v[0][i];
            if (target[i] < 0) continue;
            sum += class_weight(weights, i % s->channels) * (log1p(exp(-fabs(z))) + fmax(z, 0) - z * target[i]), known++;
        }
        y[2 * image] = known > 0 ? sum / known : 0, y[2 * image + 1] = 0;
    }
}

/* Whole numbers, so that some logits are equal. */
void build_class_right(struct scene *s) {
    const int logits = whole_numbers(s, "logits", s->channels, -3, 3),
              target = whole_numbers(s, "target", 1, -1, (int)s->channels - 1);
    s->y = graph_class_right(&s->graph, logits, target);
}
void compute_class_right(const struct scene *s, double *const *v, double *y) {
    const double *target = values_of(s, v, "target");
    const int64_t pixels = grid_pixels(&s->grid);
    memset(y, 0, (size_t)s->images * sizeof *y);
    for (int64_t p = 0; p < s->images * pixels; p++) {
        int64_t before = 0, above = 0; /* classes in front of the target's with a logit as large, and any with a larger one */
        if (target[p] < 0) continue;
        const double *z = v[0] + p * s->channels, own = z[(int64_t)target[p]];
        for (int64_t k = 0; k < s->channels; k++) before += k < (int64_t)target[p] && z[k] == own, above += z[k] > own;
        y[p / pixels] += before == 0 && above == 0;
    }
}

/* ---- global_pool, add */

void build_global_pool(struct scene *s) { s->y = graph_global_pool(&s->graph, x_of(s, false)); }
void compute_global_pool(const struct scene *s, double *const *v, double *y) {
    const int64_t pixels = grid_pixels(&s->grid), c = s->channels;
    memset(y, 0, (size_t)(s->images * c) * sizeof *y);
    for (int64_t i = 0; i < s->in[0].count; i++) y[i / (pixels * c) * c + i % c] += v[0][i] / (double)pixels;
}
void build_add(struct scene *s) {
    const int a = feature(s, "a", s->images, &s->grid, s->channels, false, true);
    const int b = toss(s) ? feature(s, "b", s->images, &s->grid, s->channels, false, true) : a;
    s->y = graph_add(&s->graph, s->in[a].read, s->in[b].read);
}
void compute_add(const struct scene *s, double *const *v, double *y) {
    const double *b = values_of(s, v, "b");
    for (int64_t i = 0; i < s->in[0].count; i++) y[i] = v[0][i] + (b ? b[i] : v[0][i]);
}

const struct op_case op_cases[] = {
    {OP_conv, build_conv, compute_conv, 1e-5},
    {OP_norm_act, build_norm_act, compute_norm_act, 1e-4},
    {OP_norm_apply, build_norm_apply, compute_read, 1e-4},
    {OP_max_pool2, build_max_pool2, compute_max_pool2, 1e-4},
    {OP_upsample, build_upsample, compute_upsample, 1e-4},
    {OP_resize_corners, build_resize_corners, compute_resize_corners, 1e-5, .float_only = true},
    {OP_warp, build_warp, compute_warp, 2e-5},
    {OP_mov, build_mov, compute_mov, 2e-5, .float_only = true},
    {OP_vector_loss, build_vector_loss, compute_vector_loss, 1e-6, .float_only = true},
    {OP_cosine_loss, build_cosine_loss, compute_cosine_loss, 1e-5},
    {OP_softmax_loss, build_softmax_loss, compute_softmax_loss, 1e-5, .float_only = true},
    {OP_sigmoid_loss, build_sigmoid_loss, compute_sigmoid_loss, 1e-5, .float_only = true},
    {OP_cell_pool, build_cell_pool, compute_cell_pool, 1e-6},
    {OP_match_cells, build_match_cells, compute_match_cells, 1e-9, .float_only = true},
    {OP_hit, build_hit, compute_hit, 1e-9, .float_only = true},
    {OP_set_positives, build_set_positives, compute_set_positives, 1e-9, .float_only = true},
    {OP_set_nce, build_set_nce, compute_set_nce, 1e-5, .float_only = true},
    {OP_sample_points, build_sample_points, compute_sample_points, 1e-5},
    {OP_unit, build_unit, compute_unit, 1e-6, .float_only = true},
    {OP_propagate, build_propagate, compute_propagate, 2e-6, .float_only = true},
    {OP_pair_cosine, build_pair_cosine, compute_pair_cosine, 1e-6, .float_only = true},
    {OP_soft_cross_entropy, build_soft_cross_entropy, compute_soft_cross_entropy, 1e-6, .float_only = true},
    {OP_sinkhorn, build_sinkhorn, compute_sinkhorn, 1e-6, .float_only = true},
    {OP_matched_nce, build_matched_nce, compute_matched_nce, 1e-5, .float_only = true},
    {OP_global_pool, build_global_pool, compute_global_pool, 1e-6},
    {OP_add, build_add, compute_add, 1e-6},
    {OP_rows, build_rows, compute_rows, 1e-6},
    {OP_nt_xent, build_nt_xent, compute_nt_xent, 1e-5, .float_only = true},
    {OP_batch_right, build_batch_right, compute_batch_right, 1e-6, .float_only = true},
    {OP_spread, build_spread, compute_spread, 1e-6, .float_only = true},
    {OP_blend, build_blend, compute_blend, 1e-6, .float_only = true},
    {OP_widen, build_widen, compute_read, 1e-4},
    {OP_hold, build_hold, compute_hold, 1e-6},
    {OP_leaky, build_leaky, compute_leaky, 1e-6},
    {OP_image_loss, build_image_loss, compute_image_loss, 1e-5, .float_only = true},
    {OP_class_right, build_class_right, compute_class_right, 1e-9, .float_only = true},
    {OP_ncc_loss, build_ncc_loss, compute_ncc_loss, 1e-5, .float_only = true},
    {OP_smooth_loss, build_smooth_loss, compute_smooth_loss, 1e-6, .float_only = true},
    {OP_inside_mask, build_inside_mask, compute_inside_mask, 0, .float_only = true},
    {OP_affine_field, build_affine_field, compute_affine_field, 1e-6, .float_only = true},
    {OP_cosine_mean_loss, build_cosine_mean_loss, compute_cosine_mean_loss, 1e-5},
    {OP_region_blocks, build_region_blocks, compute_region_blocks, 1e-6, .float_only = true},
    {OP_local_nce, build_local_nce, compute_local_nce, 1e-5, .float_only = true},
};
const int op_case_count = sizeof op_cases / sizeof *op_cases;
