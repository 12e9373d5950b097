/* safetensors: what is written is read back; golden files are understood; a damaged or lying file is an error. */
#include "weights_test.h"

#include "io/weights/safetensors.h"
#include "io/weights/tensor_hash.h"

#include <ctype.h>

static const float three[] = {1.0f, -2.5f, 3e-39f};
static const uint16_t halves[] = {0x3C00, 0xC000, 0x0001, 0x7C00, 0x8000};
static const uint16_t brains[] = {0x3F80, 0xC020};
static const double doubles[] = {0.5, -1e300};
static const int64_t longs[] = {-3, 1LL << 40};
static const uint8_t bools[] = {0, 1, 1};
static const int64_t shape3[] = {3}, shape13[] = {1, 3}, shape5[] = {5}, shape2[] = {2}, shape0[] = {0, 7};

static const struct tensor_output outputs[] = {
    {"b.weight", TENSOR_F32, 2, shape13, three}, {"a.bias", TENSOR_F32, 1, shape3, three},
    {"halves", TENSOR_F16, 1, shape5, halves},   {"brains", TENSOR_BF16, 1, shape2, brains},
    {"doubles", TENSOR_F64, 1, shape2, doubles}, {"longs", TENSOR_I64, 1, shape2, longs},
    {"bools", TENSOR_BOOL, 1, shape3, bools},    {"scalar", TENSOR_F32, 0, NULL, three},
    {"empty", TENSOR_I32, 2, shape0, ""},        {"quote \" and \xC3\xA9", TENSOR_U8, 1, shape3, bools},
};
static const struct tensor_pair metadata[] = {{"format", "libcover"}, {"text", "line\none \"two\" \\ \x01 \xE2\x82\xAC"}};
enum { OUTPUTS = sizeof outputs / sizeof *outputs };

static cover_status write_all(cover_context *context, const char *path) {
    return safetensors_write(context, path, outputs, OUTPUTS, metadata, 2);
}

static cover_status open_bytes(cover_context *context, const void *bytes, size_t count) {
    struct tensor_file *file = NULL;
    cover_status status = tensor_file_open_memory(&file, context, "x.safetensors", bytes, count);
    if (status == COVER_OK)
        for (int64_t i = 0; i < file->count && status == COVER_OK; i++) {
            float *values = NULL;
            status = tensor_load_f32(file, &file->entries[i], &values);
            if (status == COVER_OK) memory_free(context, values);
        }
    tensor_file_close(file);
    return status;
}

START_TEST(what_is_written_is_read_back) {
    struct tensor_file *file;
    ck_assert_ok(write_all(test_context, in_folder("a.safetensors")));
    ck_assert_ok(tensor_file_open(&file, test_context, in_folder("a.safetensors")));
    ck_assert_str_eq(file->format->name, "safetensors");
    ck_assert_int_eq(file->count, OUTPUTS);
    for (int i = 0; i < OUTPUTS; i++) {
        const struct tensor_entry *entry = tensor_file_find(file, outputs[i].name);
        uint8_t stored[64];
        ck_assert_ptr_nonnull(entry);
        ck_assert_int_eq(entry->type, outputs[i].type);
        ck_assert_int_eq(entry->rank, outputs[i].rank);
        for (int axis = 0; axis < entry->rank; axis++) ck_assert_int_eq(entry->shape[axis], outputs[i].shape[axis]);
        ck_assert_ok(tensor_read(file, entry, stored));
        ck_assert_mem_eq(stored, outputs[i].data, entry->bytes);
    }
    ck_assert_ptr_null(tensor_file_find(file, "c"));
    ck_assert_int_eq(file->metadata_count, 2 + TENSOR_HASH_PAIRS);
    ck_assert_str_eq(tensor_file_metadata(file, "text"), metadata[1].value);
    ck_assert_ptr_null(tensor_file_metadata(file, "none"));
    tensor_file_close(file);
}
END_TEST

