/* Weight files and networks: loading by name, every misfit listed, convert, export, info. */
#include "network.h"

#include <libcover/dataset.h>
#include <libcover/weights.h>

#define PTH(name) PTH_FOLDER "/" name ".pth"

static struct network net;
static char logged[8192];

static void collect_log(void *user, cover_log_level level, const char *line) {
    (void)user, (void)level;
    strncat(logged, line, sizeof logged - strlen(logged) - 2);
    strcat(logged, "\n");
}

static void setup_network(void) {
    setup();
    cover_context_destroy(test_context);
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.log = collect_log;
    ck_assert_ok(cover_context_create(&test_context, &options));
    logged[0] = 0;
    net = network_create(test_context, "2");
}
static void teardown_network(void) {
    network_destroy(&net);
    teardown();
}

static cover_status load(const char *path, float *flat, bool allow_partial, const char *only) {
    struct tensor_file *file;
    TRY(weights_open(&file, test_context, path));
    cover_status status =
        weights_load(flat, &net.parameters, file, &(struct weights_match){.only = only, .allow_partial = allow_partial});
    tensor_file_close(file);
    return status;
}

/* Load into NaN and compare what should have come (rows whose names begin with `only`) with the network's weights. */
static void check_loaded(const char *path, const char *only) {
    size_t bytes = (size_t)net.parameters.floats * sizeof(float);
    float *flat = malloc(bytes);
    memset(flat, 0xFF, bytes);
    ck_assert_ok(load(path, flat, only != NULL, only));
    for (int row = 0; row < net.parameters.count; row++) {
        const struct parameter *parameter = &net.parameters.rows[row];
        bool expected = !only || strncmp(parameter->name, only, strlen(only)) == 0;
        if (expected)
            ck_assert_mem_eq(flat + parameter->offset, net.flat + parameter->offset, (size_t)parameter->count * sizeof(float));
        else ck_assert(isnan(flat[parameter->offset]));
    }
    free(flat);
}

static void check_fails(const char *path, bool allow_partial, cover_status expected, const char *text) {
    size_t bytes = (size_t)net.parameters.floats * sizeof(float);
    float *flat = malloc(bytes);
    memset(flat, 0x11, bytes);
    cover_status status = load(path, flat, allow_partial, NULL);
    ck_assert_msg(status == expected, "%s: %s", cover_status_name(status), cover_error_text());
    ck_assert_msg(strstr(cover_error_text(), text), "'%s' lacks '%s'", cover_error_text(), text);
    for (size_t i = 0; i < bytes; i++) ck_assert_int_eq(((uint8_t *)flat)[i], 0x11);
    free(flat);
}

static void write_network(const char *path, int64_t step) {
    ck_assert_ok(weights_write(test_context, path, &net.parameters, net.flat, net.config, NULL, step, NULL));
}

/* The network's rows, then `extra`, as outputs to change and write. */
static struct tensor_output *as_outputs(void) {
    struct tensor_output *outputs = calloc((size_t)net.parameters.count + 8, sizeof *outputs);
    for (int row = 0; row < net.parameters.count; row++) {
        const struct parameter *parameter = &net.parameters.rows[row];
        outputs[row] = (struct tensor_output){
            parameter->name, TENSOR_F32, parameter->rank, parameter->shape, net.flat + parameter->offset, NULL, NULL};
    }
    return outputs;
}
static void write_outputs(const char *path, const struct tensor_output *outputs, int64_t count) {
    ck_assert_ok(safetensors_write(test_context, path, outputs, count, NULL, 0));
}

START_TEST(weights_come_back_as_they_were_written) {
    write_network(in_folder("w.safetensors"), 7);
    check_loaded(in_folder("w.safetensors"), NULL);
    check_loaded(in_folder("w.safetensors"), "backbone.");
}
END_TEST

