/* The public predictor (include/libcover/predictor.h): the task's rules, the network, and what the task's kind makes of its scores. */
#include "predictor.h"

#include "core/base/convert.h"
#include "core/base/memory.h"
#include "core/base/number.h"
#include "core/base/tensor.h"
#include "core/views/augment.h"
#include "inference.h"
#include "output.h"

#include <stdio.h>
#include <string.h>

struct cover_predictor {
    cover_context *context;
    struct task_about about;
    struct settings settings;
    const struct task_kind *kind;
    struct parameters parameters;
    float *weights;
    struct inference *inference;
};

const struct settings *predictor_settings(const cover_predictor *predictor) { return &predictor->settings; }
const struct task_kind *predictor_kind(const cover_predictor *predictor) { return predictor->kind; }
const struct task_about *predictor_about(const cover_predictor *predictor) { return &predictor->about; }
cover_context *predictor_context(const cover_predictor *predictor) { return predictor->context; }

void predictor_weights_hash(const cover_predictor *predictor, char text[SHA256_TEXT]) {
    uint8_t digest[SHA256_BYTES];
    sha256(predictor->weights, (size_t)predictor->parameters.total * sizeof *predictor->weights, digest);
    sha256_text(digest, text);
}

/* ---- life */

void cover_predictor_options_init(cover_predictor_options *options, size_t struct_size) {
    static const cover_predictor_options fresh = COVER_PREDICTOR_OPTIONS_INIT;
    options_init(options, struct_size, &fresh, sizeof fresh);
}

static cover_status apply_options(cover_config *config, const cover_predictor_options *given) {
    cover_predictor_options options = COVER_PREDICTOR_OPTIONS_INIT;
    char number[40];
    TRY(options_read(&options, sizeof options, given, "cover_predictor_options"));
    if (options.mirror) TRY(cover_config_set(config, "mirror", options.mirror));
    if (options.precision) TRY(cover_config_set(config, "precision", options.precision));
    number_print(number, sizeof number, "%.17g", options.overlap);
    if (!(options.overlap < 0)) TRY(cover_config_set(config, "overlap", number));
    snprintf(number, sizeof number, "%lld", (long long)options.keep_component);
    return options.keep_component >= 0 ? cover_config_set(config, "keep_component", number) : COVER_OK;
}

/* Images as the network takes them, where packing had nothing to convert. */
static cover_status apply_channels(cover_predictor *predictor, const cover_predictor_options *given) {
    cover_predictor_options options = COVER_PREDICTOR_OPTIONS_INIT;
    TRY(options_read(&options, sizeof options, given, "cover_predictor_options"));
    if (options.channels == 0) return COVER_OK;
    if (options.channels != predictor->settings.network.channels)
        return fail(COVER_ERROR_ARGUMENT, "option channels makes images of %d channel%s, but the task was trained on %d",
                    options.channels, options.channels == 1 ? "" : "s", (int)predictor->settings.network.channels);
    predictor->about.rules.channels = options.channels;
    return COVER_OK;
}

cover_status cover_predictor_load(cover_predictor **out, cover_context *context, const char *path,
                                  const cover_predictor_options *options) {
    if (!out || !context || !path) return fail(COVER_ERROR_ARGUMENT, "cover_predictor_load: an argument is NULL");
    cover_predictor *predictor = handle_make(context, sizeof *predictor);
    if (!predictor) return COVER_ERROR_MEMORY;
    cover_status status;
    predictor->context = context;
    GO(task_weights_read(&predictor->about, &predictor->parameters, &predictor->weights, context, path));
    GO(apply_options(predictor->about.config, options));
    predictor->settings = *config_settings(predictor->about.config);
    predictor->kind = task_kind_of(context, &predictor->settings.task);
    GO(apply_channels(predictor, options));
    GO(inference_create(&predictor->inference, context, &predictor->settings, &predictor->parameters));
    inference_limit(predictor->inference);
    GO(inference_weights(predictor->inference, predictor->weights));
    *out = predictor;
done:
    if (status != COVER_OK) cover_predictor_destroy(predictor);
    return status;
}

