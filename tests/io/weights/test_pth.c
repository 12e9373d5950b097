/* PyTorch files: every form, type, stride and protocol that torch.save() writes is read; nothing that a pickle asks for
 * is run; damage is an error.  The files are written by tests/data/pth/make.py. */
#include "weights_test.h"

#include "io/weights/pickle.h"
#include "io/weights/tensor_file.h"

#define PTH(name) PTH_FOLDER "/" name ".pth"

/* What make.py puts at element i of a tensor of floats of this name. */
static float expected(const char *name, int64_t i) { return (float)(i % 17 - 8) * 0.25f + (float)strlen(name); }

static void check_values(struct tensor_file *file, const char *name, const char *named_when_made, int64_t elements) {
    const struct tensor_entry *entry = tensor_file_find(file, name);
    float *values = NULL;
    ck_assert_msg(entry, "%s is missing", name);
    ck_assert_int_eq(entry->elements, elements);
    ck_assert_ok(tensor_load_f32(file, entry, &values));
    for (int64_t i = 0; i < elements; i++)
        ck_assert_msg(values[i] == expected(named_when_made, i), "%s[%lld] is %g", name, (long long)i, values[i]);
    memory_free(test_context, values);
}

START_TEST(every_type_is_read) {
    static const struct {
        const char *name;
        enum tensor_type type;
    } rows[] = {{"f32", TENSOR_F32}, {"f64", TENSOR_F64}, {"f16", TENSOR_F16}, {"bf16", TENSOR_BF16},
                {"i64", TENSOR_I64}, {"i32", TENSOR_I32}, {"i16", TENSOR_I16}, {"i8", TENSOR_I8},
                {"u8", TENSOR_U8},   {"u16", TENSOR_U16}, {"u32", TENSOR_U32}, {"u64", TENSOR_U64}};
    struct tensor_file *file;
    float values[6];
    ck_assert_ok(tensor_file_open(&file, test_context, PTH("types")));
    ck_assert_str_eq(file->format->name, "PyTorch");
    ck_assert_int_eq(file->count, 15);
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        const struct tensor_entry *entry = tensor_file_find(file, rows[row].name);
        ck_assert_ptr_nonnull(entry);
        ck_assert_int_eq(entry->type, rows[row].type);
        ck_assert(entry->rank == 2 && entry->shape[0] == 2 && entry->shape[1] == 3);
        ck_assert_ok(tensor_read_f32(file, entry, values));
        bool real = rows[row].name[0] == 'f' || rows[row].name[0] == 'b';
        for (int i = 0; i < 6; i++)
            ck_assert(values[i] == (real ? expected(rows[row].name, i) : (float)i + (float)strlen(rows[row].name)));
    }
    ck_assert_ok(tensor_read_f32(file, tensor_file_find(file, "bool"), values));
    ck_assert(values[0] == 1 && values[1] == 0 && values[2] == 1);
    ck_assert_int_eq(tensor_file_find(file, "scalar")->rank, 0);
    check_values(file, "scalar", "scalar", 1);
    ck_assert_int_eq(tensor_file_find(file, "empty")->elements, 0);
    ck_assert_ok(tensor_read_f32(file, tensor_file_find(file, "empty"), values));
    tensor_file_close(file);
}
END_TEST

static void check_strides(const char *path) {
    struct tensor_file *file;
    float values[12];
    ck_assert_ok(tensor_file_open(&file, test_context, path));
    check_values(file, "whole", "whole", 24);
    check_values(file, "transposed", "transposed", 24);
    check_values(file, "rows", "rows", 24);
    check_values(file, "channels_last", "channels_last", 120);
    check_values(file, "parameter", "parameter", 3);
    ck_assert_ok(tensor_read_f32(file, tensor_file_find(file, "view_of_whole"), values));
    for (int y = 0; y < 2; y++)
        for (int x = 0; x < 3; x++) ck_assert(values[3 * y + x] == expected("whole", 6 * (y + 1) + 2 * x));
    ck_assert_ok(tensor_read_f32(file, tensor_file_find(file, "expanded"), values));
    for (int i = 0; i < 12; i++) ck_assert(values[i] == expected("expanded", i % 3));
    tensor_file_close(file);
}