START_TEST(equal_weights_give_equal_bytes) {
    size_t first_count, second_count;
    write_network(in_folder("a.safetensors"), 7);
    write_network(in_folder("b.safetensors"), 7);
    uint8_t *first = read_bytes(in_folder("a.safetensors"), &first_count);
    uint8_t *second = read_bytes(in_folder("b.safetensors"), &second_count);
    ck_assert_uint_eq(first_count, second_count);
    ck_assert_mem_eq(first, second, first_count);
    free(first);
    free(second);
}
END_TEST

START_TEST(metadata_rebuild_the_network) {
    struct tensor_file *file;
    cover_config *config;
    struct weights_about about;
    write_network(in_folder("w.safetensors"), 7);
    ck_assert_ok(cover_config_create(&config, test_context, NULL));
    ck_assert_ok(tensor_file_open(&file, test_context, in_folder("w.safetensors")));
    ck_assert_str_eq(tensor_file_metadata(file, "format"), "libcover");
    ck_assert_str_eq(tensor_file_metadata(file, "version"), "1.0");
    ck_assert_ok(weights_describe(config, &about, file));
    ck_assert(about.head && about.step == 7);
    ck_assert_str_eq(cover_config_get(config, "widths"), "8,8,8,8,8,8,8,8,8");
    ck_assert_str_eq(cover_config_get(config, "radius"), "2");
    ck_assert_str_eq(cover_config_get(config, "coordinates"), "exact");
    tensor_file_close(file);
    cover_config_destroy(config);
}
END_TEST

START_TEST(the_authors_files_are_described_by_their_tensors) {
    struct tensor_file *file;
    cover_config *config;
    struct weights_about about;
    ck_assert_ok(cover_config_create(&config, test_context, NULL));
    ck_assert_ok(tensor_file_open(&file, test_context, PTH("unet2d")));
    ck_assert_ok(weights_describe(config, &about, file));
    ck_assert(about.head && about.step == -1);
    ck_assert_str_eq(cover_config_get(config, "dims"), "2");
    ck_assert_str_eq(cover_config_get(config, "widths"), "8,8,8,8,8,8,8,8,8");
    ck_assert_str_eq(cover_config_get(config, "heads"), "4,4,4,1,1");
    ck_assert_str_eq(cover_config_get(config, "radius"), "2");
    ck_assert_str_eq(cover_config_get(config, "coordinates"), "released");
    tensor_file_close(file);
    ck_assert_ok(tensor_file_open(&file, test_context, PTH("backbone3d")));
    ck_assert_ok(weights_describe(config, &about, file));
    ck_assert(!about.head);
    ck_assert_str_eq(cover_config_get(config, "dims"), "3");
    tensor_file_close(file);
    ck_assert_ok(tensor_file_open(&file, test_context, PTH("strides")));
    ck_assert_int_eq(weights_describe(config, &about, file), COVER_ERROR_MISMATCH);
    tensor_file_close(file);
    cover_config_destroy(config);
}
END_TEST

START_TEST(a_pytorch_file_loads_and_converts) {
    char *summary;
    check_loaded(PTH("unet2d"), NULL);
    ck_assert_ok(cover_weights_convert(&summary, test_context, PTH("unet2d"), in_folder("c.safetensors"), NULL));
    ck_assert_ptr_nonnull(strstr(summary, "\"radius\": 2"));
    memory_free(test_context, summary);
    check_loaded(in_folder("c.safetensors"), NULL);
    struct tensor_file *file;
    float grid[50];
    ck_assert_ok(tensor_file_open(&file, test_context, in_folder("c.safetensors")));
    const struct tensor_entry *entry = tensor_file_find(file, "mov.grid");
    ck_assert(entry && entry->rank == 3 && entry->shape[0] == 5 && entry->shape[1] == 5 && entry->shape[2] == 2);
    ck_assert_ok(tensor_read_f32(file, entry, grid));
    for (int y = 0; y < 5; y++)
        for (int x = 0; x < 5; x++) ck_assert(grid[10 * y + 2 * x] == y - 2 && grid[10 * y + 2 * x + 1] == x - 2);
    tensor_file_close(file);
}
END_TEST

