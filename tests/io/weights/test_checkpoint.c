/* Checkpoints: exact round trip; damage, truncation and other versions are refused; killed while saving or on a full
 * disk, the last checkpoint is whole. */
#include "network.h"

#include "../bytes/h5_image.h"

#include "io/weights/checkpoint.h"

#include <libcover/dataset.h>
#include <libcover/weights.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static struct network net;
static float *m, *v;

static void fill(float *flat, const struct parameters *parameters, float scale) {
    memset(flat, 0, (size_t)parameters->floats * sizeof *flat);
    for (int row = 0; row < parameters->count; row++)
        for (int64_t i = 0; i < parameters->rows[row].count; i++) flat[parameters->rows[row].offset + i] = scale * (float)(i + row);
}

static void setup_network(void) {
    setup();
    net = network_create(test_context, "2");
    m = calloc((size_t)net.parameters.floats, sizeof *m), v = calloc((size_t)net.parameters.floats, sizeof *v);
    fill(m, &net.parameters, -0.5f), fill(v, &net.parameters, 1e-8f);
}
static void teardown_network(void) {
    free(m), free(v);
    network_destroy(&net);
    teardown();
}

static const uint8_t queue[3] = {1, 0, 255};
static const struct checkpoint_state state = {"queue", queue, sizeof queue};

static cover_status save(cover_context *context, const char *path, int64_t step) {
    return checkpoint_write(context, path,
                            &(struct checkpoint){.step = step,
                                                 .backbone = "unet",
                                                 .updates = step - 1,
                                                 .seed = 11,
                                                 .config = cover_config_json(net.config),
                                                 .dataset_hash = "0123abcd",
                                                 .objective = "cover",
                                                 .parameters = &net.parameters,
                                                 .weights = net.flat,
                                                 .m = m,
                                                 .v = v,
                                                 .states = &state,
                                                 .state_count = 1});
}

/* Open, read everything and compare; *step is what it says. */
static cover_status check(cover_context *context, const char *path, int64_t *step) {
    struct checkpoint_file *file;
    cover_status status = COVER_OK;
    size_t bytes = (size_t)net.parameters.floats * sizeof(float);
    uint8_t *data = NULL;
    int64_t count = 0;
    float *flats[3] = {calloc(1, bytes), calloc(1, bytes), calloc(1, bytes)};
    GO(checkpoint_open(&file, context, path));
    status = checkpoint_read(file, &net.parameters, flats[0], flats[1], flats[2]);
    if (status == COVER_OK) status = checkpoint_read_state(file, "queue", &data, &count);
    if (status == COVER_OK) {
        ck_assert(file->updates == file->step - 1 && file->seed == 11);
        ck_assert_str_eq(file->config, cover_config_json(net.config));
        ck_assert_str_eq(file->dataset_hash, "0123abcd");
        ck_assert_str_eq(file->objective, "cover");
        ck_assert_mem_eq(flats[0], net.flat, bytes);
        ck_assert_mem_eq(flats[1], m, bytes);
        ck_assert_mem_eq(flats[2], v, bytes);
        ck_assert_int_eq(count, sizeof queue);
        ck_assert_mem_eq(data, queue, sizeof queue);
        if (step) *step = file->step;
    }
    memory_free(context, data);
    checkpoint_close(file);
done:
    for (int i = 0; i < 3; i++) free(flats[i]);
    return status;
}

START_TEST(a_checkpoint_comes_back_exactly) {
    int64_t step = 0;
    ck_assert_ok(save(test_context, in_folder("c.h5"), 1234567));
    ck_assert_ok(check(test_context, in_folder("c.h5"), &step));
    ck_assert_int_eq(step, 1234567);
    ck_assert_int_eq(files_in_folder(), 1);
}
END_TEST

START_TEST(equal_states_give_equal_bytes) {
    size_t first_count, second_count;
    ck_assert_ok(save(test_context, in_folder("a.h5"), 5));
    ck_assert_ok(save(test_context, in_folder("b.h5"), 5));
    uint8_t *first = read_bytes(in_folder("a.h5"), &first_count), *second = read_bytes(in_folder("b.h5"), &second_count);
    ck_assert_uint_eq(first_count, second_count);
    ck_assert_mem_eq(first, second, first_count);
    free(first);
    free(second);
}
END_TEST