START_TEST(strides_views_and_shared_storages_are_followed) { check_strides(PTH("strides")); }
END_TEST
START_TEST(packed_entries_are_read) { check_strides(PTH("strides_deflated")); }
END_TEST
START_TEST(records_of_archives_over_4_gib_are_read) { check_strides(PTH("strides_wide")); }
END_TEST
START_TEST(files_without_checksums_are_read) { check_strides(PTH("strides_without_crc")); }
END_TEST
START_TEST(files_from_before_the_zip_form_are_read) { check_strides(PTH("strides_old")); }
END_TEST
START_TEST(files_from_before_the_zip_form_are_read_in_later_protocols) { check_strides(PTH("strides_old_protocol4")); }
END_TEST

START_TEST(files_in_the_first_protocols_are_told_apart) {
    struct tensor_file *file;
    ck_assert_int_eq(tensor_file_open(&file, test_context, PTH("old_protocol1")), COVER_ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "protocol 0 or 1; save it again with pickle_protocol=2"));
}
END_TEST

START_TEST(tensors_that_are_the_negative_of_what_is_stored_keep_their_sign) {
    struct tensor_file *file;
    float values[6];
    ck_assert_ok(tensor_file_open(&file, test_context, PTH("negative")));
    check_values(file, "lazy", "lazy", 6);
    ck_assert_ok(tensor_read_f32(file, tensor_file_find(file, "whole"), values));
    for (int i = 0; i < 6; i++) ck_assert(values[i] == (float)(i + 5));
    tensor_file_close(file);
}
END_TEST

START_TEST(weights_beside_those_that_are_taken_are_named) {
    struct tensor_file *file;
    ck_assert_ok(tensor_file_open(&file, test_context, PTH("averages")));
    ck_assert_int_eq(file->count, 2);
    check_values(file, "a.weight", "weight", 6);
    ck_assert_int_eq(file->left_count, 1); /* neither an optimiser's state nor a single number */
    ck_assert_str_eq(file->left_out[0].key, "state_dict_ema");
    ck_assert_int_eq(file->left_out[0].tensors, 2);
    tensor_file_close(file);
    ck_assert_ok(tensor_file_open(&file, test_context, PTH("checkpoint_protocol2")));
    ck_assert_int_eq(file->left_count, 0);
    tensor_file_close(file);
}
END_TEST

START_TEST(a_key_takes_the_tensors_below_it) {
    struct tensor_file *file;
    ck_assert_ok(tensor_file_open_under(&file, test_context, PTH("averages"), "state_dict_ema.module"));
    ck_assert_int_eq(file->count, 2);
    check_values(file, "a.weight", "average", 6);
    ck_assert_int_eq(file->left_count, 0);
    tensor_file_close(file);
    ck_assert_int_eq(tensor_file_open_under(&file, test_context, PTH("averages"), "state_dict_em"), COVER_ERROR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "under 'state_dict_em'; there are: optimizer, state_dict, state_dict_ema"));
    ck_assert_int_eq(tensor_file_open_under(&file, test_context, PTH("averages"), ""), COVER_ERROR_MISMATCH);
}
END_TEST

START_TEST(a_training_checkpoint_gives_its_weights_in_every_protocol) {
    static const char *const paths[] = {PTH("checkpoint_protocol2"), PTH("checkpoint_protocol3"), PTH("checkpoint_protocol4"),
                                        PTH("checkpoint_protocol5")};
    for (int i = 0; i < 4; i++) {
        struct tensor_file *file;
        ck_assert_ok(tensor_file_open(&file, test_context, paths[i]));
        ck_assert_int_eq(file->count, 2);
        check_values(file, "module.weight", "weight", 6);
        check_values(file, "module.bias", "bias", 2);
        tensor_file_close(file);
    }
}
END_TEST

START_TEST(a_pickle_that_would_run_a_command_is_refused_by_name) {
    static const char *const paths[] = {PTH("evil_protocol2"), PTH("evil_protocol4")};
    for (int i = 0; i < 2; i++) {
        struct tensor_file *file;
        ck_assert_int_eq(tensor_file_open(&file, test_context, paths[i]), COVER_ERROR_UNSUPPORTED);
        ck_assert_ptr_nonnull(strstr(cover_error_text(), "posix.system"));
        ck_assert_ptr_nonnull(strstr(cover_error_text(), "torch.save(model.state_dict()"));
    }
    ck_assert_int_ne(access("/tmp/cover-was-here", F_OK), 0);
}
END_TEST