START_TEST(every_type_converts_to_float) {
    struct tensor_file *file;
    float values[5];
    ck_assert_ok(write_all(test_context, in_folder("a.safetensors")));
    ck_assert_ok(tensor_file_open(&file, test_context, in_folder("a.safetensors")));
    ck_assert_ok(tensor_read_f32(file, tensor_file_find(file, "halves"), values));
    ck_assert(values[0] == 1.0f && values[1] == -2.0f && values[2] == 0x1p-24f && values[3] == (float)INFINITY);
    ck_assert(values[4] == 0.0f && signbit(values[4]));
    ck_assert_ok(tensor_read_f32(file, tensor_file_find(file, "brains"), values));
    ck_assert(values[0] == 1.0f && values[1] == -2.5f);
    ck_assert_ok(tensor_read_f32(file, tensor_file_find(file, "doubles"), values));
    ck_assert(values[0] == 0.5f && values[1] == -(float)INFINITY);
    ck_assert_ok(tensor_read_f32(file, tensor_file_find(file, "longs"), values));
    ck_assert(values[0] == -3.0f && values[1] == 0x1p40f);
    ck_assert_ok(tensor_read_f32(file, tensor_file_find(file, "bools"), values));
    ck_assert(values[0] == 0.0f && values[1] == 1.0f);
    tensor_file_close(file);
}
END_TEST

START_TEST(equal_tensors_give_equal_bytes_and_an_aligned_header) {
    size_t first_count, second_count;
    ck_assert_ok(write_all(test_context, in_folder("a.safetensors")));
    ck_assert_ok(write_all(test_context, in_folder("b.safetensors")));
    uint8_t *first = read_bytes(in_folder("a.safetensors"), &first_count);
    uint8_t *second = read_bytes(in_folder("b.safetensors"), &second_count);
    ck_assert_uint_eq(first_count, second_count);
    ck_assert_mem_eq(first, second, first_count);
    ck_assert_uint_eq(first[0] % 8, 0);
    ck_assert_int_eq(files_in_folder(), 2);
    free(first);
    free(second);
}
END_TEST

static cover_status verify_bytes(const void *bytes, size_t count, bool *present) {
    struct tensor_file *file;
    TRY(tensor_file_open_memory(&file, test_context, "x.safetensors", bytes, count));
    const cover_status status = tensor_hash_verify(file, present);
    tensor_file_close(file);
    return status;
}

START_TEST(any_changed_byte_is_found_by_the_hash) {
    size_t count;
    bool present;
    ck_assert_ok(write_all(test_context, in_folder("a.safetensors")));
    uint8_t *bytes = read_bytes(in_folder("a.safetensors"), &count);
    ck_assert_ok(verify_bytes(bytes, count, &present));
    ck_assert(present);
    for (size_t at = 0; at < count; at++)
        for (int flip = 1; flip < 256; flip += flip < 8 ? 1 : 31) {
            const uint8_t was = bytes[at];
            bytes[at] ^= (uint8_t)flip;
            const cover_status status = verify_bytes(bytes, count, &present);
            if (status == COVER_OK) /* one space for another between two words of the header */
                ck_assert_msg(isspace(was) && isspace(bytes[at]), "byte %zu: %02x for %02x was not found", at, bytes[at], was);
            else ck_assert(status == COVER_ERROR_FORMAT || status == COVER_ERROR_UNSUPPORTED);
            bytes[at] = was;
        }
    free(bytes);
}
END_TEST

START_TEST(the_hash_names_the_tensor_that_was_changed) {
    size_t count;
    ck_assert_ok(write_all(test_context, in_folder("a.safetensors")));
    uint8_t *bytes = read_bytes(in_folder("a.safetensors"), &count);
    uint8_t *doubles_at = memmem(bytes, count, doubles, sizeof doubles);
    doubles_at[3] ^= 1;
    ck_assert_int_eq(verify_bytes(bytes, count, NULL), COVER_ERROR_FORMAT);
    ck_assert_ptr_nonnull(
        strstr(cover_error_text(), "the values of 1 of 10 tensors are not those that were written, first doubles;"));
    free(bytes);
}
END_TEST

static void hash_of(char hash[SHA256_TEXT], const struct tensor_output *tensors, int count, const struct tensor_pair *pairs,
                    int pair_count) {
    struct tensor_file *file;
    ck_assert_ok(safetensors_write(test_context, in_folder("h.safetensors"), tensors, count, pairs, pair_count));
    ck_assert_ok(tensor_file_open(&file, test_context, in_folder("h.safetensors")));
    strcpy(hash, tensor_file_metadata(file, "sha256"));
    tensor_file_close(file);
}