START_TEST(another_network_or_objective_is_refused_by_name) {
    struct checkpoint_file *file;
    struct network other = network_create(test_context, "3");
    uint8_t *data;
    int64_t count;
    ck_assert_ok(save(test_context, in_folder("c.h5"), 5));
    ck_assert_ok(checkpoint_open(&file, test_context, in_folder("c.h5")));
    ck_assert_int_eq(checkpoint_read(file, &other.parameters, other.flat, NULL, NULL), COVER_ERROR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "weights/backbone.inc.double_conv.0.weight"));
    ck_assert_int_eq(checkpoint_read_state(file, "twin", &data, &count), COVER_ERROR_MISMATCH);
    checkpoint_close(file);
    network_destroy(&other);
}
END_TEST

START_TEST(a_checkpoint_serves_as_weights) {
    struct tensor_file *file;
    struct weights_about about;
    cover_config *config;
    float *flat;
    ck_assert_ok(save(test_context, in_folder("c.h5"), 5));
    ck_assert_ok(weights_open(&file, test_context, in_folder("c.h5")));
    ck_assert_str_eq(file->format->name, "checkpoint");
    ck_assert_ok(cover_config_create(&config, test_context, "released-2d"));
    ck_assert_ok(weights_describe(config, &about, file));
    ck_assert(about.head && about.step == 5);
    ck_assert_str_eq(cover_config_get(config, "widths"), "8,8,8,8,8,8,8,8,8");
    ck_assert_str_eq(cover_config_get(config, "coordinates"), "exact");
    ck_assert_str_eq(tensor_file_metadata(file, "objective"), "cover"); /* which outlives the settings that it is from */
    ck_assert_ok(weights_read(&flat, &net.parameters, file, NULL));
    ck_assert_mem_eq(flat, net.flat, (size_t)net.parameters.floats * sizeof *flat);
    memory_free(test_context, flat);
    cover_config_destroy(config);
    tensor_file_close(file);
    ck_assert_ok(cover_weights_export(test_context, in_folder("c.h5"), in_folder("c.safetensors"), 0));
}
END_TEST

static int64_t step_in(const char *folder) {
    struct tensor_file *file;
    ck_assert_ok(weights_open(&file, test_context, folder));
    int64_t step = atoll(tensor_file_metadata(file, "step"));
    tensor_file_close(file);
    return step;
}

START_TEST(a_run_folder_gives_the_weights_of_more_steps) {
    ck_assert_ok(save(test_context, in_folder("checkpoint.h5"), 5));
    ck_assert_int_eq(step_in(test_folder), 5);
    ck_assert_ok(
        weights_write(test_context, in_folder("weights.safetensors"), &net.parameters, net.flat, net.config, NULL, 8, NULL));
    ck_assert_int_eq(step_in(test_folder), 8);
    ck_assert_ok(save(test_context, in_folder("checkpoint.h5"), 9));
    ck_assert_int_eq(step_in(test_folder), 9);
}
END_TEST

START_TEST(truncated_or_changed_anywhere_is_an_error) {
    size_t count;
    ck_assert_ok(save(test_context, in_folder("c.h5"), 5));
    uint8_t *bytes = read_bytes(in_folder("c.h5"), &count);
    for (size_t step = 1, length = 0; length < count; length += step, step = length < 600 ? 1 : 7919) {
        write_bytes(in_folder("t.h5"), bytes, length);
        ck_assert_int_eq(check(test_context, in_folder("t.h5"), NULL), COVER_ERROR_FORMAT);
    }
    for (size_t step = 1, at = 0; at < count; at += step, step = at < 512 ? 1 : 7919) {
        bytes[at] ^= 4;
        write_bytes(in_folder("t.h5"), bytes, count);
        bytes[at] ^= 4;
        cover_status status = check(test_context, in_folder("t.h5"), NULL);
        ck_assert_msg(status == COVER_ERROR_FORMAT, "byte %zu: %s", at, cover_status_name(status));
        ck_assert_ptr_nonnull(strstr(cover_error_text(), "t.h5"));
    }
    free(bytes);
}
END_TEST