/* Open and read everything. */
static cover_status read_all(cover_context *context, const void *bytes, size_t count) {
    struct tensor_file *file = NULL;
    cover_status status = tensor_file_open_memory(&file, context, "x.pth", bytes, count);
    for (int64_t i = 0; status == COVER_OK && i < file->count; i++) {
        float *values = NULL;
        status = tensor_load_f32(file, &file->entries[i], &values);
        if (status == COVER_OK) memory_free(context, values);
    }
    tensor_file_close(file);
    return status;
}

START_TEST(a_file_truncated_at_any_length_is_an_error) {
    static const char *const paths[] = {PTH("strides"), PTH("strides_old"), PTH("strides_deflated")};
    for (int i = 0; i < 3; i++) {
        size_t count;
        uint8_t *bytes = read_bytes(paths[i], &count);
        ck_assert_ok(read_all(test_context, bytes, count));
        for (size_t length = 0; length < count; length++) {
            uint8_t *part = malloc(length + 1);
            memcpy(part, bytes, length);
            cover_status status = read_all(test_context, part, length);
            ck_assert_msg(status == COVER_ERROR_FORMAT, "%s: %zu bytes of %zu: %s: %s", paths[i], length, count,
                          cover_status_name(status), cover_error_text());
            free(part);
        }
        free(bytes);
    }
}
END_TEST

START_TEST(any_byte_changed_is_an_error_or_harmless) {
    static const char *const paths[] = {PTH("strides"),  PTH("strides_old"), PTH("strides_deflated"), PTH("checkpoint_protocol4"),
                                        PTH("negative"), PTH("averages")};
    static const uint8_t flips[] = {0x01, 0x80, 0xFF};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        size_t count;
        uint8_t *bytes = read_bytes(paths[i], &count);
        for (size_t at = 0; at < count; at++)
            for (size_t flip = 0; flip < sizeof flips; flip++) {
                bytes[at] ^= flips[flip];
                cover_status status = read_all(test_context, bytes, count);
                ck_assert_msg(status == COVER_OK || status == COVER_ERROR_FORMAT || status == COVER_ERROR_UNSUPPORTED,
                              "%s: byte %zu: %s: %s", paths[i], at, cover_status_name(status), cover_error_text());
                bytes[at] ^= flips[flip];
            }
        free(bytes);
    }
}
END_TEST

START_TEST(a_changed_value_does_not_pass_the_checksum) {
    size_t count;
    uint8_t *bytes = read_bytes(PTH("strides"), &count);
    float first = expected("whole", 0);
    uint8_t *at = memmem(bytes, count, &first, sizeof first);
    ck_assert_ptr_nonnull(at);
    at[2] ^= 1;
    ck_assert_int_eq(read_all(test_context, bytes, count), COVER_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "CRC-32"));
    free(bytes);
}
END_TEST

START_TEST(other_archives_are_told_apart) {
    static const uint8_t empty_zip[22] = {'P', 'K', 5, 6}, started[30] = {'P', 'K', 3, 4};
    ck_assert_int_eq(read_all(test_context, empty_zip, sizeof empty_zip), COVER_ERROR_FORMAT);
    ck_assert_int_eq(read_all(test_context, started, sizeof started), COVER_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "end record"));
}
END_TEST

/* ---- the pickle machine alone */

static const struct pickle_global known[] = {{"collections", "OrderedDict", .mapping = true}, {"a", "b"}, {NULL}};