void cover_predictor_destroy(cover_predictor *predictor) {
    if (!predictor) return;
    cover_context *context = predictor->context;
    inference_destroy(predictor->inference);
    memory_free(context, predictor->weights);
    parameters_free(&predictor->parameters);
    task_about_free(&predictor->about);
    handle_free(context, predictor);
}

const char *cover_predictor_segments(const cover_predictor *predictor) { return predictor ? predictor->about.segments : NULL; }
const cover_config *cover_predictor_config(const cover_predictor *predictor) { return predictor ? predictor->about.config : NULL; }
int cover_predictor_classes(const cover_predictor *predictor) { return predictor ? (int)predictor->settings.task.classes : 0; }
const char *cover_predictor_class_name(const cover_predictor *predictor, int index) {
    return predictor && index >= 0 && index < predictor->settings.task.classes ? predictor->about.class_names[index] : NULL;
}

/* ---- into the network */

static cover_status check_image(const cover_predictor *predictor, struct image *image) {
    const struct settings *settings = &predictor->settings;
    image_take_dims(image, (int)settings->network.dims);
    if (settings->network.channels == 1) image_drop_equal_channels(image);
    if (image->dims != settings->network.dims)
        return fail(COVER_ERROR_SHAPE, "a %dD image (%lldx%lldx%lld), but the task was trained on %dD ones", image->dims,
                    (long long)image->size[0], (long long)image->size[1], (long long)image->size[2], (int)settings->network.dims);
    int rule = predictor->about.rules.channels;
    if (rule ? image->channels != 1 && image->channels != 3 : image->channels != settings->network.channels)
        return fail(COVER_ERROR_SHAPE,
                    "%d channel%s, but the task was trained on %d%s; %s or give its channels as CASE_0000, CASE_0001, ...",
                    image->channels, image->channels == 1 ? "" : "s", rule ? rule : (int)settings->network.channels,
                    rule ? " (grey and RGB are converted)" : "",
                    rule || settings->network.channels != 1 ? "convert the image," : "use channels=grey to convert colours,");
    return COVER_OK;
}

/* The rules, normalisation and resizing of training: fresh channels-last values and their grid. */
static cover_status prepare(cover_predictor *predictor, float **values, struct grid *grid, struct image *image) {
    cover_context *context = predictor->context;
    TRY(check_image(predictor, image));
    TRY(image_rules_apply(&predictor->about.rules, context, image, NULL));
    *grid = (struct grid){.ndim = image->dims, .size = {image->size[0], image->size[1], image->size[2]}};
    int64_t count = grid_pixels(grid) * image->channels;
    const float integer_max = (float)dtype_integer_max(image->dtype);
    if (image->dtype != COVER_F32) {
        float *converted = memory_within(context, (size_t)count * sizeof *converted);
        if (!converted) return COVER_ERROR_MEMORY;
        convert_run(converted, COVER_F32, 1, image->data, image->dtype, 1, count);
        memory_free(context, image->data);
        image->data = converted, image->dtype = COVER_F32;
    }
    return augment_plain(context, &predictor->settings, values, grid, image->data, image->channels, integer_max);
}

/* ---- out of the network */

static cover_status label_create(const cover_predictor *predictor, struct image *label) {
    int64_t pixels = label->size[0] * label->size[1] * label->size[2];
    label->dtype = predictor->settings.task.classes <= 256 ? COVER_U8 : COVER_U16;
    label->channels = 1;
    label->data = memory_within(predictor->context, (size_t)pixels * cover_dtype_bytes(label->dtype));
    if (!label->data) return COVER_ERROR_MEMORY;
    memset(label->data, 0, (size_t)pixels * cover_dtype_bytes(label->dtype));
    return COVER_OK;
}