START_TEST(a_higher_major_is_refused_and_a_higher_minor_read) {
    size_t count;
    struct seal seal;
    struct source source;
    ck_assert_ok(save(test_context, in_folder("c.h5"), 5));
    ck_assert_ok(source_open(&source, in_folder("c.h5")));
    ck_assert_ok(seal_read(&seal, &source, "checkpoint", CHECKPOINT_MAJOR));
    source_close(&source);
    uint8_t *bytes = read_bytes(in_folder("c.h5"), &count);
    seal.minor = CHECKPOINT_MINOR + 1;
    seal_encode(bytes, &seal);
    write_bytes(in_folder("c.h5"), bytes, count);
    ck_assert_ok(check(test_context, in_folder("c.h5"), NULL));
    seal.major = CHECKPOINT_MAJOR + 1;
    seal_encode(bytes, &seal);
    write_bytes(in_folder("c.h5"), bytes, count);
    ck_assert_int_eq(check(test_context, in_folder("c.h5"), NULL), COVER_ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "use a newer libcover"));
    free(bytes);
}
END_TEST

/* A checkpoint by libhdf5, sealed, whose one tensor is what `add` makes of it. */
static void save_crafted(void (*add)(hid_t group)) {
    static const char *const numbers[] = {"step", "updates", "seed"};
    size_t bytes;
    hid_t file = image_begin(H5F_LIBVER_EARLIEST);
    image_text(file, "backbone", "unet"), image_text(file, "config", cover_config_json(net.config));
    image_text(file, "dataset_hash", ""), image_text(file, "objective", "cover");
    for (int i = 0; i < 3; i++) image_array(file, numbers[i], H5T_STD_I64LE, 0, NULL, &(int64_t){1});
    hid_t group = H5Gcreate2(file, "weights", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    add(group);
    H5Gclose(group);
    uint8_t *image = image_end(file, &bytes), *sealed = malloc(SEAL_BYTES + bytes);
    struct seal seal = {"checkpoint", CHECKPOINT_MAJOR, CHECKPOINT_MINOR, SEAL_BYTES + bytes, SEAL_BYTES, bytes};
    sha256(image, bytes, seal.hash);
    seal_encode(sealed, &seal);
    memcpy(sealed + SEAL_BYTES, image, bytes);
    write_bytes(in_folder("x.h5"), sealed, SEAL_BYTES + bytes);
    free(image), free(sealed);
}

static void add_nothing(hid_t group) { (void)group; }
static void add_number(hid_t group) { image_array(group, "x", H5T_IEEE_F32LE, 1, (hsize_t[]){1}, &(float){7}); }
static void add_bytes(hid_t group) { image_array(group, "x", H5T_STD_U8LE, 1, (hsize_t[]){1}, &(uint8_t){7}); }
static void add_huge(hid_t group) { image_array(group, "x", H5T_IEEE_F32LE, 2, (hsize_t[]){1 << 20, 25000}, NULL); } /* 100 GB */
static void add_link(hid_t group) { H5Lcreate_external("/etc/passwd", "/x", group, "x", H5P_DEFAULT, H5P_DEFAULT); }

START_TEST(arrays_elsewhere_or_nowhere_are_refused) {
    static const struct {
        void (*add)(hid_t group);
        const char *text;
    } bad[] = {{add_nothing, "'weights' is missing"},
               {add_bytes, "'weights/x' is not float32"},
               {add_huge, "'weights/x' is not stored as a checkpoint stores it"},
               {add_link, "'weights' is not stored as a checkpoint stores it"}};
    struct tensor_file *file;
    float value;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        save_crafted(bad[i].add);
        ck_assert_fails(tensor_file_open(&file, test_context, in_folder("x.h5")), COVER_ERROR_FORMAT, "x.h5", bad[i].text);
    }
    save_crafted(add_number); /* what older versions wrote, by libhdf5 */
    ck_assert_ok(tensor_file_open(&file, test_context, in_folder("x.h5")));
    ck_assert_ok(tensor_read_f32(file, tensor_file_find(file, "x"), &value));
    ck_assert(value == 7);
    tensor_file_close(file);
}
END_TEST