static cover_status unpickle(const void *data, size_t bytes, struct pickle *pickle, struct arena *arena) {
    *arena = (struct arena){.context = test_context};
    uint8_t *copy = malloc(bytes + !bytes); /* its own block: the sanitizer sees a read past the end */
    memcpy(copy, data, bytes);
    cover_status status = pickle_read(pickle, arena, "x.pkl", known, copy, bytes);
    free(copy);
    return status;
}
static void refuse(const void *data, size_t bytes, cover_status expected_status, const char *text) {
    struct pickle pickle;
    struct arena arena;
    cover_status status = unpickle(data, bytes, &pickle, &arena);
    ck_assert_msg(status == expected_status, "%s: %s", cover_status_name(status), cover_error_text());
    ck_assert_msg(strstr(cover_error_text(), text), "'%s' lacks '%s'", cover_error_text(), text);
    arena_free(&arena);
}
#define REFUSE(data, status, text) refuse(data, sizeof data - 1, status, text)

START_TEST(broken_pickles_are_refused) {
    REFUSE("", COVER_ERROR_FORMAT, "ends too early");
    REFUSE(".", COVER_ERROR_FORMAT, "nothing on the stack");
    REFUSE("(.", COVER_ERROR_FORMAT, "nothing on the stack");
    REFUSE("NN.", COVER_ERROR_FORMAT, "left over");
    REFUSE("0.", COVER_ERROR_FORMAT, "nothing on the stack");
    REFUSE("t.", COVER_ERROR_FORMAT, "no mark");
    REFUSE("Na.", COVER_ERROR_FORMAT, "nothing on the stack");
    REFUSE("NNa.", COVER_ERROR_FORMAT, "holds none");
    REFUSE("(Nd.", COVER_ERROR_FORMAT, "key without a value");
    REFUSE("}(Nu.", COVER_ERROR_FORMAT, "key without a value");
    REFUSE("h\5.", COVER_ERROR_FORMAT, "empty place of the memo");
    REFUSE("Nr\xFF\xFF\xFF\xFF.", COVER_ERROR_FORMAT, "memo index");
    REFUSE("X\xFF\xFF\xFF\x7F.", COVER_ERROR_FORMAT, "ends too early");
    REFUSE("\x8D\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF.", COVER_ERROR_FORMAT, "ends too early");
    REFUSE("\x8B\xFF\xFF\xFF\xFF.", COVER_ERROR_FORMAT, "ends too early");
    REFUSE("NN\x93.", COVER_ERROR_FORMAT, "global without a name");
    REFUSE("N)R.", COVER_ERROR_FORMAT, "cannot be called");
    REFUSE("ca\nb\nNR.", COVER_ERROR_FORMAT, "cannot be called");
    REFUSE("ca\nb", COVER_ERROR_FORMAT, "line without end");
    REFUSE("cos\nsystem\n.", COVER_ERROR_UNSUPPORTED, "os.system");
    REFUSE("c\x1b[2J\nx\ny\n.", COVER_ERROR_UNSUPPORTED, "?[2J.x");
    REFUSE("(iposix\nsystem\n.", COVER_ERROR_UNSUPPORTED, "opcode 0x69");
    REFUSE("\x82\x01.", COVER_ERROR_UNSUPPORTED, "opcode 0x82");
    REFUSE("P0\n.", COVER_ERROR_UNSUPPORTED, "opcode 0x50");
}
END_TEST

START_TEST(integers_of_every_width_keep_their_sign) {
    static const struct {
        const char *data;
        size_t bytes;
        int64_t value;
    } rows[] = {{"K\xFF.", 3, 255},
                {"M\xFF\xFF.", 4, 65535},
                {"J\xFE\xFF\xFF\xFF.", 6, -2},
                {"\x8A\0.", 3, 0},
                {"\x8A\1\xFF.", 4, -1},
                {"\x8A\2\xFF\0.", 5, 255},
                {"\x8A\10\0\0\0\0\0\0\0\x80.", 11, INT64_MIN},
                {"\x8B\1\0\0\0\x80.", 7, -128}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pickle pickle;
        struct arena arena;
        ck_assert_ok(unpickle(rows[i].data, rows[i].bytes, &pickle, &arena));
        ck_assert_int_eq(pickle.value->kind, PICKLE_INTEGER);
        ck_assert_int_eq(pickle.value->integer, rows[i].value);
        arena_free(&arena);
    }
}
END_TEST

START_TEST(a_value_may_contain_itself) {
    struct pickle pickle;
    struct arena arena;
    ck_assert_ok(unpickle("]q\0h\0a.", 7, &pickle, &arena));
    ck_assert_ptr_eq(pickle_item(pickle.value, 0), pickle.value);
    arena_free(&arena);
}
END_TEST

