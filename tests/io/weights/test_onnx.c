/* ONNX export: the file is sound protobuf, the graph is complete and in order, and the initializers are the weights.
 * (That onnxruntime computes what the reference computes is checked by hand: tests/io/weights/onnx_check.py; what predict computes, by
 * tests/tools/test_onnx.sh.) */
#include "network.h"

#include "core/method/supervised.h"

#include "io/weights/onnx.h"
#include "io/weights/onnx_backbone.h"
#include "io/weights/onnx_task.h"

/* ---- just enough protobuf to read it back */

struct message {
    const uint8_t *at, *end;
};
struct field {
    int number, wire;
    uint64_t value;      /* of wire 0 and 5 */
    struct message data; /* of wire 2 */
};

static uint64_t varint(struct message *message) {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        ck_assert(message->at < message->end && shift < 64);
        uint8_t byte = *message->at++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) return value;
    }
}

static bool next(struct message *message, struct field *field) {
    if (message->at == message->end) return false;
    uint64_t key = varint(message);
    *field = (struct field){.number = (int)(key >> 3), .wire = (int)(key & 7)};
    ck_assert(field->wire == 0 || field->wire == 2 || field->wire == 5);
    if (field->wire == 0) {
        field->value = varint(message);
    } else {
        uint64_t bytes = field->wire == 5 ? 4 : varint(message);
        ck_assert(bytes <= (uint64_t)(message->end - message->at));
        field->data = (struct message){message->at, message->at + bytes};
        message->at += bytes;
    }
    return true;
}

static char *as_text(struct message data) { return strndup((const char *)data.at, (size_t)(data.end - data.at)); }

/* ---- the graph */

enum { NAMES_MAX = 1000 };
static char *names[NAMES_MAX]; /* values known so far */
static int name_count;
static int operators[16];
static const char *const operator_names[] = {
    "Conv", "InstanceNormalization", "LeakyRelu", "MaxPool", "Resize", "Concat", "Reshape", "Shape", "Mul", "Add", NULL};
static const int operator_counts[] = {18, 18, 18, 4, 4, 4, 18 * 4, 18, 18, 18};
static int initializers, outputs;

static bool known(const char *name) {
    for (int i = 0; i < name_count; i++)
        if (strcmp(names[i], name) == 0) return true;
    return false;
}
static void learn(char *name) {
    ck_assert_msg(!known(name), "%s is there twice", name);
    ck_assert_int_lt(name_count, NAMES_MAX);
    names[name_count++] = name;
}

static void read_initializer(struct message tensor, const struct network *net) {
    struct field field;
    int64_t dims[5];
    int rank = 0;
    char *name = NULL;
    struct message raw = {0};
    while (next(&tensor, &field)) {
        if (field.number == 1) dims[rank++] = (int64_t)field.value;
        else if (field.number == 8) name = as_text(field.data);
        else if (field.number == 9) raw = field.data;
    }
    ck_assert_ptr_nonnull(name);
    int row = parameters_find(&net->parameters, name);
    if (row >= 0) {
        const struct parameter *parameter = &net->parameters.rows[row];
        ck_assert_int_eq(rank, parameter->rank);
        for (int axis = 0; axis < rank; axis++) ck_assert_int_eq(dims[axis], parameter->shape[axis]);
        ck_assert_int_eq(raw.end - raw.at, parameter->count * 4);
        ck_assert_mem_eq(raw.at, net->flat + parameter->offset, (size_t)parameter->count * 4);
        initializers++;
    }
    learn(name);
}

static void read_node(struct message node) {
    struct field field;
    for (struct message part = node; next(&part, &field);) {
        if (field.number != 1) continue;
        char *input = as_text(field.data);
        ck_assert_msg(!*input || known(input), "%s is used before it is made", input);
        free(input);
    }
    for (struct message part = node; next(&part, &field);) {
        if (field.number == 2) learn(as_text(field.data));
        if (field.number != 4) continue;
        char *operator= as_text(field.data);
        int row = 0;
        while (operator_names[row] && strcmp(operator_names[row], operator) != 0) row++;
        ck_assert_msg(operator_names[row], "operator %s", operator);
        operators[row]++;
        free(operator);
    }
}