START_TEST(the_hash_is_of_content_not_of_order) {
    const struct tensor_output turned[2] = {outputs[1], outputs[0]};
    const struct tensor_pair pairs[2] = {metadata[1], metadata[0]}, old[2] = {{"sha256", "of another file"}, metadata[0]};
    char first[SHA256_TEXT], second[SHA256_TEXT];
    hash_of(first, outputs, 2, metadata, 2);
    hash_of(second, turned, 2, pairs, 2);
    ck_assert_str_eq(first, second);
    hash_of(second, outputs, 2, metadata, 1);
    ck_assert_str_ne(first, second); /* the metadata count, too */
    hash_of(first, outputs, 2, old, 2);
    ck_assert_str_eq(first, second); /* but for a hash that was there before */
}
END_TEST

START_TEST(files_without_a_hash_are_read) {
    static const char text[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}} ";
    uint8_t bytes[8 + sizeof text - 1 + 1] = {sizeof text - 1};
    bool present = true;
    memcpy(bytes + 8, text, sizeof text - 1);
    ck_assert_ok(verify_bytes(bytes, sizeof bytes, &present));
    ck_assert(!present);
}
END_TEST

START_TEST(golden_files_are_understood) {
    struct tensor_file *file;
    ck_assert_ok(tensor_file_open(&file, test_context, GOLDEN_FOLDER "/cover3d_exact.safetensors"));
    ck_assert_str_eq(tensor_file_metadata(file, "widths"), "8,16,16,24,32,24,16,16,8");
    const struct tensor_entry *entry = tensor_file_find(file, "param.proj.4.proj.weight");
    ck_assert_ptr_nonnull(entry);
    ck_assert_int_eq(entry->rank, 5);
    ck_assert_int_eq(entry->shape[0], 8);
    float *values = NULL;
    ck_assert_ok(tensor_load_f32(file, entry, &values));
    for (int64_t i = 0; i < entry->elements; i++) ck_assert(values[i] > -1.0f && values[i] < 1.0f);
    memory_free(test_context, values);
    tensor_file_close(file);
}
END_TEST

START_TEST(a_file_truncated_at_any_length_is_an_error) {
    size_t count;
    ck_assert_ok(write_all(test_context, in_folder("a.safetensors")));
    uint8_t *bytes = read_bytes(in_folder("a.safetensors"), &count);
    for (size_t length = 0; length < count; length++) {
        uint8_t *part = malloc(length + 1); /* its own block: the sanitizer sees a read past the end */
        memcpy(part, bytes, length);
        cover_status status = open_bytes(test_context, part, length);
        ck_assert_msg(status == COVER_ERROR_FORMAT, "%zu bytes of %zu: %s", length, count, cover_status_name(status));
        ck_assert_ptr_nonnull(strstr(cover_error_text(), "x.safetensors"));
        free(part);
    }
    ck_assert_ok(open_bytes(test_context, bytes, count));
    ck_assert_int_eq(open_bytes(test_context, bytes, count + 1), COVER_ERROR_FORMAT);
    free(bytes);
}
END_TEST

START_TEST(a_header_byte_changed_to_anything_is_an_error_or_another_sound_file) {
    size_t count;
    ck_assert_ok(write_all(test_context, in_folder("a.safetensors")));
    uint8_t *bytes = read_bytes(in_folder("a.safetensors"), &count);
    size_t header = 8 + bytes[0] + 256u * bytes[1];
    for (size_t at = 0; at < header; at++)
        for (int flip = 1; flip < 256; flip += flip < 8 ? 1 : 31) {
            bytes[at] ^= (uint8_t)flip;
            cover_status status = open_bytes(test_context, bytes, count);
            ck_assert(status == COVER_OK || status == COVER_ERROR_FORMAT || status == COVER_ERROR_UNSUPPORTED);
            bytes[at] ^= (uint8_t)flip;
        }
    free(bytes);
}
END_TEST

