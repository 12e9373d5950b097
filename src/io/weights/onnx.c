/* A graph as ONNX: one row an operation says which nodes compute it.  See onnx.h.  GroupNorm is spelt out by older operators, because
 * GroupNormalization changed its meaning between operator sets 18 and 21. */
#include "onnx.h"

#include "onnx_proto.h"

#include <stdio.h>
#include <string.h>

struct name {
    char text[160];
};

struct walk {
    struct onnx_file file;
    const struct onnx_network *network;
    const struct graph *graph;
    int dims;
    const struct node *node;
    bool doubled; /* a node refers to the constant of this name */
};

/* What a tensor is called: an output and the image by their names, all else by where it was made. */
static struct name name_of(const struct walk *walk, int tensor) {
    struct name name;
    for (int i = 0; i < walk->network->outputs; i++)
        if (walk->network->output[i] == tensor) {
            snprintf(name.text, sizeof name.text, "%s%s", walk->network->output_name[i], walk->network->tail ? ".raw" : "");
            return name;
        }
    const struct tensor *t = &walk->graph->tensors[tensor];
    if (t->storage == STORAGE_INPUT) snprintf(name.text, sizeof name.text, "image");
    else snprintf(name.text, sizeof name.text, "%s.%d", t->name, tensor);
    for (char *at = name.text; *at; at++)
        if (*at == ' ') *at = '.';
    return name;
}
static struct name input_name(const struct walk *walk, int i) { return name_of(walk, walk->node->input[i]); }
static struct name output_name(const struct walk *walk) { return name_of(walk, walk->node->output[0]); }
static struct name with(struct name name, const char *suffix) {
    struct name longer;
    snprintf(longer.text, sizeof longer.text, "%.140s.%s", name.text, suffix);
    return longer;
}
static const struct parameter *parameter_of(const struct walk *walk, int i) {
    return &walk->graph->parameters->rows[walk->graph->tensors[walk->node->input[i]].index];
}
static bool has(const struct walk *walk, int i) { return walk->node->input[i] != ABSENT; }

/* ---- nodes */

/* operator(a[, b]) */
static void simple(struct walk *walk, const char *operator, const char * a, const char *b, const char *output) {
    onnx_node_begin(&walk->file, operator, output);
    onnx_node_input(&walk->file, a);
    if (b) onnx_node_input(&walk->file, b);
    onnx_node_end(&walk->file);
}

/* A vector of one number a channel, as (1, C, 1, ...) so that it multiplies or shifts channels. */
static void by_channel(struct walk *walk, const char *operator, const struct parameter * parameter, struct name input,
                       struct name output) {
    struct name spread = with(output, "spread");
    onnx_node_begin(&walk->file, "Reshape", spread.text);
    onnx_node_parameter(&walk->file, parameter);
    onnx_node_input(&walk->file, "by_channel");
    onnx_node_end(&walk->file);
    simple(walk, operator, input.text, spread.text, output.text);
}

/* Each group, laid flat, is one channel of InstanceNormalization. */
static void normalise(struct walk *walk, struct name input, struct name output, int64_t groups, float epsilon) {
    struct name shape = with(output, "shape"), grouped = with(output, "grouped"), flat = with(output, "flat"),
                ones = with(output, "ones"), zeros = with(output, "zeros"), normal = with(output, "normal");
    const int64_t layout[3] = {0, groups, -1};
    float *numbers = memory_zero(walk->file.context, (size_t)groups * 2 * sizeof *numbers);
    if (!numbers) {
        walk->file.status = COVER_ERROR_MEMORY;
        return;
    }
    for (int64_t i = 0; i < groups; i++) numbers[i] = 1;
    onnx_constant(&walk->file, ones.text, ONNX_FLOAT, groups, numbers, (size_t)groups * sizeof *numbers);
    onnx_constant(&walk->file, zeros.text, ONNX_FLOAT, groups, numbers + groups, (size_t)groups * sizeof *numbers);
    memory_free(walk->file.context, numbers);
    onnx_constant(&walk->file, grouped.text, ONNX_INT64, 3, layout, sizeof layout);
    simple(walk, "Shape", input.text, NULL, shape.text);
    simple(walk, "Reshape", input.text, grouped.text, flat.text);
    onnx_node_begin(&walk->file, "InstanceNormalization", normal.text);
    onnx_node_input(&walk->file, flat.text);
    onnx_node_input(&walk->file, ones.text);
    onnx_node_input(&walk->file, zeros.text);
    onnx_node_float(&walk->file, "epsilon", epsilon);
    onnx_node_end(&walk->file);
    simple(walk, "Reshape", normal.text, shape.text, output.text);
}