static void read_value(struct message value, bool output) {
    struct field field;
    ck_assert(next(&value, &field) && field.number == 1);
    char *name = as_text(field.data), expected[16];
    if (!output) {
        ck_assert_str_eq(name, "image");
        learn(name);
        return;
    }
    snprintf(expected, sizeof expected, "level%d", outputs++);
    ck_assert_str_eq(name, expected);
    ck_assert(known(name));
    free(name);
}

static void read_graph(struct message graph, const struct network *net) {
    struct field field;
    for (struct message part = graph; next(&part, &field);) {
        if (field.number == 11) read_value(field.data, false);
        if (field.number == 5) read_initializer(field.data, net);
    }
    for (struct message part = graph; next(&part, &field);)
        if (field.number == 1) read_node(field.data);
    for (struct message part = graph; next(&part, &field);)
        if (field.number == 12) read_value(field.data, true);
}

static cover_status write_onnx(cover_context *context, const struct network *net, const char *path) {
    return onnx_write_backbone(context, path, net->config, &net->parameters, net->flat);
}

static void check_model(const char *dims) {
    struct network net = network_create(test_context, dims);
    size_t count;
    struct field field;
    ck_assert_ok(write_onnx(test_context, &net, in_folder("a.onnx")));
    uint8_t *bytes = read_bytes(in_folder("a.onnx"), &count);
    struct message model = {bytes, bytes + count};
    bool graph = false;
    while (next(&model, &field)) {
        if (field.number == 1) ck_assert_uint_eq(field.value, 8); /* IR version */
        if (field.number == 7) read_graph(field.data, &net), graph = true;
    }
    ck_assert(graph);
    ck_assert_int_eq(outputs, 5);
    ck_assert_int_eq(initializers, 9 * 8); /* the backbone's, not the head's */
    for (int i = 0; operator_names[i]; i++)
        ck_assert_msg(operators[i] == operator_counts[i], "%d %s", operators[i], operator_names[i]);
    for (int i = 0; i < name_count; i++) free(names[i]);
    free(bytes);
    network_destroy(&net);
}

START_TEST(the_2d_graph_is_complete_and_in_order) { check_model("2"); }
END_TEST
START_TEST(the_3d_graph_is_complete_and_in_order) { check_model("3"); }
END_TEST

START_TEST(equal_weights_give_equal_bytes) {
    struct network net = network_create(test_context, "2");
    size_t first_count, second_count;
    ck_assert_ok(write_onnx(test_context, &net, in_folder("a.onnx")));
    ck_assert_ok(write_onnx(test_context, &net, in_folder("b.onnx")));
    uint8_t *first = read_bytes(in_folder("a.onnx"), &first_count);
    uint8_t *second = read_bytes(in_folder("b.onnx"), &second_count);
    ck_assert_uint_eq(first_count, second_count);
    ck_assert_mem_eq(first, second, first_count);
    free(first);
    free(second);
    network_destroy(&net);
}
END_TEST

START_TEST(a_missing_or_mis_shaped_parameter_is_named) {
    struct network net = network_create(test_context, "2");
    int row = parameters_find(&net.parameters, "backbone.up3.conv.double_conv.4.bias");
    net.parameters.rows[row].shape[0]++;
    ck_assert_int_eq(write_onnx(test_context, &net, in_folder("a.onnx")), COVER_ERROR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "backbone.up3.conv.double_conv.4.bias is of another shape"));
    strcpy(net.parameters.rows[row].name, "x");
    ck_assert_int_eq(write_onnx(test_context, &net, in_folder("a.onnx")), COVER_ERROR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "backbone.up3.conv.double_conv.4.bias is missing"));
    ck_assert_int_eq(files_in_folder(), 0);
    network_destroy(&net);
}
END_TEST

/* The text behind a key of metadata_props, "" when there is none. */
static const char *property(struct message model, const char *key) {
    static char text[512];
    struct field field, part;
    text[0] = 0;
    while (next(&model, &field)) {
        if (field.number != 14) continue;
        char *name = NULL, *value = NULL;
        while (next(&field.data, &part))
            if (part.number == 1) name = as_text(part.data);
            else value = as_text(part.data);
        if (strcmp(name, key) == 0) snprintf(text, sizeof text, "%s", value);
        free(name);
        free(value);
    }
    return text;
}