START_TEST(other_files_are_converted_as_they_are) {
    struct tensor_file *file;
    char *summary;
    ck_assert_ok(cover_weights_convert(&summary, test_context, PTH("types"), in_folder("t.safetensors"), NULL));
    ck_assert_ptr_nonnull(strstr(summary, "\"network\": null"));
    memory_free(test_context, summary);
    ck_assert_ok(tensor_file_open(&file, test_context, in_folder("t.safetensors")));
    ck_assert_int_eq(file->count, 15);
    ck_assert_int_eq(tensor_file_find(file, "bf16")->type, TENSOR_BF16);
    ck_assert_ptr_null(tensor_file_metadata(file, "format"));
    tensor_file_close(file);
    ck_assert_int_eq(cover_weights_convert(NULL, test_context, PTH("types"), in_folder("t.pth"), NULL), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_weights_convert(NULL, test_context, PTH("evil_protocol4"), in_folder("e.safetensors"), NULL),
                     COVER_ERROR_UNSUPPORTED);
    ck_assert(!file_exists(in_folder("e.safetensors")));
}
END_TEST

START_TEST(names_of_the_first_release_and_of_wrappers_are_understood) {
    struct tensor_output *outputs = as_outputs();
    char names[256][100];
    ck_assert_int_lt(net.parameters.count, 256);
    for (int row = 0; row < net.parameters.count; row++) {
        int level;
        if (sscanf(outputs[row].name, "proj.%d.", &level) == 1)
            snprintf(names[row], sizeof names[row], "module.projblock%d.%s", 5 - level, outputs[row].name + 7);
        else snprintf(names[row], sizeof names[row], "module.%s", outputs[row].name);
        outputs[row].name = names[row];
    }
    static const float zero;
    outputs[net.parameters.count] = (struct tensor_output){"module.mov3.grid", TENSOR_F32, 0, NULL, &zero, NULL, NULL};
    write_outputs(in_folder("old.safetensors"), outputs, net.parameters.count + 1);
    check_loaded(in_folder("old.safetensors"), NULL);
    free(outputs);
}
END_TEST

/* All names behind `prefix`, and one more tensor. */
static void write_wrapped(const char *path, const char *prefix, const char *more) {
    static const int64_t shape[1] = {8};
    static const float zeros[8];
    struct tensor_output *outputs = as_outputs();
    char names[256][100];
    ck_assert_int_lt(net.parameters.count, 256);
    for (int row = 0; row < net.parameters.count; row++) {
        snprintf(names[row], sizeof names[row], "%s%s", prefix, outputs[row].name);
        outputs[row].name = names[row];
    }
    outputs[net.parameters.count] = (struct tensor_output){more, TENSOR_F32, 1, shape, zeros, NULL, NULL};
    write_outputs(path, outputs, net.parameters.count + 1);
    free(outputs);
}

START_TEST(a_prefix_is_taken_off_those_that_have_it) {
    static const char *const prefixes[] = {"model.", "module.model.", ""};
    for (int i = 0; i < 3; i++) {
        logged[0] = 0;
        write_wrapped(in_folder("one.safetensors"), prefixes[i], "loss.weight");
        check_fails(in_folder("one.safetensors"), false, COVER_ERROR_MISMATCH,
                    "does not fit the network (option allow_partial takes what fits): 1 unexpected: loss.weight");
        float *flat = malloc((size_t)net.parameters.floats * sizeof(float));
        ck_assert_ok(load(in_folder("one.safetensors"), flat, true, NULL));
        ck_assert_ptr_nonnull(strstr(logged, "1 skipped as unexpected: loss.weight"));
        for (int row = 0; row < net.parameters.count; row++) {
            const struct parameter *parameter = &net.parameters.rows[row];
            ck_assert_mem_eq(flat + parameter->offset, net.flat + parameter->offset, (size_t)parameter->count * sizeof(float));
        }
        free(flat);
    }
    write_wrapped(in_folder("other.safetensors"), "", "model.weight"); /* the network's own names have nothing in front of them */
    check_fails(in_folder("other.safetensors"), false, COVER_ERROR_MISMATCH, "1 unexpected: model.weight");
}
END_TEST