#define OLD_HEAD                                                                                                                   \
    "\x80\2\x8A\12\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19." /* magic */                                                           \
    "M\xE9\3."                                               /* version */                                                         \
    "}U\15little_endian\x88s."

START_TEST(mappings_that_hold_each_other_are_walked_once) {
    enum { LEVELS = 60 }; /* each holds the one before twice: 2^60 paths */
    uint8_t data[sizeof OLD_HEAD + 16 * LEVELS] = OLD_HEAD;
    size_t at = sizeof OLD_HEAD - 1;
    memcpy(data + at, "}\x94", 2), at += 2;
    for (int level = 0; level < LEVELS; level++, at += 15) {
        memcpy(data + at, "0}(U\1ah\0U\1bh\0u\x94", 15);
        data[at + 7] = data[at + 12] = (uint8_t)level;
    }
    memcpy(data + at, ".].", 3), at += 3;
    ck_assert_int_eq(read_all(test_context, data, at), COVER_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "no tensors"));
}
END_TEST

static void add_number(struct text *text, int64_t number) {
    text_add_bytes(text, "\x8A\10", 2);
    text_add_bytes(text, &number, sizeof number);
}

/* A file of the old form whose storage should have `elements` floats and has `present`; its only tensor is a vector. */
static cover_status one_tensor(int64_t elements, int64_t present, int64_t offset, int64_t size, int64_t stride) {
    static const float values[4] = {1, 2, 3, 4};
    struct text text = {.context = test_context};
    text_add_bytes(&text, OLD_HEAD, sizeof OLD_HEAD - 1);
    text_add(&text, "}U\1wctorch._utils\n_rebuild_tensor_v2\n((U\7storagectorch\nFloatStorage\nU\1kU\3cpu");
    add_number(&text, elements);
    text_add(&text, "tQ");
    add_number(&text, offset);
    add_number(&text, size);
    text_add(&text, "\x85");
    add_number(&text, stride);
    text_add(&text, "\x85\x89}tRs.](U\1ke.");
    text_add_bytes(&text, &present, sizeof present);
    text_add_bytes(&text, values, sizeof values);
    ck_assert(!text.failed);
    cover_status status = read_all(test_context, text.data, text.length);
    text_free(&text);
    return status;
}

START_TEST(tensors_must_lie_in_their_storage) {
    const int64_t huge = INT64_C(1) << 62;
    ck_assert_ok(one_tensor(4, 4, 0, 4, 1));
    ck_assert_ok(one_tensor(4, 4, 3, 1, huge)); /* a stride over an axis of one is never taken */
    ck_assert_ok(one_tensor(4, 4, huge, 0, 1)); /* nor is any place of an empty tensor */
    ck_assert_ok(one_tensor(4, 4, 0, 1000, 0));
    ck_assert_int_eq(one_tensor(4, 4, 1, 4, 1), COVER_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "reaches beyond its storage of 4 elements"));
    ck_assert_int_eq(one_tensor(4, 4, 0, 4, huge), COVER_ERROR_FORMAT);
    ck_assert_int_eq(one_tensor(4, 4, huge, 4, huge), COVER_ERROR_FORMAT);
    ck_assert_int_eq(one_tensor(4, 4, -1, 1, 1), COVER_ERROR_FORMAT);
    ck_assert_int_eq(one_tensor(4, 4, 0, 2, -1), COVER_ERROR_FORMAT);
    ck_assert_int_eq(one_tensor(4, 4, 0, -1, 1), COVER_ERROR_FORMAT);
    ck_assert_int_eq(one_tensor(4, 4, 0, INT64_C(25000000000), 0), COVER_ERROR_UNSUPPORTED); /* 100 GB of one number */
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "contiguous"));
    ck_assert_int_eq(one_tensor(huge, huge, 0, 1, 1), COVER_ERROR_FORMAT);
    ck_assert_int_eq(one_tensor(5, 5, 0, 1, 1), COVER_ERROR_FORMAT);
    ck_assert_int_eq(one_tensor(4, 3, 0, 1, 1), COVER_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "another size"));
}
END_TEST