/* The map of an image that was turned for the network lies as the turned one does, and is turned back with its scores. */
static cover_status turn_results(const struct image *turned, struct image *label, float *scores, cover_context *context,
                                 const struct turn *back, int64_t classes) {
    const int64_t pixels = turned->size[0] * turned->size[1] * turned->size[2];
    for (int64_t c = 0; scores && c < classes; c++) {
        struct image plane = *turned;
        plane.dtype = COVER_F32, plane.channels = 1;
        plane.data = memory_copy(context, scores + c * pixels, (size_t)pixels * sizeof *scores);
        if (!plane.data) return COVER_ERROR_MEMORY;
        const cover_status status = image_turn(&plane, context, back);
        if (status == COVER_OK) memcpy(scores + c * pixels, plane.data, (size_t)pixels * sizeof *scores);
        image_free(&plane, context);
        TRY(status);
    }
    return image_turn(label, context, back);
}

/* What is made of the scores is known before the network has worked for minutes: planes of two classes at the image's own size, the
 * numbers of the classes, and the map. */
static cover_status check_room(const cover_predictor *predictor, const struct image *map) {
    const uint64_t each = 2 * sizeof(float) + 2 * sizeof(uint16_t);
    if (!predictor->kind->dense) return COVER_OK;
    return memory_room(predictor->context, (uint64_t)(map->size[0] * map->size[1] * map->size[2]) * each);
}

cover_status predictor_scores(const cover_predictor *predictor, const struct image *image, int64_t *count) {
    *count = predictor->settings.task.classes;
    bool fits = true;
    if (predictor->kind->dense)
        for (int a = 0; a < 3; a++) fits = fits && multiply(*count, image->size[a], count);
    return fits && *count < INT64_MAX / 8 ? COVER_OK : fail(COVER_ERROR_SHAPE, "the scores are too large");
}

cover_status predictor_image(cover_predictor *predictor, struct image *image, float *scores, struct image *label) {
    cover_context *context = predictor->context;
    const struct task_output *output = task_output_of(context, &predictor->settings.task);
    const struct turn turn = image_rules_turn(&predictor->about.rules, image), back = turn_back(&turn);
    const bool turned = predictor->kind->dense && !turn_is_none(&turn);
    struct image map = *image; /* size and geometry as they came */
    struct grid grid;
    float *values = NULL, *predicted = NULL;
    cover_status status;
    map.data = NULL;
    if (turned) image_turn_geometry(&map, &turn);
    if (output->shape) output->shape(&map, &predictor->settings.task);
    const struct image shape = map;
    GO(prepare(predictor, &values, &grid, image));
    image_free(image, context);
    predicted = memory_within(context, (size_t)inference_scores(predictor->inference, &grid) * sizeof *predicted);
    GO(predicted ? COVER_OK : COVER_ERROR_MEMORY);
    GO(check_room(predictor, &map));
    GO(inference_run(predictor->inference, predicted, values, &grid));
    memory_free(context, values);
    values = NULL;
    GO(label_create(predictor, &map));
    GO(output->label(&map, scores, context, &predictor->settings.task, predicted, &grid));
    if (turned) GO(turn_results(&shape, &map, scores, context, &back, predictor->settings.task.classes));
    if (label) *label = map, map.data = NULL;
done:
    image_free(image, context);
    image_free(&map, context);
    memory_free(context, values);
    memory_free(context, predicted);
    return status;
}

/* ---- tensors */