START_TEST(weights_that_are_left_out_are_named_with_their_key) {
    char *summary;
    ck_assert_ok(cover_weights_convert(&summary, test_context, PTH("averages"), in_folder("a.safetensors"), NULL));
    ck_assert_ptr_nonnull(strstr(summary, "\"left_out\": {\"state_dict_ema\": 2}"));
    memory_free(test_context, summary);
    cover_convert_options options = COVER_CONVERT_OPTIONS_INIT;
    options.key = "state_dict_ema.module";
    ck_assert_ok(cover_weights_convert(&summary, test_context, PTH("averages"), in_folder("a.safetensors"), &options));
    ck_assert_ptr_nonnull(strstr(summary, "\"tensors\": 2"));
    ck_assert_ptr_nonnull(strstr(summary, "\"left_out\": {}"));
    memory_free(test_context, summary);
    struct tensor_file *file;
    float values[6];
    ck_assert_ok(tensor_file_open(&file, test_context, in_folder("a.safetensors")));
    ck_assert_ok(tensor_read_f32(file, tensor_file_find(file, "a.weight"), values));
    ck_assert(values[0] == 5); /* 7 letters of "average", less 2 */
    tensor_file_close(file);
    ck_assert_str_eq(logged, "");
    check_fails(PTH("averages"), true, COVER_ERROR_MISMATCH, "none of its tensors fits");
    ck_assert_ptr_nonnull(strstr(logged, "left out: state_dict_ema (2 tensors)"));
}
END_TEST

START_TEST(misfits_are_listed_by_name) {
    static const int64_t wrong[4] = {8, 1, 1, 9};
    struct tensor_output *outputs = as_outputs();
    int count = net.parameters.count, reshaped = parameters_find(&net.parameters, "backbone.inc.double_conv.0.weight");
    int missing = parameters_find(&net.parameters, "proj.2.norm.weight");
    outputs[reshaped].shape = wrong;
    outputs[missing].name = "proj.7.norm.weight";
    write_outputs(in_folder("m.safetensors"), outputs, count);
    check_fails(in_folder("m.safetensors"), false, COVER_ERROR_MISMATCH, "1 missing: proj.2.norm.weight");
    check_fails(in_folder("m.safetensors"), false, COVER_ERROR_MISMATCH, "1 unexpected: proj.7.norm.weight");
    check_fails(in_folder("m.safetensors"), false, COVER_ERROR_MISMATCH,
                "1 mis-shaped: backbone.inc.double_conv.0.weight (8x1x1x9 in the file, 8x1x3x3 in the network)");
    float *flat = malloc((size_t)net.parameters.floats * sizeof(float));
    memset(flat, 0xFF, (size_t)net.parameters.floats * sizeof(float));
    ck_assert_ok(load(in_folder("m.safetensors"), flat, true, NULL));
    ck_assert(isnan(flat[net.parameters.rows[reshaped].offset]) && isnan(flat[net.parameters.rows[missing].offset]));
    ck_assert_ptr_nonnull(strstr(logged, "1 skipped as missing: proj.2.norm.weight"));
    ck_assert_ptr_nonnull(strstr(logged, "1 skipped as unexpected: proj.7.norm.weight"));
    ck_assert_ptr_nonnull(strstr(logged, "1 skipped as mis-shaped"));
    free(flat);
    free(outputs);
}
END_TEST