/* What a checkpoint must have, `other` without it, with it as another kind, or with what it may not be. */
START_TEST(a_checkpoint_without_one_of_its_parts_or_with_another_kind_of_it_is_refused) {
    const char *const config = cover_config_json(net.config);
    const struct h5_array sound[] = {{"backbone", true, COVER_U8, .data = "unet", .bytes = 4},
                                     {"config", true, COVER_U8, .data = config, .bytes = strlen(config)},
                                     {"dataset_hash", true, COVER_U8, .data = "0", .bytes = 1},
                                     {"objective", true, COVER_U8, .data = "cover", .bytes = 5},
                                     {"step", false, COVER_I64, .data = &(int64_t){1}, .bytes = 8},
                                     {"updates", false, COVER_I64, .data = &(int64_t){1}, .bytes = 8},
                                     {"seed", false, COVER_I64, .data = &(int64_t){1}, .bytes = 8},
                                     {"state/row", false, COVER_F32, 1, {1}, &(float){1}, 4},
                                     {"weights", false, COVER_F32, .data = &(float){1}, .bytes = 4},
                                     {"weightsx", false, COVER_F32, .data = &(float){1}, .bytes = 4}};
    enum { PARTS = 7, ALL = sizeof sound / sizeof *sound };
    struct checkpoint_file *file;
    struct tensor_file *tensors;
    struct h5_array parts[ALL];
    char text[64];
    uint8_t *data;
    int64_t count;
    for (int part = 0; part < PARTS; part++)
        for (int other = 0; other < 4; other++) { /* left out; a text, a row, a number of another type */
            if (other == 1 && sound[part].is_text) continue;
            const struct h5_array others[] = {
                {"z", false, COVER_U8, .data = "z", .bytes = 1},
                {sound[part].path, true, COVER_U8, .data = "text", .bytes = 4},
                {sound[part].path, false, COVER_I64, 1, {1}, &(int64_t){1}, 8},
                {sound[part].path, false, COVER_I32, .data = &(int32_t){1}, .bytes = 4},
            };
            memcpy(parts, sound, sizeof parts);
            parts[part] = others[other];
            ck_assert_ok(h5_tree_write(test_context, in_folder("c.h5"), "checkpoint", 1, 0, parts, ALL));
            snprintf(text, sizeof text, "'%s' is missing or no", sound[part].path);
            ck_assert_fails(checkpoint_open(&file, test_context, in_folder("c.h5")), COVER_ERROR_FORMAT, "c.h5", text);
        }
    ck_assert_ok(h5_tree_write(test_context, in_folder("c.h5"), "checkpoint", 1, 0, sound, ALL));
    ck_assert_ok(checkpoint_open(&file, test_context, in_folder("c.h5")));
    ck_assert_fails(checkpoint_read_state(file, "row", &data, &count), COVER_ERROR_FORMAT, "'state/row' is no row of bytes");
    checkpoint_close(file);
    ck_assert_fails(tensor_file_open(&tensors, test_context, in_folder("c.h5")), COVER_ERROR_FORMAT, "'weights' is missing");
    memcpy(parts, sound, sizeof parts);
    parts[0].data = "tree";
    ck_assert_ok(h5_tree_write(test_context, in_folder("c.h5"), "checkpoint", 1, 0, parts, ALL));
    ck_assert_fails(checkpoint_open(&file, test_context, in_folder("c.h5")), COVER_ERROR_UNSUPPORTED, "c.h5", "tree");
    memcpy(parts, sound, sizeof parts);
    parts[1].data = "{\"lr\": 1e", parts[1].bytes = 9;
    parts[8].path = "weights/x";
    ck_assert_ok(h5_tree_write(test_context, in_folder("c.h5"), "checkpoint", 1, 0, parts, ALL));
    ck_assert_fails(tensor_file_open(&tensors, test_context, in_folder("c.h5")), COVER_ERROR_FORMAT, "c.h5: config: ");
}
END_TEST