/* A vector of two numbers, 1 and 2, whose last argument is this pickle. */
static cover_status lazy_tensor(const char *metadata, size_t bytes) {
    static const float values[2] = {1, 2};
    struct text text = {.context = test_context};
    text_add_bytes(&text, OLD_HEAD, sizeof OLD_HEAD - 1);
    text_add(&text, "}U\1wctorch._utils\n_rebuild_tensor_v2\n((U\7storagectorch\nFloatStorage\nU\1kU\3cpuK\2tQ");
    text_add_bytes(&text, "K\0K\2\x85K\1\x85\x89}", 10);
    text_add_bytes(&text, metadata, bytes);
    text_add_bytes(&text, "tRs.](U\1ke.\2\0\0\0\0\0\0\0", 19);
    text_add_bytes(&text, values, sizeof values);
    ck_assert(!text.failed);
    cover_status status = read_all(test_context, text.data, text.length);
    text_free(&text);
    return status;
}

START_TEST(what_is_still_to_be_done_to_a_tensor_is_done_or_refused) {
    ck_assert_ok(lazy_tensor("", 0));
    ck_assert_ok(lazy_tensor("N", 1));
    ck_assert_ok(lazy_tensor("}", 1));
    ck_assert_ok(lazy_tensor("}U\3neg\x88s", 8));
    ck_assert_ok(lazy_tensor("}U\4conj\x89s", 9));
    ck_assert_int_eq(lazy_tensor("}U\4conj\x88s", 9), COVER_ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "tensor w is a lazy view (conj)"));
    ck_assert_int_eq(lazy_tensor("}U\3newK\1s", 9), COVER_ERROR_UNSUPPORTED);
    ck_assert_int_eq(lazy_tensor("K\1", 2), COVER_ERROR_FORMAT);
}
END_TEST

static const char *memory_path;
static cover_status read_path(cover_context *context) {
    size_t count;
    uint8_t *bytes = read_bytes(memory_path, &count);
    cover_status status = read_all(context, bytes, count);
    free(bytes);
    return status;
}
START_TEST(refused_memory_is_reported_and_nothing_leaks) {
    static const char *const paths[] = {PTH("strides"), PTH("strides_old"), PTH("strides_deflated"), PTH("types"), PTH("averages")};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        memory_path = paths[i];
        survive_refused_memory(read_path);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("PyTorch files");
    TCase *tcase = tcase_create("PyTorch files");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    ADD(tcase, every_type_is_read);
    ADD(tcase, strides_views_and_shared_storages_are_followed);
    ADD(tcase, packed_entries_are_read);
    ADD(tcase, records_of_archives_over_4_gib_are_read);
    ADD(tcase, files_without_checksums_are_read);
    ADD(tcase, files_from_before_the_zip_form_are_read);
    ADD(tcase, files_from_before_the_zip_form_are_read_in_later_protocols);
    ADD(tcase, files_in_the_first_protocols_are_told_apart);
    ADD(tcase, tensors_that_are_the_negative_of_what_is_stored_keep_their_sign);
    ADD(tcase, what_is_still_to_be_done_to_a_tensor_is_done_or_refused);
    ADD(tcase, weights_beside_those_that_are_taken_are_named);
    ADD(tcase, a_key_takes_the_tensors_below_it);
    ADD(tcase, a_training_checkpoint_gives_its_weights_in_every_protocol);
    ADD(tcase, a_pickle_that_would_run_a_command_is_refused_by_name);
    ADD(tcase, a_file_truncated_at_any_length_is_an_error);
    ADD(tcase, any_byte_changed_is_an_error_or_harmless);
    ADD(tcase, a_changed_value_does_not_pass_the_checksum);
    ADD(tcase, other_archives_are_told_apart);
    ADD(tcase, broken_pickles_are_refused);
    ADD(tcase, integers_of_every_width_keep_their_sign);
    ADD(tcase, a_value_may_contain_itself);
    ADD(tcase, mappings_that_hold_each_other_are_walked_once);
    ADD(tcase, tensors_must_lie_in_their_storage);
    ADD(tcase, refused_memory_is_reported_and_nothing_leaks);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
