/* Protobuf and the messages of ONNX.  See onnx_proto.h.  Operator set 18, IR version 8, so that runtimes since 2022 take it. */
#include "onnx_proto.h"

#include "core/base/files.h"

#include <stdio.h>
#include <string.h>

enum { IR_VERSION = 8, OPERATOR_SET = 18, FLOAT = ONNX_FLOAT };

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

static void add_key(struct text *message, int field, enum wire wire) { add_varint(message, (uint64_t)field << 3 | wire); }

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
enum { MODEL_IR_VERSION = 1, MODEL_PRODUCER = 2, MODEL_GRAPH = 7, MODEL_OPERATOR_SET = 8, MODEL_METADATA = 14 };

static struct text message(const struct onnx_file *file) { return (struct text){.context = file->context}; }

void onnx_node_begin(struct onnx_file *file, const char *operator, const char * output) {
    file->node = message(file);
    add_string(&file->node, NODE_OUTPUT, output);
    add_string(&file->node, NODE_NAME, output);
    add_string(&file->node, NODE_OPERATOR, operator);
}
void onnx_node_input(struct onnx_file *file, const char *name) { add_string(&file->node, NODE_INPUT, name); }
void onnx_node_end(struct onnx_file *file) { add_message(&file->graph, GRAPH_NODE, &file->node); }

static struct text begin_attribute(struct onnx_file *file, const char *name, int type) {
    struct text attribute = message(file);
    add_string(&attribute, ATTRIBUTE_NAME, name);
    add_integer(&attribute, ATTRIBUTE_TYPE, type);
    return attribute;
}
void onnx_node_float(struct onnx_file *file, const char *name, float value) {
    struct text attribute = begin_attribute(file, name, TYPE_FLOAT);
    add_float(&attribute, ATTRIBUTE_F, value);
    add_message(&file->node, NODE_ATTRIBUTE, &attribute);
}
void onnx_node_integer(struct onnx_file *file, const char *name, int64_t value) {
    struct text attribute = begin_attribute(file, name, TYPE_INT);
    add_integer(&attribute, ATTRIBUTE_I, value);
    add_message(&file->node, NODE_ATTRIBUTE, &attribute);
}
void onnx_node_string(struct onnx_file *file, const char *name, const char *value) {
    struct text attribute = begin_attribute(file, name, TYPE_STRING);
    add_string(&attribute, ATTRIBUTE_S, value);
    add_message(&file->node, NODE_ATTRIBUTE, &attribute);
}
void onnx_node_integers(struct onnx_file *file, const char *name, int64_t value, int count) {
    struct text attribute = begin_attribute(file, name, TYPE_INTS);
    for (int i = 0; i < count; i++) add_integer(&attribute, ATTRIBUTE_INTS, value);
    add_message(&file->node, NODE_ATTRIBUTE, &attribute);
}

void onnx_property(struct onnx_file *file, const char *key, const char *value) {
    struct text pair = message(file);
    add_string(&pair, 1, key);
    add_string(&pair, 2, value);
    add_message(&file->properties, MODEL_METADATA, &pair);
}

void onnx_constant(struct onnx_file *file, const char *name, int type, int64_t count, const void *data, size_t bytes) {
    struct text tensor = message(file);
    add_integer(&tensor, TENSOR_DIMS, count);
    add_integer(&tensor, TENSOR_DATA_TYPE, type);
    add_string(&tensor, TENSOR_NAME, name);
    add_key(&tensor, TENSOR_RAW_DATA, BYTES);
    add_varint(&tensor, bytes);
    text_add_bytes(&tensor, data, bytes);
    add_message(&file->graph, GRAPH_INITIALIZER, &tensor);
}

void onnx_node_parameter(struct onnx_file *file, const struct parameter *wanted) {
    int index = parameters_find(file->parameters, wanted->name);
    onnx_node_input(file, wanted->name);
    if (file->status != COVER_OK) return;
    const struct parameter *row = index < 0 ? NULL : &file->parameters->rows[index];
    if (!row || row->rank != wanted->rank || memcmp(row->shape, wanted->shape, (size_t)row->rank * sizeof *row->shape) != 0)
        file->status = fail(COVER_ERROR_MISMATCH, "ONNX export: parameter %s is %s", wanted->name,
                            row ? "of another shape than the network has" : "missing");
    else file->used[index] = true;
}

