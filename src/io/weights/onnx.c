/* ONNX export of the U-Net backbone: protobuf written by hand (protobuf.dev, "Encoding"; field numbers from
 * onnx.proto3). Operator set 18, IR version 8, so that runtimes since 2022 take it; GroupNorm is spelt out by older
 * operators, because GroupNormalization changed its meaning between sets 18 and 21.  See onnx.h. */
#include "onnx.h"

#include "core/base/files.h"

#include <stdio.h>
#include <string.h>

enum { IR_VERSION = 8, OPERATOR_SET = 18, FLOAT = 1, INT64 = 7, STAGES = 9, LEVELS = 5, CHANNELS_A_GROUP = 8 };
static const float negative_slope = 0.2f, epsilon = 1e-5f;

/* ---- protobuf: a message is a text of fields; the first failure is remembered by the text */

enum wire { VARINT = 0, BYTES = 2, FIXED32 = 5 };

static void add_varint(struct text *message, uint64_t value) {
    uint8_t bytes[10];
    size_t count = 0;
    do {
        bytes[count++] = (uint8_t)((value & 0x7F) | (value > 0x7F ? 0x80 : 0));
        value >>= 7;
    } while (value);
    text_add_bytes(message, bytes, count);
}

static void add_key(struct text *message, int field, enum wire wire) {
    add_varint(message, (uint64_t)field << 3 | wire);
}

static void add_integer(struct text *message, int field, int64_t value) {
    add_key(message, field, VARINT);
    add_varint(message, (uint64_t)value);
}

static void add_float(struct text *message, int field, float value) {
    add_key(message, field, FIXED32);
    text_add_bytes(message, &value, sizeof value);
}

static void add_string(struct text *message, int field, const char *value) {
    add_key(message, field, BYTES);
    add_varint(message, strlen(value));
    text_add_bytes(message, value, strlen(value));
}

/* Put a message into its parent and empty it. */
static void add_message(struct text *parent, int field, struct text *message) {
    if (message->failed) parent->failed = true;
    add_key(parent, field, BYTES);
    add_varint(parent, message->length);
    if (message->length && !message->failed) text_add_bytes(parent, message->data, message->length);
    text_free(message);
}

/* ---- ONNX: fields of NodeProto, AttributeProto, TensorProto, ValueInfoProto, GraphProto, ModelProto */

enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_OPERATOR = 4, NODE_ATTRIBUTE = 5 };
enum { ATTRIBUTE_NAME = 1, ATTRIBUTE_F = 2, ATTRIBUTE_I = 3, ATTRIBUTE_S = 4, ATTRIBUTE_INTS = 8, ATTRIBUTE_TYPE = 20 };
enum { TYPE_FLOAT = 1, TYPE_INT = 2, TYPE_STRING = 3, TYPE_INTS = 7 };
enum { TENSOR_DIMS = 1, TENSOR_DATA_TYPE = 2, TENSOR_NAME = 8, TENSOR_RAW_DATA = 9 };
enum { GRAPH_NODE = 1, GRAPH_NAME = 2, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum { MODEL_IR_VERSION = 1, MODEL_PRODUCER = 2, MODEL_GRAPH = 7, MODEL_OPERATOR_SET = 8 };

struct builder {
    cover_context *context;
    const struct onnx_unet *unet;
    struct text graph, node;
    bool *used; /* a parameter each; their values stay out of memory */
    cover_status status;
};

static struct text message(const struct builder *builder) { return (struct text){.context = builder->context}; }

static void begin_node(struct builder *builder, const char *operator, const char * output) {
    builder->node = message(builder);
    add_string(&builder->node, NODE_OUTPUT, output);
    add_string(&builder->node, NODE_NAME, output);
    add_string(&builder->node, NODE_OPERATOR, operator);
}
static void node_input(struct builder *builder, const char *name) { add_string(&builder->node, NODE_INPUT, name); }
static void end_node(struct builder *builder) { add_message(&builder->graph, GRAPH_NODE, &builder->node); }

static struct text begin_attribute(struct builder *builder, const char *name, int type) {
    struct text attribute = message(builder);
    add_string(&attribute, ATTRIBUTE_NAME, name);
    add_integer(&attribute, ATTRIBUTE_TYPE, type);
    return attribute;
}
static void node_float(struct builder *builder, const char *name, float value) {
    struct text attribute = begin_attribute(builder, name, TYPE_FLOAT);
    add_float(&attribute, ATTRIBUTE_F, value);
    add_message(&builder->node, NODE_ATTRIBUTE, &attribute);
}
static void node_integer(struct builder *builder, const char *name, int64_t value) {
    struct text attribute = begin_attribute(builder, name, TYPE_INT);
    add_integer(&attribute, ATTRIBUTE_I, value);
    add_message(&builder->node, NODE_ATTRIBUTE, &attribute);
}
static void node_string(struct builder *builder, const char *name, const char *value) {
    struct text attribute = begin_attribute(builder, name, TYPE_STRING);
    add_string(&attribute, ATTRIBUTE_S, value);
    add_message(&builder->node, NODE_ATTRIBUTE, &attribute);
}
/* The same number `count` times. */
static void node_integers(struct builder *builder, const char *name, int64_t value, int count) {
    struct text attribute = begin_attribute(builder, name, TYPE_INTS);
    for (int i = 0; i < count; i++) add_integer(&attribute, ATTRIBUTE_INTS, value);
    add_message(&builder->node, NODE_ATTRIBUTE, &attribute);
}

/* A small constant of rank 1, stored in the graph. */
static void add_constant(struct builder *builder, const char *name, int type, int64_t count, const void *data,
                         size_t bytes) {
    struct text tensor = message(builder);
    add_integer(&tensor, TENSOR_DIMS, count);
    add_integer(&tensor, TENSOR_DATA_TYPE, type);
    add_string(&tensor, TENSOR_NAME, name);
    add_key(&tensor, TENSOR_RAW_DATA, BYTES);
    add_varint(&tensor, bytes);
    text_add_bytes(&tensor, data, bytes);
    add_message(&builder->graph, GRAPH_INITIALIZER, &tensor);
}

/* A parameter under its own name; its values follow the graph's other fields when the file is written. */
static void use_parameter(struct builder *builder, const char *name, int rank, const int64_t *shape) {
    const struct parameters *parameters = builder->unet->parameters;
    int index = parameters_find(parameters, name);
    node_input(builder, name);
    if (builder->status != COVER_OK) return;
    const struct parameter *row = index < 0 ? NULL : &parameters->rows[index];
    if (!row || row->rank != rank || memcmp(row->shape, shape, (size_t)rank * sizeof *shape) != 0)
        builder->status = fail(COVER_ERROR_MISMATCH, "ONNX export: parameter %s is %s", name,
                               row ? "of another shape than the U-Net has" : "missing");
    else
        builder->used[index] = true;
}

/* ---- the network (docs/method.md, "Backbone"); every function takes the name of its input and of its output */

struct name {
    char text[112];
};
static struct name named(const char *prefix, const char *suffix) {
    struct name name;
    snprintf(name.text, sizeof name.text, "%.80s%.30s", prefix, suffix);
    return name;
}

static void add_conv(struct builder *builder, const char *prefix, const char *input, const char *output, int64_t c_in,
                     int64_t c_out) {
    const int64_t shape[5] = {c_out, c_in, 3, 3, 3};
    int dims = builder->unet->dims;
    begin_node(builder, "Conv", output);
    node_input(builder, input);
    use_parameter(builder, named(prefix, ".weight").text, 2 + dims, shape);
    use_parameter(builder, named(prefix, ".bias").text, 1, shape);
    node_integers(builder, "kernel_shape", 3, dims);
    node_integers(builder, "pads", 1, 2 * dims);
    end_node(builder);
}

static void add_reshape(struct builder *builder, const char *input, const char *shape, const char *output) {
    begin_node(builder, "Reshape", output);
    node_input(builder, input);
    node_input(builder, shape);
    end_node(builder);
}

/* A vector of one number a channel, as (1, C, 1, ...) so that it multiplies or shifts channels. */
static void add_by_channel(struct builder *builder, const char *operator, const char * parameter, const char *input,
                           const char *output, int64_t channels) {
    struct name spread = named(parameter, ".spread");
    begin_node(builder, "Reshape", spread.text);
    use_parameter(builder, parameter, 1, &channels);
    node_input(builder, "by_channel");
    end_node(builder);
    begin_node(builder, operator, output);
    node_input(builder, input);
    node_input(builder, spread.text);
    end_node(builder);
}

/* GroupNorm with groups of 8 channels: each group, laid flat, is one channel of InstanceNormalization. */
static void add_group_norm(struct builder *builder, const char *prefix, const char *input, const char *output,
                           int64_t channels) {
    struct name shape = named(input, ".shape"), grouped = named(input, ".grouped"), flat = named(input, ".flat"),
                ones = named(prefix, ".ones"), zeros = named(prefix, ".zeros"), normal = named(input, ".normal"),
                restored = named(input, ".restored"), scaled = named(input, ".scaled");
    const int64_t groups = channels / CHANNELS_A_GROUP, layout[3] = {0, groups, -1};
    struct text one = message(builder), zero = message(builder);
    for (int64_t i = 0; i < groups; i++) {
        text_add_bytes(&one, &(float){1}, sizeof(float));
        text_add_bytes(&zero, &(float){0}, sizeof(float));
    }
    if (one.failed || zero.failed) {
        builder->status = COVER_ERROR_MEMORY;
    } else {
        add_constant(builder, ones.text, FLOAT, groups, one.data, one.length);
        add_constant(builder, zeros.text, FLOAT, groups, zero.data, zero.length);
    }
    text_free(&one);
    text_free(&zero);
    add_constant(builder, grouped.text, INT64, 3, layout, sizeof layout);
    begin_node(builder, "Shape", shape.text);
    node_input(builder, input);
    end_node(builder);
    add_reshape(builder, input, grouped.text, flat.text);
    begin_node(builder, "InstanceNormalization", normal.text);
    node_input(builder, flat.text);
    node_input(builder, ones.text);
    node_input(builder, zeros.text);
    node_float(builder, "epsilon", epsilon);
    end_node(builder);
    add_reshape(builder, normal.text, shape.text, restored.text);
    add_by_channel(builder, "Mul", named(prefix, ".weight").text, restored.text, scaled.text, channels);
    add_by_channel(builder, "Add", named(prefix, ".bias").text, scaled.text, output, channels);
}

static void add_double_conv(struct builder *builder, const char *prefix, const char *input, const char *output,
                            int64_t c_in, int64_t c_out) {
    struct name halfway = named(prefix, ".halfway");
    for (int half = 0; half < 2; half++) {
        char digit[2] = {(char)('0' + 3 * half), 0}, next[2] = {(char)('1' + 3 * half), 0};
        struct name double_conv = named(prefix, ".double_conv."), conv = named(double_conv.text, digit),
                    norm = named(double_conv.text, next), convolved = named(conv.text, ".out"),
                    normed = named(norm.text, ".out");
        add_conv(builder, conv.text, half ? halfway.text : input, convolved.text, half ? c_out : c_in, c_out);
        add_group_norm(builder, norm.text, convolved.text, normed.text, c_out);
        begin_node(builder, "LeakyRelu", half ? output : halfway.text);
        node_input(builder, normed.text);
        node_float(builder, "alpha", negative_slope);
        end_node(builder);
    }
}

static void add_down(struct builder *builder, int step, const char *input, const char *output) {
    const int64_t *widths = builder->unet->widths;
    char prefix[64];
    snprintf(prefix, sizeof prefix, "backbone.down%d.maxpool_conv.1", step);
    struct name pooled = named(prefix, ".pooled");
    begin_node(builder, "MaxPool", pooled.text);
    node_input(builder, input);
    node_integers(builder, "kernel_shape", 2, builder->unet->dims);
    node_integers(builder, "strides", 2, builder->unet->dims);
    end_node(builder);
    add_double_conv(builder, prefix, pooled.text, output, widths[step - 1], widths[step]);
}

static void add_up(struct builder *builder, int step, const char *deep, const char *skip, const char *output) {
    const int64_t *widths = builder->unet->widths;
    char prefix[64];
    snprintf(prefix, sizeof prefix, "backbone.up%d.conv", step);
    struct name larger = named(prefix, ".larger"), joined = named(prefix, ".joined");
    begin_node(builder, "Resize", larger.text);
    node_input(builder, deep);
    node_input(builder, "");
    node_input(builder, "doubled");
    node_string(builder, "mode", "linear");
    node_string(builder, "coordinate_transformation_mode", "half_pixel");
    end_node(builder);
    begin_node(builder, "Concat", joined.text);
    node_input(builder, skip);
    node_input(builder, larger.text);
    node_integer(builder, "axis", 1);
    end_node(builder);
    int64_t c_in = widths[LEVELS - 1 - step] + widths[LEVELS - 2 + step];
    add_double_conv(builder, prefix, joined.text, output, c_in, widths[LEVELS - 1 + step]);
}

/* ValueInfoProto: name, then TypeProto { tensor_type { elem_type, shape { dim { value or name } ... } } }. */
static void add_value(struct builder *builder, int field, const char *name, int64_t channels, const char *sizes) {
    static const char *const axes[] = {"depth", "height", "width"};
    struct text value = message(builder), type = message(builder), tensor = message(builder), shape = message(builder);
    struct text batch = message(builder), channel = message(builder);
    add_string(&batch, 2, "batch");
    add_message(&shape, 1, &batch);
    add_integer(&channel, 1, channels);
    add_message(&shape, 1, &channel);
    for (int axis = 3 - builder->unet->dims; axis < 3; axis++) {
        struct text dim = message(builder);
        add_string(&dim, 2, named(axes[axis], sizes).text);
        add_message(&shape, 1, &dim);
    }
    add_integer(&tensor, 1, FLOAT);
    add_message(&tensor, 2, &shape);
    add_message(&type, 1, &tensor);
    add_string(&value, 1, name);
    add_message(&value, 2, &type);
    add_message(&builder->graph, field, &value);
}

static void add_network(struct builder *builder) {
    static const char *const encoder[LEVELS] = {"encoder0", "encoder1", "encoder2", "encoder3", "level0"};
    static const char *const levels[LEVELS] = {"level0", "level1", "level2", "level3", "level4"};
    static const char *const divided[LEVELS] = {"/16", "/8", "/4", "/2", ""};
    static const float doubled[5] = {1, 1, 2, 2, 2};
    static const int64_t by_channel[5] = {1, -1, 1, 1, 1};
    const struct onnx_unet *unet = builder->unet;
    size_t rank = 2 + (size_t)unet->dims;
    add_string(&builder->graph, GRAPH_NAME, "cover_unet");
    add_value(builder, GRAPH_INPUT, "image", unet->channels, "");
    for (int i = 0; i < LEVELS; i++)
        add_value(builder, GRAPH_OUTPUT, levels[i], unet->widths[LEVELS - 1 + i], divided[i]);
    add_constant(builder, "doubled", FLOAT, (int64_t)rank, doubled, rank * sizeof *doubled);
    add_constant(builder, "by_channel", INT64, (int64_t)rank, by_channel, rank * sizeof *by_channel);
    add_double_conv(builder, "backbone.inc", "image", encoder[0], unet->channels, unet->widths[0]);
    for (int i = 1; i < LEVELS; i++) add_down(builder, i, encoder[i - 1], encoder[i]);
    for (int i = 1; i < LEVELS; i++) add_up(builder, i, levels[i - 1], encoder[LEVELS - 1 - i], levels[i]);
}

/* ---- the file: model, graph's small fields, then one initializer a parameter, its values straight from the buffer */

/* Everything of a parameter's TensorProto before its values, with the key and length of the whole in front. */
static cover_status parameter_head(struct builder *builder, struct text *out, const struct parameter *row) {
    text_free(out);
    struct text tensor = message(builder);
    uint64_t bytes = (uint64_t)row->count * sizeof(float);
    for (int axis = 0; axis < row->rank; axis++) add_integer(&tensor, TENSOR_DIMS, row->shape[axis]);
    add_integer(&tensor, TENSOR_DATA_TYPE, FLOAT);
    add_string(&tensor, TENSOR_NAME, row->name);
    add_key(&tensor, TENSOR_RAW_DATA, BYTES);
    add_varint(&tensor, bytes);
    add_key(out, GRAPH_INITIALIZER, BYTES);
    add_varint(out, tensor.length + bytes);
    if (tensor.failed)
        out->failed = true;
    else
        text_add_bytes(out, tensor.data, tensor.length);
    text_free(&tensor);
    return out->failed ? COVER_ERROR_MEMORY : COVER_OK;
}

static cover_status write_model(struct builder *builder, const char *path) {
    const struct parameters *parameters = builder->unet->parameters;
    cover_status status = COVER_OK;
    struct replacement file = {.descriptor = -1};
    struct text model = message(builder), set = message(builder), head = message(builder);
    uint64_t graph_bytes = builder->graph.length;
    for (int i = 0; i < parameters->count; i++) {
        if (!builder->used[i]) continue;
        GO(parameter_head(builder, &head, &parameters->rows[i]));
        graph_bytes += head.length + (uint64_t)parameters->rows[i].count * sizeof(float);
    }
    add_integer(&model, MODEL_IR_VERSION, IR_VERSION);
    add_string(&model, MODEL_PRODUCER, "libcover");
    add_integer(&set, 2, OPERATOR_SET);
    add_message(&model, MODEL_OPERATOR_SET, &set);
    add_key(&model, MODEL_GRAPH, BYTES);
    add_varint(&model, graph_bytes);
    if (model.failed) {
        status = COVER_ERROR_MEMORY;
        goto done;
    }
    if (graph_bytes > INT32_MAX - 1024) {
        status = fail(COVER_ERROR_UNSUPPORTED, "%s: the network has %llu bytes, but an ONNX file holds 2 GB at most",
                      path, (unsigned long long)graph_bytes);
        goto done;
    }
    GO(replacement_begin(&file, builder->context, path));
    GO(replacement_write(&file, model.data, model.length));
    GO(replacement_write(&file, builder->graph.data, builder->graph.length));
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *row = &parameters->rows[i];
        if (!builder->used[i]) continue;
        GO(parameter_head(builder, &head, row));
        GO(replacement_write(&file, head.data, head.length));
        GO(replacement_write(&file, builder->unet->flat + row->offset, (size_t)row->count * sizeof(float)));
    }
    GO(replacement_commit(&file, builder->context));
done:
    replacement_abandon(&file, builder->context);
    text_free(&model);
    text_free(&set);
    text_free(&head);
    return status;
}

cover_status onnx_write_unet(cover_context *context, const char *path, const struct onnx_unet *unet) {
    struct builder builder = {.context = context, .unet = unet};
    builder.graph = message(&builder);
    builder.used = memory_zero(context, (size_t)unet->parameters->count * sizeof *builder.used);
    if (!builder.used) return COVER_ERROR_MEMORY;
    add_network(&builder);
    cover_status status = builder.graph.failed ? COVER_ERROR_MEMORY : builder.status;
    if (status == COVER_OK) status = write_model(&builder, path);
    text_free(&builder.graph);
    memory_free(context, builder.used);
    return status;
}