START_TEST(long_lists_are_cut_and_counted) {
    check_fails(PTH("checkpoint_protocol2"), true, COVER_ERROR_MISMATCH, "none of its tensors fits");
    struct tensor_output *outputs = as_outputs();
    char names[256][100];
    for (int row = 0; row < net.parameters.count; row++) {
        snprintf(names[row], sizeof names[row], "x%s", outputs[row].name);
        if (row > 0) outputs[row].name = names[row];
    }
    write_outputs(in_folder("many.safetensors"), outputs, net.parameters.count);
    char expected[64];
    snprintf(expected, sizeof expected, " and %d more", net.parameters.count - 1 - 3);
    check_fails(in_folder("many.safetensors"), false, COVER_ERROR_MISMATCH, expected);
    ck_assert_uint_lt(strlen(cover_error_text()), 600);
    float *flat = malloc((size_t)net.parameters.floats * sizeof(float));
    ck_assert_ok(load(in_folder("many.safetensors"), flat, true, NULL));
    snprintf(expected, sizeof expected, " and %d more", net.parameters.count - 1 - 20);
    ck_assert_ptr_nonnull(strstr(logged, expected)); /* what is skipped may be long */
    free(flat);
    free(outputs);
}
END_TEST

START_TEST(settings_of_the_network_come_from_its_weights) {
    cover_config *config;
    write_network(in_folder("w.safetensors"), 7);
    ck_assert_ok(cover_weights_config(&config, test_context, in_folder("w.safetensors")));
    ck_assert_ptr_null(weights_differ_in(config, net.config, true));
    ck_assert_str_eq(cover_config_get(config, "coordinates"), "exact");
    ck_assert_str_eq(cover_config_get(config, "batch"), "24"); /* the rest is paper-2d's */
    ck_assert_ptr_nonnull(strstr(logged, "widths=8,8,8,8,8,8,8,8,8"));
    ck_assert_ok(cover_config_set(config, "heads", "1,1,1,1,1"));
    ck_assert_str_eq(weights_differ_in(config, net.config, true), "heads");
    ck_assert_ptr_null(weights_differ_in(config, net.config, false));
    cover_config_destroy(config);
    ck_assert_ok(cover_weights_config(&config, test_context, PTH("backbone3d")));
    ck_assert_str_eq(cover_config_get(config, "dims"), "3");
    ck_assert_str_eq(cover_config_get(config, "crop"), "128x128x128");
    cover_config_destroy(config);
    ck_assert_int_eq(cover_weights_config(&config, test_context, PTH("types")), COVER_ERROR_MISMATCH);
}
END_TEST

START_TEST(weights_that_are_not_numbers_are_refused) {
    int row = parameters_find(&net.parameters, "proj.4.proj.bias");
    net.flat[net.parameters.rows[row].offset + 3] = NAN;
    write_network(in_folder("nan.safetensors"), 1);
    check_fails(in_folder("nan.safetensors"), false, COVER_ERROR_NUMERIC, "proj.4.proj.bias: element 3");
}
END_TEST

static void refuse_metadata(const char *key, const char *value, cover_status expected, const char *text) {
    struct tensor_pair pairs[] = {{"format", "libcover"}, {"version", "1.3"}, {key, value}};
    struct tensor_output *outputs = as_outputs();
    cover_config *config;
    struct tensor_file *file;
    if (strcmp(key, "version") == 0) pairs[1].value = value;
    int64_t count = strcmp(key, "version") == 0 ? 2 : 3;
    ck_assert_ok(safetensors_write(test_context, in_folder("r.safetensors"), outputs, net.parameters.count, pairs, count));
    ck_assert_ok(cover_config_create(&config, test_context, NULL));
    ck_assert_ok(tensor_file_open(&file, test_context, in_folder("r.safetensors")));
    cover_status status = weights_describe(config, NULL, file);
    ck_assert_msg(status == expected, "%s=%s: %s: %s", key, value, cover_status_name(status), cover_error_text());
    if (status != COVER_OK) ck_assert_msg(strstr(cover_error_text(), text), "'%s' lacks '%s'", cover_error_text(), text);
    tensor_file_close(file);
    cover_config_destroy(config);
    free(outputs);
}