static cover_status image_of_tensor(struct image *image, cover_context *context, const cover_tensor *tensor,
                                    const struct tensor_layout *layout, const double *spacing_mm) {
    cover_dtype dtype = tensor->dtype == COVER_U8 || tensor->dtype == COVER_U16 ? tensor->dtype : COVER_F32;
    int64_t pixels = grid_pixels(&layout->grid), channels = layout->channels;
    *image = (struct image){.dtype = dtype, .dims = layout->grid.ndim, .channels = (int)channels};
    for (int a = 0; a < 3; a++) {
        image->size[a] = layout->grid.size[a];
        if (spacing_mm && a >= 3 - image->dims) image->spacing_mm[a] = spacing_mm[a];
    }
    image->data = memory_within(context, (size_t)(pixels * channels) * cover_dtype_bytes(dtype));
    if (!image->data) return COVER_ERROR_MEMORY;
    cover_tensor *last; /* our channels-last memory in the tensor's order */
    int64_t strides[COVER_MAX_RANK] = {1};
    for (int64_t axis = tensor->rank - 1, step = channels; axis > 0; step *= tensor->shape[axis--]) strides[axis] = step;
    cover_status status = cover_tensor_wrap(&last, context, dtype, tensor->rank, tensor->shape, strides, image->data);
    if (status != COVER_OK) return status;
    status = cover_tensor_copy(last, tensor);
    cover_tensor_destroy(last);
    return status;
}

static cover_status check_tensor(struct tensor_layout *layout, const cover_predictor *predictor, const cover_tensor *image,
                                 const double *spacing_mm) {
    int dims = (int)predictor->settings.network.dims;
    if (image->rank != dims + 1) {
        char shape[128];
        return fail(COVER_ERROR_SHAPE, "image: its shape is %s, but (C, %sH, W) is taken",
                    tensor_shape_text(shape, image->rank, image->shape), dims == 3 ? "D, " : "");
    }
    TRY(tensor_layout(layout, image, dims, "image"));
    if (layout->channels > IMAGE_MOST_CHANNELS)
        return fail(COVER_ERROR_SHAPE, "image: %lld channels, but at most %d are taken", (long long)layout->channels,
                    IMAGE_MOST_CHANNELS);
    for (int a = 3 - dims; spacing_mm && a < 3; a++)
        if (!(spacing_mm[a] >= 0 && spacing_mm[a] < 1e6))
            return fail(COVER_ERROR_ARGUMENT, "spacing_mm[%d] is %g; give millimetres, or 0 when it is not known", a,
                        spacing_mm[a]);
    return COVER_OK;
}

static cover_status label_tensor(cover_tensor **tensor, cover_context *context, const struct image *label) {
    int rank = label->dims;
    int64_t pixels = label->size[0] * label->size[1] * label->size[2];
    TRY(cover_tensor_create(tensor, context, label->dtype, rank, label->size + 3 - rank));
    memcpy(cover_tensor_data(*tensor), label->data, (size_t)pixels * cover_dtype_bytes(label->dtype));
    return COVER_OK;
}

cover_status cover_predictor_run(cover_tensor **label_out, cover_tensor **scores_out, cover_predictor *predictor,
                                 const cover_tensor *tensor, const double *spacing_mm) {
    if (!predictor || !tensor) return fail(COVER_ERROR_ARGUMENT, "cover_predictor_run: an argument is NULL");
    cover_context *context = predictor->context;
    int64_t classes = predictor->settings.task.classes;
    struct image image = {0}, label = {0};
    struct tensor_layout layout;
    cover_tensor *scores = NULL, *map = NULL;
    cover_status status;
    GO(check_tensor(&layout, predictor, tensor, spacing_mm));
    GO(image_of_tensor(&image, context, tensor, &layout, spacing_mm));
    if (scores_out) {
        int64_t shape[COVER_MAX_RANK] = {classes};
        memcpy(shape + 1, tensor->shape + 1, (size_t)(tensor->rank - 1) * sizeof *shape);
        GO(cover_tensor_create(&scores, context, COVER_F32, predictor->kind->dense ? tensor->rank : 1, shape));
    }
    GO(predictor_image(predictor, &image, scores ? cover_tensor_data(scores) : NULL, &label));
    if (label_out) GO(label_tensor(&map, context, &label));
    if (label_out) *label_out = map;
    if (scores_out) *scores_out = scores, scores = NULL;
done:
    image_free(&image, context);
    image_free(&label, context);
    cover_tensor_destroy(scores);
    return status;
}