static void resize(struct walk *walk, struct name input, struct name output, const char *scales, const char *coordinates) {
    onnx_node_begin(&walk->file, "Resize", output.text);
    onnx_node_input(&walk->file, input.text);
    onnx_node_input(&walk->file, "");
    onnx_node_input(&walk->file, scales);
    onnx_node_string(&walk->file, "mode", "linear");
    onnx_node_string(&walk->file, "coordinate_transformation_mode", coordinates);
    onnx_node_end(&walk->file);
}

/* ---- operations; inputs and outputs as in ops.def */

static void write_conv(struct walk *walk) {
    struct name output = output_name(walk), x = input_name(walk, 0);
    int kernel = walk->node->attributes.conv.kernel;
    if (has(walk, 3)) {
        struct name joined = with(output, "joined"), second = input_name(walk, 3);
        onnx_node_begin(&walk->file, "Concat", joined.text);
        onnx_node_input(&walk->file, x.text);
        onnx_node_input(&walk->file, second.text);
        onnx_node_integer(&walk->file, "axis", 1);
        onnx_node_end(&walk->file);
        x = joined;
    }
    onnx_node_begin(&walk->file, "Conv", output.text);
    onnx_node_input(&walk->file, x.text);
    onnx_node_parameter(&walk->file, parameter_of(walk, 1));
    if (has(walk, 2)) onnx_node_parameter(&walk->file, parameter_of(walk, 2));
    onnx_node_integers(&walk->file, "kernel_shape", kernel, walk->dims);
    onnx_node_integers(&walk->file, "pads", kernel / 2, 2 * walk->dims);
    onnx_node_end(&walk->file);
}

static void write_norm_act(struct walk *walk) {
    struct name output = output_name(walk), x = input_name(walk, 0), normal = with(output, "normalised"),
                scaled = with(output, "scaled");
    const struct attributes *attributes = &walk->node->attributes;
    bool linear = attributes->norm.slope == 1;
    struct name shifted = linear ? output : with(output, "shifted");
    if (has(walk, 3)) {
        struct name biased = with(output, "biased");
        by_channel(walk, "Add", parameter_of(walk, 3), x, biased);
        x = biased;
    }
    normalise(walk, x, normal, attributes->norm.groups, attributes->norm.epsilon);
    by_channel(walk, "Mul", parameter_of(walk, 1), normal, scaled);
    by_channel(walk, "Add", parameter_of(walk, 2), scaled, shifted);
    if (linear) return;
    onnx_node_begin(&walk->file, "LeakyRelu", output.text);
    onnx_node_input(&walk->file, shifted.text);
    onnx_node_float(&walk->file, "alpha", attributes->norm.slope);
    onnx_node_end(&walk->file);
}

/* norm_apply and widen: the same values, stored otherwise */
static void write_same(struct walk *walk) { simple(walk, "Identity", input_name(walk, 0).text, NULL, output_name(walk).text); }

static void write_max_pool2(struct walk *walk) {
    onnx_node_begin(&walk->file, "MaxPool", output_name(walk).text);
    onnx_node_input(&walk->file, input_name(walk, 0).text);
    onnx_node_integers(&walk->file, "kernel_shape", 2, walk->dims);
    onnx_node_integers(&walk->file, "strides", 2, walk->dims);
    onnx_node_end(&walk->file);
}

static void write_upsample(struct walk *walk) {
    resize(walk, input_name(walk, 0), output_name(walk), "doubled", "half_pixel");
    walk->doubled = true;
}

static void write_resize_corners(struct walk *walk) {
    struct name output = output_name(walk), scales = with(output, "scales"), resized = with(output, "resized"),
                factor = with(output, "factor");
    const struct grid *from = &walk->graph->tensors[walk->node->input[0]].grid, *to = &walk->node->attributes.grid;
    float ratio[5] = {1, 1};
    for (int i = 0; i < walk->dims; i++) ratio[2 + i] = (float)to->size[3 - walk->dims + i] / (float)from->size[3 - walk->dims + i];
    onnx_constant(&walk->file, scales.text, ONNX_FLOAT, 2 + walk->dims, ratio, (size_t)(2 + walk->dims) * sizeof *ratio);
    onnx_constant(&walk->file, factor.text, ONNX_FLOAT, 1, &walk->node->attributes.scale, sizeof(float));
    resize(walk, input_name(walk, 0), resized, scales.text, "align_corners");
    simple(walk, "Mul", resized.text, factor.text, output.text);
}

static void write_global_pool(struct walk *walk) {
    simple(walk, "GlobalAveragePool", input_name(walk, 0).text, NULL, output_name(walk).text);
}

static void write_add(struct walk *walk) {
    simple(walk, "Add", input_name(walk, 0).text, input_name(walk, 1).text, output_name(walk).text);
}