START_TEST(an_array_of_another_shape_is_of_another_network) {
    struct checkpoint_file *file;
    ck_assert_ok(save(test_context, in_folder("c.h5"), 5));
    ck_assert_ok(checkpoint_open(&file, test_context, in_folder("c.h5")));
    struct parameter *row = &net.parameters.rows[1];
    row->shape[0]++;
    ck_assert_fails(checkpoint_read(file, &net.parameters, net.flat, NULL, NULL), COVER_ERROR_MISMATCH, row->name,
                    "has another type or shape than expected");
    row->shape[0]--, row->rank++;
    ck_assert_int_eq(checkpoint_read(file, &net.parameters, net.flat, NULL, NULL), COVER_ERROR_MISMATCH);
    row->rank--;
    checkpoint_close(file);
}
END_TEST

START_TEST(a_sealed_file_of_another_kind_or_part_is_refused) {
    struct checkpoint_file *file;
    size_t bytes;
    struct seal seal = {"dataset", 1, 0, SEAL_BYTES, SEAL_BYTES, 0};
    ck_assert_ok(save(test_context, in_folder("c.h5"), 5));
    uint8_t *sealed = read_bytes(in_folder("c.h5"), &bytes);
    seal.file_bytes = bytes, seal.bytes = bytes - SEAL_BYTES;
    seal_encode(sealed, &seal);
    write_bytes(in_folder("c.h5"), sealed, bytes);
    ck_assert_fails(checkpoint_open(&file, test_context, in_folder("c.h5")), COVER_ERROR_FORMAT,
                    "a COVER dataset, not a checkpoint");
    strcpy(seal.format, "checkpoint");
    seal.bytes--;
    seal_encode(sealed, &seal);
    write_bytes(in_folder("c.h5"), sealed, bytes);
    ck_assert_fails(checkpoint_open(&file, test_context, in_folder("c.h5")), COVER_ERROR_FORMAT, "covers only a part of the file");
    ck_assert_int_eq(checkpoint_open(&file, test_context, in_folder("none.h5")), COVER_ERROR_IO);
    free(sealed);
}
END_TEST

static void check_report(const char *path, const char *text) {
    char *report = NULL;
    ck_assert_ok(cover_file_check(&report, test_context, path));
    ck_assert_msg(strstr(report, text), "'%s' lacks '%s'", report, text);
    cover_text_release(test_context, report);
}

START_TEST(check_looks_at_weights_and_moments) {
    ck_assert_ok(save(test_context, in_folder("c.h5"), 5));
    check_report(in_folder("c.h5"), "{\"ok\": true");
    check_report(in_folder("c.h5"), "\"kind\": \"checkpoint\", \"tensors\": 276");
    v[net.parameters.rows[3].offset] = -1;
    ck_assert_ok(save(test_context, in_folder("c.h5"), 5));
    check_report(in_folder("c.h5"), "second moment of backbone.inc.double_conv.1.bias: 1 of 8 values");
    net.flat[net.parameters.rows[2].offset] = NAN;
    ck_assert_ok(save(test_context, in_folder("c.h5"), 5));
    check_report(in_folder("c.h5"), "tensor backbone.inc.double_conv.1.weight: element 0");
    struct parameter *last = &net.parameters.rows[--net.parameters.count];
    ck_assert_ok(save(test_context, in_folder("c.h5"), 5));
    check_report(in_folder("c.h5"), "1 missing: proj.4.norm.bias");
    ck_assert_str_eq(last->name, "proj.4.norm.bias");
    net.parameters.count++;
    write_bytes(in_folder("c.h5"), "COVER", 5);
    check_report(in_folder("c.h5"), "{\"ok\": false");
}
END_TEST

/* ---- what may happen while saving */