START_TEST(metadata_of_a_newer_or_other_network_is_refused) {
    refuse_metadata("comment", "a higher minor is read", COVER_OK, "");
    refuse_metadata("version", "2.0", COVER_ERROR_UNSUPPORTED, "use a newer libcover");
    refuse_metadata("version", "", COVER_ERROR_FORMAT, "version");
    refuse_metadata("backbone", "swin", COVER_ERROR_UNSUPPORTED, "'swin'");
    refuse_metadata("widths", "8,8", COVER_ERROR_FORMAT, "nine");
    refuse_metadata("widths", "8,8,8,8,9,8,8,8,8", COVER_ERROR_FORMAT, "multiple of 8");
    refuse_metadata("dims", "4", COVER_ERROR_FORMAT, "dims=4");
    refuse_metadata("radius", "lots", COVER_ERROR_FORMAT, "radius=lots");
}
END_TEST

START_TEST(claims_cost_no_more_memory_than_the_file_has) {
    static const float zero[8];
    static const int64_t shape[1] = {8};
    struct tensor_output tiny = {"backbone.inc.double_conv.0.bias", TENSOR_F32, 1, shape, zero, NULL, NULL};
    struct tensor_pair pairs[] = {{"format", "libcover"},
                                  {"version", "1.0"},
                                  {"dims", "3"},
                                  {"channels", "1024"},
                                  {"widths", "65536,65536,65536,65536,65536,65536,65536,65536,65536"}};
    ck_assert_ok(safetensors_write(test_context, in_folder("huge.safetensors"), &tiny, 1, pairs, 5));
    ck_assert_int_eq(cover_weights_export(test_context, in_folder("huge.safetensors"), in_folder("huge.onnx"), 1),
                     COVER_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "but holds 8 numbers"));
}
END_TEST

START_TEST(the_backbone_is_exported_alone) {
    struct tensor_file *file;
    write_network(in_folder("w.safetensors"), 3);
    ck_assert_ok(cover_weights_export(test_context, in_folder("w.safetensors"), in_folder("b.safetensors"), 1));
    ck_assert_ok(tensor_file_open(&file, test_context, in_folder("b.safetensors")));
    for (int64_t i = 0; i < file->count; i++) ck_assert_int_eq(strncmp(file->entries[i].name, "backbone.", 9), 0);
    ck_assert_ptr_null(tensor_file_metadata(file, "heads"));
    ck_assert_str_eq(tensor_file_metadata(file, "step"), "3");
    tensor_file_close(file);
    check_loaded(in_folder("b.safetensors"), "backbone.");
    check_fails(in_folder("b.safetensors"), false, COVER_ERROR_MISMATCH, "20 missing: proj.0.proj.weight");
    ck_assert_ok(cover_weights_export(test_context, in_folder("b.safetensors"), in_folder("b2.safetensors"), 0));
    ck_assert_ok(cover_weights_export(test_context, PTH("unet2d"), in_folder("p.safetensors"), 0));
    check_loaded(in_folder("p.safetensors"), NULL);
    ck_assert_int_eq(cover_weights_export(test_context, in_folder("w.safetensors"), in_folder("w.txt"), 0), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_weights_export(test_context, PTH("types"), in_folder("w.onnx"), 0), COVER_ERROR_MISMATCH);
    ck_assert_int_eq(cover_weights_export(test_context, test_folder, in_folder("w.onnx"), 0), COVER_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "is it a run folder?"));
}
END_TEST