static void (*const writers[OP_COUNT])(struct walk *) = {
    [OP_conv] = write_conv,
    [OP_norm_act] = write_norm_act,
    [OP_norm_apply] = write_same,
    [OP_widen] = write_same,
    [OP_max_pool2] = write_max_pool2,
    [OP_upsample] = write_upsample,
    [OP_resize_corners] = write_resize_corners,
    [OP_global_pool] = write_global_pool,
    [OP_add] = write_add,
};

bool onnx_knows(enum op op) { return writers[op] != NULL; }

/* ---- the walk */

/* "height/16": what the image's size is divided by; one pixel whatever the image's size has no name. */
static void write_output(struct walk *walk, int index) {
    static const char *const axes[] = {"depth", "height", "width"};
    const struct tensor *image = &walk->graph->tensors[0], *output = &walk->graph->tensors[walk->network->output[index]];
    char text[3][32];
    const char *size[3];
    for (int i = 0; i < walk->dims; i++) {
        int axis = 3 - walk->dims + i;
        int64_t of = output->grid.size[axis], stride = image->grid.size[axis] / (of ? of : 1);
        if (stride == 1) snprintf(text[i], sizeof text[i], "%s", axes[axis]);
        else snprintf(text[i], sizeof text[i], "%s/%lld", axes[axis], (long long)stride);
        size[i] = of == 1 ? NULL : text[i];
    }
    onnx_value(&walk->file, true, walk->network->output_name[index], output->channels,
               walk->network->tail & ONNX_FLAT ? 0 : walk->dims, size);
}

/* From what the graph gives to what the file gives. */
static void write_tail(struct walk *walk, int index) {
    const unsigned tail = walk->network->tail;
    struct name output, raw = name_of(walk, walk->network->output[index]);
    snprintf(output.text, sizeof output.text, "%s", walk->network->output_name[index]);
    const bool activated = tail & (ONNX_SOFTMAX | ONNX_SIGMOID);
    if (tail & ONNX_FLAT) {
        struct name flat = activated ? with(output, "flat") : output;
        simple(walk, "Flatten", raw.text, NULL, flat.text);
        raw = flat;
    }
    if (!activated) return;
    onnx_node_begin(&walk->file, tail & ONNX_SOFTMAX ? "Softmax" : "Sigmoid", output.text);
    onnx_node_input(&walk->file, raw.text);
    if (tail & ONNX_SOFTMAX) onnx_node_integer(&walk->file, "axis", 1);
    onnx_node_end(&walk->file);
}

static cover_status has_form(const struct walk *walk) {
    const struct op_row *row = &op_rows[walk->node->op];
    if (!writers[walk->node->op])
        return fail(COVER_ERROR_UNSUPPORTED, "ONNX export: there is no form of the operation %s", row->name);
    for (int i = 0; i < row->inputs; i++)
        if (has(walk, i) && walk->graph->tensors[walk->node->input[i]].parent != ABSENT)
            return fail(COVER_ERROR_UNSUPPORTED, "ONNX export: %s reads one image of several", row->name);
    return COVER_OK;
}

static void write_network(struct walk *walk) {
    static const char *const axes[] = {"depth", "height", "width"};
    static const float doubled[5] = {1, 1, 2, 2, 2};
    static const int64_t spread[5] = {1, -1, 1, 1, 1};
    size_t rank = 2 + (size_t)walk->dims;
    onnx_value(&walk->file, false, "image", walk->graph->tensors[0].channels, walk->dims, axes + 3 - walk->dims);
    for (int i = 0; i < walk->network->outputs; i++) write_output(walk, i);
    onnx_constant(&walk->file, "by_channel", ONNX_INT64, (int64_t)rank, spread, rank * sizeof *spread);
    for (int n = 0; n < walk->graph->node_count && walk->file.status == COVER_OK; n++) {
        walk->node = &walk->graph->nodes[n];
        if ((walk->file.status = has_form(walk)) == COVER_OK) writers[walk->node->op](walk);
    }
    if (walk->doubled) onnx_constant(&walk->file, "doubled", ONNX_FLOAT, (int64_t)rank, doubled, rank * sizeof *doubled);
    for (int i = 0; i < walk->network->outputs && walk->network->tail; i++) write_tail(walk, i);
}

cover_status onnx_write(cover_context *context, const char *path, const struct onnx_network *network) {
    struct walk walk = {.network = network, .graph = network->graph, .dims = network->graph->tensors[0].grid.ndim};
    cover_status status;
    GO(onnx_begin(&walk.file, context, network->parameters, network->flat, network->name));
    for (int i = 0; i < network->abouts; i++) onnx_property(&walk.file, network->about[i].key, network->about[i].value);
    write_network(&walk);
    GO(onnx_end(&walk.file, path));
done:
    onnx_free(&walk.file);
    return status;
}