START_TEST(killed_while_saving_the_last_checkpoint_is_whole) {
    enum { KILLS = 25 };
    int64_t last = 1;
    ck_assert_ok(save(test_context, in_folder("c.h5"), last));
    for (int kill_number = 0; kill_number < KILLS; kill_number++) {
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            for (int64_t step = last + 1;; step++)
                if (save(test_context, in_folder("c.h5"), step) != COVER_OK) _exit(1);
        }
        int how;
        usleep((useconds_t)(5000 + kill_number * 4441 % 100000));
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, &how, 0), child);
        ck_assert_msg(WIFSIGNALED(how), "the saving child ended by itself");
        int64_t step = 0;
        ck_assert_ok(check(test_context, in_folder("c.h5"), &step));
        ck_assert_int_ge(step, last);
        last = step;
    }
    ck_assert_int_gt(last, 1); /* some saves were completed */
}
END_TEST

START_TEST(a_full_disk_leaves_the_last_checkpoint) {
    int how;
    ck_assert_ok(save(test_context, in_folder("c.h5"), 5));
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        signal(SIGXFSZ, SIG_IGN);
        for (rlim_t bytes = 0; bytes < 200000; bytes += 33333) {
            setrlimit(RLIMIT_FSIZE, &(struct rlimit){bytes, RLIM_INFINITY});
            if (save(test_context, in_folder("c.h5"), 6) != COVER_ERROR_IO) _exit(1);
            if (!strstr(cover_error_text(), "c.h5")) _exit(2);
        }
        _exit(files_in_folder() == 1 ? 0 : 3); /* no half-written file is left */
    }
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert_msg(WIFEXITED(how) && WEXITSTATUS(how) == 0, "exit %d", how);
    int64_t step = 0;
    ck_assert_ok(check(test_context, in_folder("c.h5"), &step));
    ck_assert_int_eq(step, 5);
    ck_assert_int_eq(save(test_context, "/dev/full/c.h5", 6), COVER_ERROR_IO);
    ck_assert_int_eq(save(test_context, in_folder("none/c.h5"), 6), COVER_ERROR_IO);
}
END_TEST

static cover_status save_and_check(cover_context *context) {
    cover_status status = save(context, in_folder("m.h5"), 3);
    if (status == COVER_OK) status = check(context, in_folder("m.h5"), NULL);
    if (status == COVER_OK) {
        struct tensor_file *file = NULL;
        status = tensor_file_open(&file, context, in_folder("m.h5"));
        tensor_file_close(file);
    }
    return status;
}
START_TEST(refused_memory_is_reported_and_nothing_leaks) { survive_refused_memory(save_and_check); }
END_TEST

int main(void) {
    Suite *suite = suite_create("checkpoint");
    TCase *tcase = tcase_create("checkpoint");
    tcase_add_checked_fixture(tcase, setup_network, teardown_network);
    tcase_set_timeout(tcase, 60);
    ADD(tcase, a_checkpoint_comes_back_exactly);
    ADD(tcase, equal_states_give_equal_bytes);
    ADD(tcase, another_network_or_objective_is_refused_by_name);
    ADD(tcase, a_checkpoint_serves_as_weights);
    ADD(tcase, a_run_folder_gives_the_weights_of_more_steps);
    ADD(tcase, truncated_or_changed_anywhere_is_an_error);
    ADD(tcase, a_higher_major_is_refused_and_a_higher_minor_read);
    ADD(tcase, arrays_elsewhere_or_nowhere_are_refused);
    ADD(tcase, a_checkpoint_without_one_of_its_parts_or_with_another_kind_of_it_is_refused);
    ADD(tcase, an_array_of_another_shape_is_of_another_network);
    ADD(tcase, a_sealed_file_of_another_kind_or_part_is_refused);
    ADD(tcase, check_looks_at_weights_and_moments);
    ADD(tcase, killed_while_saving_the_last_checkpoint_is_whole);
    ADD(tcase, a_full_disk_leaves_the_last_checkpoint);
    ADD(tcase, refused_memory_is_reported_and_nothing_leaks);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