/* A file of `header` and `data` zero bytes is refused with a text that holds `expected`. */
static void refuse(const char *header, size_t data, cover_status status, const char *expected) {
    size_t length = strlen(header);
    uint8_t *bytes = calloc(1, 8 + length + data);
    memcpy(bytes, &(uint64_t){length}, 8);
    memcpy(bytes + 8, header, length);
    cover_status got = open_bytes(test_context, bytes, 8 + length + data);
    ck_assert_msg(got == status, "%s: %s: %s", header, cover_status_name(got), cover_error_text());
    ck_assert_msg(strstr(cover_error_text(), expected), "'%s' lacks '%s'", cover_error_text(), expected);
    free(bytes);
}

START_TEST(lying_headers_are_refused_with_their_reason) {
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[25000000000],\"data_offsets\":[0,100000000000]}}", 8, COVER_ERROR_FORMAT,
           "not inside the 8 bytes");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[25000000000],\"data_offsets\":[0,8]}}", 8, COVER_ERROR_FORMAT,
           "need 100000000000 bytes");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0, COVER_ERROR_FORMAT,
           "more elements than");
    refuse("{\"a\":{\"dtype\":\"F64\",\"shape\":[2305843009213693952],\"data_offsets\":[0,0]}}", 0, COVER_ERROR_FORMAT,
           "more bytes than");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, COVER_ERROR_FORMAT, "size of axis 0");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4, COVER_ERROR_FORMAT, "size of axis 0");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, COVER_ERROR_FORMAT, "[4, 0]");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, COVER_ERROR_FORMAT, "two whole numbers");
    refuse("{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, COVER_ERROR_UNSUPPORTED, "'F33'");
    refuse("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1, COVER_ERROR_UNSUPPORTED, "9 axes");
    refuse("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"U8\",\"shape\":[4],"
           "\"data_offsets\":[2,6]}}",
           6, COVER_ERROR_FORMAT, "tensor b: its data begin at 2");
    refuse("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"b\":{\"dtype\":\"U8\",\"shape\":[1],"
           "\"data_offsets\":[2,3]}}",
           3, COVER_ERROR_FORMAT, "gaps");
    refuse("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 2, COVER_ERROR_FORMAT,
           "describes 1 bytes of data, but the file has 2");
    refuse("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"a\":{\"dtype\":\"U8\",\"shape\":[1],"
           "\"data_offsets\":[1,2]}}",
           2, COVER_ERROR_FORMAT, "duplicate");
    refuse("{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, COVER_ERROR_FORMAT, "empty");
    refuse("{\"a\\u001b[2J\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, COVER_ERROR_FORMAT, "printable");
    refuse("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, COVER_ERROR_FORMAT, "shape is missing");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":{},\"data_offsets\":[0,4]}}", 4, COVER_ERROR_FORMAT, "shape is missing");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, COVER_ERROR_FORMAT, "two whole numbers");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, COVER_ERROR_FORMAT, "two whole numbers");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0.0,4]}}", 4, COVER_ERROR_FORMAT, "two whole numbers");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,\"4\"]}}", 4, COVER_ERROR_FORMAT, "two whole numbers");
    refuse("{\"__metadata__\":{\"a\":1}}", 0, COVER_ERROR_FORMAT, "not a string");
    refuse("{\"__metadata__\":[]}", 0, COVER_ERROR_FORMAT, "object of strings");
    refuse("{\"a\":[]}", 0, COVER_ERROR_FORMAT, "dtype is missing");
    refuse("[]", 0, COVER_ERROR_FORMAT, "not a JSON object");
    refuse("{} x", 0, COVER_ERROR_FORMAT, "its header: not sound JSON");
}
END_TEST

START_TEST(a_header_length_beyond_the_file_is_refused) {
    for (int shift = 4; shift < 64; shift++) {
        uint8_t bytes[16] = "........{}      ";
        memcpy(bytes, &(uint64_t){1ULL << shift}, 8);
        ck_assert_int_eq(open_bytes(test_context, bytes, sizeof bytes), COVER_ERROR_FORMAT);
        ck_assert_ptr_nonnull(strstr(cover_error_text(), "only 8 follow"));
    }
}
END_TEST