/* The last node of the graph and its output; what the graph gives. */
static void check_end(struct message model, const char *operator, const char * output, int64_t rank) {
    struct field field;
    struct message graph = {0}, last = {0}, value = {0};
    int results = 0;
    while (next(&model, &field))
        if (field.number == 7) graph = field.data;
    while (next(&graph, &field)) {
        if (field.number == 1) last = field.data;
        if (field.number == 12) value = field.data, results++;
    }
    ck_assert_int_eq(results, 1);
    while (next(&last, &field)) {
        char *text = field.wire == 2 ? as_text(field.data) : NULL;
        if (field.number == 2) ck_assert_str_eq(text, output);
        if (field.number == 4) ck_assert_str_eq(text, operator);
        free(text);
    }
    ck_assert(next(&value, &field) && field.number == 1 && memcmp(field.data.at, output, strlen(output)) == 0);
    ck_assert(next(&value, &field) && field.number == 2); /* type { tensor { element, shape { dim ... } } } */
    struct message tensor = field.data;
    ck_assert(next(&tensor, &field));
    tensor = field.data;
    ck_assert(next(&tensor, &field) && field.number == 1 && next(&tensor, &field) && field.number == 2);
    for (struct message shape = field.data; next(&shape, &field);) rank--;
    ck_assert_int_eq(rank, 0);
}

static void check_task(const char *preset, const char *multilabel, const char *operator, int64_t rank, const char *says) {
    char *names[3] = {(char *)"none", (char *)"left \"lung\"", (char *)"c\xc5\x93ur"};
    struct task_about about = {.context = test_context, .class_names = names};
    struct parameters parameters;
    ck_assert_ok(cover_config_create(&about.config, test_context, preset));
    ck_assert_ok(cover_config_set(about.config, "widths", "8,8,8,8,8,8,8,8,8"));
    ck_assert_ok(cover_config_set(about.config, "classes", "3"));
    ck_assert_ok(cover_config_set(about.config, "multilabel", multilabel));
    ck_assert_ok(task_parameters(&parameters, test_context, config_settings(about.config)));
    float *flat = memory_zero(test_context, (size_t)parameters.floats * sizeof *flat);
    ck_assert_ok(onnx_write_task(test_context, in_folder("t.onnx"), &about, &parameters, flat));
    size_t count;
    uint8_t *bytes = read_bytes(in_folder("t.onnx"), &count);
    const struct message model = {bytes, bytes + count};
    check_end(model, operator, "scores", rank);
    ck_assert_str_eq(property(model, "classes"), "[\"none\", \"left \\\"lung\\\"\", \"c\xc5\x93ur\"]");
    ck_assert_str_eq(property(model, "normalise"), "range");
    ck_assert_str_eq(property(model, "multiple"), "16");
    ck_assert_str_eq(property(model, "libcover"), cover_version());
    ck_assert_ptr_nonnull(strstr(property(model, "input"), "sizes are multiples of 16; intensities: (x - min) / (max - min)"));
    ck_assert_ptr_nonnull(strstr(property(model, "output"), says));
    free(bytes);
    memory_free(test_context, flat);
    parameters_free(&parameters);
    cover_config_destroy(about.config);
}

START_TEST(a_task_ends_in_its_probabilities_and_says_what_it_must_be_given) {
    check_task("seg-2d", "off", "Softmax", 4, "scores (N, classes, height, width)");
    check_task("seg-3d", "off", "Softmax", 5, "scores (N, classes, depth, height, width)");
    check_task("cls-2d", "off", "Softmax", 2, "scores (N, classes): probabilities; of the classes one holds");
    check_task("cls-3d", "on", "Sigmoid", 2, "each class for itself");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ONNX");
    TCase *tcase = tcase_create("ONNX");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    ADD(tcase, the_2d_graph_is_complete_and_in_order);
    ADD(tcase, the_3d_graph_is_complete_and_in_order);
    ADD(tcase, equal_weights_give_equal_bytes);
    ADD(tcase, a_task_ends_in_its_probabilities_and_says_what_it_must_be_given);
    ADD(tcase, a_missing_or_mis_shaped_parameter_is_named);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