START_TEST(damaged_weights_get_no_hash_of_their_own) {
    write_network(in_folder("w.safetensors"), 3);
    size_t count;
    uint8_t *bytes = read_bytes(in_folder("w.safetensors"), &count);
    bytes[count - 40000] ^= 1;
    write_bytes(in_folder("d.safetensors"), bytes, count);
    free(bytes);
    cover_convert_options options = COVER_CONVERT_OPTIONS_INIT;
    ck_assert_int_eq(cover_weights_convert(NULL, test_context, in_folder("d.safetensors"), in_folder("c.safetensors"), NULL),
                     COVER_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "the values of 1 of "));
    options.key = "backbone";
    ck_assert_int_eq(cover_weights_convert(NULL, test_context, in_folder("d.safetensors"), in_folder("c.safetensors"), &options),
                     COVER_ERROR_FORMAT);
    ck_assert_int_eq(cover_weights_export(test_context, in_folder("d.safetensors"), in_folder("e.onnx"), 0), COVER_ERROR_FORMAT);
    ck_assert(!file_exists(in_folder("c.safetensors")) && !file_exists(in_folder("e.onnx")));
    ck_assert_ok(cover_weights_convert(NULL, test_context, in_folder("w.safetensors"), in_folder("c.safetensors"), &options));
}
END_TEST

START_TEST(info_tells_names_types_and_shapes) {
    char *info;
    ck_assert_ok(cover_weights_info(&info, test_context, PTH("unet2d")));
    ck_assert_ptr_nonnull(strstr(info, "\"format\": \"PyTorch\""));
    ck_assert_ptr_nonnull(strstr(info, "\"widths\": [8,8,8,8,8,8,8,8,8]"));
    ck_assert_ptr_nonnull(
        strstr(info, "{\"name\": \"backbone.inc.double_conv.0.weight\", \"dtype\": \"F32\", \"shape\": [8, 1, 3, 3]}"));
    memory_free(test_context, info);
    ck_assert_int_eq(cover_weights_info(&info, test_context, in_folder("none")), COVER_ERROR_IO);
}
END_TEST

static cover_status convert_and_export(cover_context *context) {
    cover_status status = cover_weights_convert(NULL, context, PTH("unet2d"), in_folder("m.safetensors"), NULL);
    if (status == COVER_OK) status = cover_weights_export(context, in_folder("m.safetensors"), in_folder("m.onnx"), 0);
    if (status == COVER_OK) {
        char *info = NULL;
        status = cover_weights_info(&info, context, in_folder("m.safetensors"));
        memory_free(context, info);
    }
    return status;
}
START_TEST(refused_memory_is_reported_and_nothing_leaks) { survive_refused_memory(convert_and_export); }
END_TEST

int main(void) {
    Suite *suite = suite_create("weights");
    TCase *tcase = tcase_create("weights");
    tcase_add_checked_fixture(tcase, setup_network, teardown_network);
    tcase_set_timeout(tcase, 60);
    ADD(tcase, weights_come_back_as_they_were_written);
    ADD(tcase, equal_weights_give_equal_bytes);
    ADD(tcase, metadata_rebuild_the_network);
    ADD(tcase, the_authors_files_are_described_by_their_tensors);
    ADD(tcase, a_pytorch_file_loads_and_converts);
    ADD(tcase, other_files_are_converted_as_they_are);
    ADD(tcase, names_of_the_first_release_and_of_wrappers_are_understood);
    ADD(tcase, a_prefix_is_taken_off_those_that_have_it);
    ADD(tcase, weights_that_are_left_out_are_named_with_their_key);
    ADD(tcase, misfits_are_listed_by_name);
    ADD(tcase, long_lists_are_cut_and_counted);
    ADD(tcase, settings_of_the_network_come_from_its_weights);
    ADD(tcase, weights_that_are_not_numbers_are_refused);
    ADD(tcase, metadata_of_a_newer_or_other_network_is_refused);
    ADD(tcase, claims_cost_no_more_memory_than_the_file_has);
    ADD(tcase, the_backbone_is_exported_alone);
    ADD(tcase, damaged_weights_get_no_hash_of_their_own);
    ADD(tcase, info_tells_names_types_and_shapes);
    ADD(tcase, refused_memory_is_reported_and_nothing_leaks);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