START_TEST(a_header_larger_than_any_that_is_written_is_refused) {
    const char *path = in_folder("x.safetensors");
    const uint64_t header = 100000001;
    struct tensor_file *file;
    write_bytes(path, &header, sizeof header);
    ck_assert_int_eq(truncate(path, (off_t)(sizeof header + header)), 0); /* a hole */
    ck_assert_fails(tensor_file_open(&file, test_context, path), COVER_ERROR_FORMAT, "a header of 100000001 bytes, but at most");
}
END_TEST

START_TEST(keys_of_many_tensors_are_listed_and_counted) {
    static char names[25][16];
    struct tensor_output many[25];
    struct tensor_file *file;
    for (int i = 0; i < 25; i++) {
        snprintf(names[i], sizeof names[i], i ? "k%02d.x" : "k00.", i);
        many[i] = (struct tensor_output){names[i], TENSOR_F32, 1, shape3, three};
    }
    ck_assert_ok(safetensors_write(test_context, in_folder("a.safetensors"), many, 25, NULL, 0));
    ck_assert_fails(tensor_file_open_under(&file, test_context, in_folder("a.safetensors"), "none"), COVER_ERROR_MISMATCH,
                    "there are: k00, k01, ", "k19 and 5 more");
    ck_assert_fails(tensor_file_open_under(&file, test_context, in_folder("a.safetensors"), "k00"), COVER_ERROR_MISMATCH,
                    "holds no tensors under 'k00'"); /* nothing behind its dot */
}
END_TEST

START_TEST(json_nested_a_million_deep_is_refused) {
    enum { DEEP = 1000000 };
    char *header = malloc(DEEP + 6);
    memcpy(header, "{\"a\":", 5);
    memset(header + 5, '[', DEEP);
    header[DEEP + 5] = 0;
    refuse(header, 0, COVER_ERROR_FORMAT, "its header: not sound JSON");
    free(header);
}
END_TEST

START_TEST(missing_files_folders_and_devices_are_io_errors) {
    struct tensor_file *file;
    ck_assert_int_eq(tensor_file_open(&file, test_context, in_folder("none.safetensors")), COVER_ERROR_IO);
    ck_assert_int_eq(tensor_file_open(&file, test_context, test_folder), COVER_ERROR_IO);
    ck_assert_int_eq(tensor_file_open(&file, test_context, "/dev/null"), COVER_ERROR_IO);
    ck_assert_int_eq(write_all(test_context, in_folder("no/such/folder")), COVER_ERROR_IO);
}
END_TEST

static cover_status write_and_read(cover_context *context) {
    size_t count;
    cover_status status = write_all(context, in_folder("m.safetensors"));
    if (status != COVER_OK) {
        ck_assert_int_eq(files_in_folder(), 0);
        return status;
    }
    uint8_t *bytes = read_bytes(in_folder("m.safetensors"), &count);
    unlink(in_folder("m.safetensors"));
    status = open_bytes(context, bytes, count);
    free(bytes);
    return status;
}

START_TEST(refused_memory_is_reported_and_nothing_leaks) { survive_refused_memory(write_and_read); }
END_TEST

int main(void) {
    Suite *suite = suite_create("safetensors");
    TCase *tcase = tcase_create("safetensors");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    ADD(tcase, a_header_larger_than_any_that_is_written_is_refused);
    ADD(tcase, keys_of_many_tensors_are_listed_and_counted);
    ADD(tcase, what_is_written_is_read_back);
    ADD(tcase, every_type_converts_to_float);
    ADD(tcase, equal_tensors_give_equal_bytes_and_an_aligned_header);
    ADD(tcase, any_changed_byte_is_found_by_the_hash);
    ADD(tcase, the_hash_names_the_tensor_that_was_changed);
    ADD(tcase, the_hash_is_of_content_not_of_order);
    ADD(tcase, files_without_a_hash_are_read);
    ADD(tcase, golden_files_are_understood);
    ADD(tcase, a_file_truncated_at_any_length_is_an_error);
    ADD(tcase, a_header_byte_changed_to_anything_is_an_error_or_another_sound_file);
    ADD(tcase, lying_headers_are_refused_with_their_reason);
    ADD(tcase, a_header_length_beyond_the_file_is_refused);
    ADD(tcase, json_nested_a_million_deep_is_refused);
    ADD(tcase, missing_files_folders_and_devices_are_io_errors);
    ADD(tcase, refused_memory_is_reported_and_nothing_leaks);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