/* ValueInfoProto: name, then TypeProto { tensor_type { elem_type, shape { dim { value or name } ... } } }. */
void onnx_value(struct onnx_file *file, bool output, const char *name, int64_t channels, int dims, const char *const *size) {
    struct text value = message(file), type = message(file), tensor = message(file), shape = message(file);
    struct text batch = message(file), channel = message(file);
    add_string(&batch, 2, "batch");
    add_message(&shape, 1, &batch);
    add_integer(&channel, 1, channels);
    add_message(&shape, 1, &channel);
    for (int axis = 0; axis < dims; axis++) {
        struct text dim = message(file);
        if (size[axis]) add_string(&dim, 2, size[axis]);
        else add_integer(&dim, 1, 1);
        add_message(&shape, 1, &dim);
    }
    add_integer(&tensor, 1, FLOAT);
    add_message(&tensor, 2, &shape);
    add_message(&type, 1, &tensor);
    add_string(&value, 1, name);
    add_message(&value, 2, &type);
    add_message(&file->graph, output ? GRAPH_OUTPUT : GRAPH_INPUT, &value);
}

/* ---- the file: model, graph's small fields, then one initializer a parameter, its values straight from the buffer */

/* Everything of a parameter's TensorProto before its values, with the key and length of the whole in front. */
static cover_status parameter_head(struct onnx_file *file, struct text *out, const struct parameter *row) {
    text_free(out);
    struct text tensor = message(file);
    uint64_t bytes = (uint64_t)row->count * sizeof(float);
    for (int axis = 0; axis < row->rank; axis++) add_integer(&tensor, TENSOR_DIMS, row->shape[axis]);
    add_integer(&tensor, TENSOR_DATA_TYPE, FLOAT);
    add_string(&tensor, TENSOR_NAME, row->name);
    add_key(&tensor, TENSOR_RAW_DATA, BYTES);
    add_varint(&tensor, bytes);
    add_key(out, GRAPH_INITIALIZER, BYTES);
    add_varint(out, tensor.length + bytes);
    if (tensor.failed) out->failed = true;
    else text_add_bytes(out, tensor.data, tensor.length);
    text_free(&tensor);
    return out->failed ? COVER_ERROR_MEMORY : COVER_OK;
}

static cover_status write_model(struct onnx_file *file, const char *path) {
    const struct parameters *parameters = file->parameters;
    cover_status status = COVER_OK;
    struct replacement out = {.descriptor = -1};
    struct text model = message(file), set = message(file), head = message(file);
    uint64_t graph_bytes = file->graph.length;
    for (int i = 0; i < parameters->count; i++) {
        if (!file->used[i]) continue;
        GO(parameter_head(file, &head, &parameters->rows[i]));
        graph_bytes += head.length + (uint64_t)parameters->rows[i].count * sizeof(float);
    }
    add_integer(&model, MODEL_IR_VERSION, IR_VERSION);
    add_string(&model, MODEL_PRODUCER, "libcover");
    add_integer(&set, 2, OPERATOR_SET);
    add_message(&model, MODEL_OPERATOR_SET, &set);
    if (file->properties.failed) model.failed = true;
    else if (file->properties.length) text_add_bytes(&model, file->properties.data, file->properties.length);
    add_key(&model, MODEL_GRAPH, BYTES);
    add_varint(&model, graph_bytes);
    if (model.failed) {
        status = COVER_ERROR_MEMORY;
        goto done;
    }
    if (graph_bytes > INT32_MAX - 1024) {
        status = fail(COVER_ERROR_UNSUPPORTED, "%s: the network has %llu bytes, but an ONNX file holds 2 GB at most", path,
                      (unsigned long long)graph_bytes);
        goto done;
    }
    GO(replacement_begin(&out, file->context, path));
    GO(replacement_write(&out, model.data, model.length));
    GO(replacement_write(&out, file->graph.data, file->graph.length));
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *row = &parameters->rows[i];
        if (!file->used[i]) continue;
        GO(parameter_head(file, &head, row));
        GO(replacement_write(&out, head.data, head.length));
        GO(replacement_write(&out, file->flat + row->offset, (size_t)row->count * sizeof(float)));
    }
    GO(replacement_commit(&out, file->context));
done:
    replacement_abandon(&out, file->context);
    text_free(&model);
    text_free(&set);
    text_free(&head);
    return status;
}

cover_status onnx_begin(struct onnx_file *file, cover_context *context, const struct parameters *parameters, const float *flat,
                        const char *name) {
    *file = (struct onnx_file){.context = context, .parameters = parameters, .flat = flat};
    file->graph = message(file), file->properties = message(file);
    file->used = memory_zero(context, (size_t)parameters->count * sizeof *file->used);
    if (!file->used) return COVER_ERROR_MEMORY;
    add_string(&file->graph, GRAPH_NAME, name);
    return COVER_OK;
}

cover_status onnx_end(struct onnx_file *file, const char *path) {
    if (file->status != COVER_OK) return file->status;
    return file->graph.failed ? COVER_ERROR_MEMORY : write_model(file, path);
}

void onnx_free(struct onnx_file *file) {
    text_free(&file->node);
    text_free(&file->graph);
    text_free(&file->properties);
    memory_free(file->context, file->used);
}
