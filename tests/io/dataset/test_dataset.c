/* The dataset file: what was written is read back for every dtype and dimension; damage anywhere is an error with a
 * text, never a crash; a refused write is an error; the open does not grow with the samples. */
#include "../synthetic.h"

#include "core/base/files.h"
#include "core/base/threads.h"
#include "io/bytes/hdf5.h"
#include "io/bytes/seal.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static cover_context *context;
static char folder[32], path[64];

static void setup(void) {
    strcpy(folder, "/tmp/cover-data-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/data.h5", folder);
    ck_assert_ok(cover_context_create(&context, &(cover_context_options){sizeof(cover_context_options), .threads = 3}));
}

static void teardown(void) {
    cover_context_destroy(context);
    unlink(path);
    rmdir(folder);
}

/* Compare a tensor of logical order with values in memory order. */
static void same_values(const cover_tensor *tensor, const struct synthetic *s, const struct dataset_row *row, const void *expected,
                        bool label) {
    const int first = !label, channels = label ? 1 : s->channels;
    const int64_t *shape = cover_tensor_shape(tensor), *strides = cover_tensor_strides(tensor);
    const size_t element = cover_dtype_bytes(cover_tensor_dtype(tensor));
    ck_assert_int_eq(cover_tensor_rank(tensor), s->dims + first);
    if (first) ck_assert_int_eq(shape[0], channels);
    for (int a = 0; a < s->dims; a++) ck_assert_int_eq(shape[first + a], row->size[3 - s->dims + a]);
    int64_t k = 0;
    for (int64_t z = 0; z < row->size[0]; z++)
        for (int64_t y = 0; y < row->size[1]; y++)
            for (int64_t x = 0; x < row->size[2]; x++)
                for (int64_t c = 0; c < channels; c++, k++) {
                    const int64_t index[3] = {z, y, x};
                    int64_t at = first ? c * strides[0] : 0;
                    for (int a = 0; a < s->dims; a++) at += index[3 - s->dims + a] * strides[first + a];
                    ck_assert_mem_eq((const char *)cover_tensor_data_const(tensor) + at * (int64_t)element,
                                     (const char *)expected + k * (int64_t)element, element);
                }
}

static void same_sample(const cover_dataset *dataset, const struct synthetic *s, int64_t i) {
    uint8_t expected[1 << 14];
    struct dataset_row row;
    cover_sample_info info = COVER_SAMPLE_INFO_INIT;
    cover_tensor *tensor = NULL;
    synthetic_row(s, i, &row);
    ck_assert_ok(cover_dataset_sample(&info, dataset, i));
    ck_assert_int_eq((int)info.dtype, dataset_dtype(row.dtype));
    for (int a = 0; a < 3; a++) ck_assert_int_eq(info.size[a], row.size[a]);
    ck_assert_mem_eq(info.spacing_mm, row.spacing_mm, sizeof info.spacing_mm);
    ck_assert_mem_eq(info.affine, row.affine, sizeof info.affine);
    ck_assert_int_eq(info.class_index, row.class_index);
    ck_assert_int_eq(info.split, row.split);
    char name[64];
    snprintf(name, sizeof name, "case_%lld", (long long)i);
    ck_assert_str_eq(info.name, name);
    ck_assert_ok(cover_dataset_read(&tensor, dataset, i));
    ck_assert_int_eq(cover_tensor_dtype(tensor), info.dtype);
    synthetic_values(s, &row, i, false, expected);
    same_values(tensor, s, &row, expected, false);
    cover_tensor_destroy(tensor);
    tensor = NULL;
    ck_assert_int_eq(info.has_label, row.label_dtype != DATASET_NO_LABEL);
    if (info.has_label) {
        ck_assert_ok(cover_dataset_read_label(&tensor, dataset, i));
        synthetic_values(s, &row, i, true, expected);
        same_values(tensor, s, &row, expected, true);
        cover_tensor_destroy(tensor);
    } else {
        ck_assert_int_eq(cover_dataset_read_label(&tensor, dataset, i), COVER_ERROR_ARGUMENT);
        ck_assert_ptr_null(tensor);
    }
}

static const struct synthetic kinds[] = {
    {.samples = 1, .dims = 2, .channels = 1, .sizes = 1},
    {.samples = 40, .dims = 2, .channels = 1, .sizes = 1, .labels = true},
    {.samples = 40, .dims = 2, .channels = 3, .sizes = 6, .labels = true, .mixed = true},
    {.samples = 40, .dims = 3, .channels = 1, .sizes = 4, .labels = true, .mixed = true},
    {.samples = 600, .dims = 3, .channels = 2, .sizes = 3, .mixed = true},
};

START_TEST(every_dtype_and_dimension_survives_the_round_trip) {
    struct synthetic s = kinds[_i];
    cover_dataset *dataset;
    cover_dataset_info info = COVER_DATASET_INFO_INIT;
    s.context = context;
    ck_assert_ok(synthetic_write(&s, path));
    ck_assert_ok(cover_dataset_open(&dataset, context, path));
    ck_assert_ok(cover_dataset_get_info(&info, dataset));
    ck_assert(info.samples == s.samples && info.dims == s.dims && info.channels == s.channels && info.classes == 4);
    ck_assert_int_eq(info.has_labels, s.labels);
    ck_assert(info.min_size[2] == 7 && info.max_size[2] == 7 && info.min_size[1] == 5);
    ck_assert_int_eq(info.max_size[1], 4 + s.sizes);
    ck_assert_uint_eq(strlen(info.hash), 64);
    for (int64_t i = 0; i < s.samples; i++) same_sample(dataset, &s, i);
    cover_sample_info sample = COVER_SAMPLE_INFO_INIT;
    ck_assert_int_eq(cover_dataset_sample(&sample, dataset, -1), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_dataset_sample(&sample, dataset, s.samples), COVER_ERROR_ARGUMENT);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(floats_for_training_are_the_packed_values) {
    struct synthetic s = kinds[3];
    cover_dataset *dataset;
    s.context = context;
    ck_assert_ok(synthetic_write(&s, path));
    ck_assert_ok(cover_dataset_open(&dataset, context, path));
    for (int64_t i = 0; i < s.samples; i++) {
        uint8_t expected[1 << 14];
        struct dataset_row row;
        struct grid grid;
        float *pixels;
        int integer_max;
        synthetic_row(&s, i, &row);
        synthetic_values(&s, &row, i, false, expected);
        ck_assert_ok(dataset_read_f32(dataset, i, &pixels, &grid, &integer_max));
        ck_assert_int_eq(integer_max, row.dtype == 0 ? 255 : row.dtype == 1 ? 65535 : 0);
        ck_assert(grid.ndim == 3 && grid.size[0] == row.size[0] && grid.size[1] == row.size[1] && grid.size[2] == 7);
        for (int64_t k = 0; k < grid_pixels(&grid); k++) {
            float value = row.dtype == 0 ? expected[k] : row.dtype == 1 ? ((uint16_t *)expected)[k] : ((float *)expected)[k];
            ck_assert(pixels[k] == value);
        }
        memory_free(context, pixels);
    }
    cover_dataset_destroy(dataset);
}
END_TEST

struct shared {
    const cover_dataset *dataset;
    const struct synthetic *s;
};
static void read_on_a_worker(void *data, int64_t i) {
    const struct shared *shared = data;
    same_sample(shared->dataset, shared->s, i * 7 % shared->s->samples);
}

START_TEST(names_of_samples_live_as_long_as_the_dataset) {
    struct synthetic s = kinds[1];
    cover_dataset *dataset;
    cover_sample_info one = COVER_SAMPLE_INFO_INIT, other = COVER_SAMPLE_INFO_INIT, again = COVER_SAMPLE_INFO_INIT;
    s.context = context;
    ck_assert_ok(synthetic_write(&s, path));
    ck_assert_ok(cover_dataset_open(&dataset, context, path));
    ck_assert_ok(cover_dataset_sample(&one, dataset, 3));
    ck_assert_ok(cover_dataset_sample(&other, dataset, 4));
    ck_assert_ok(cover_dataset_sample(&again, dataset, 3));
    ck_assert_str_eq(one.name, "case_3");
    ck_assert_str_eq(other.name, "case_4");
    ck_assert_ptr_eq(one.name, again.name);
    ck_assert_ptr_eq(one.patient, again.patient);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(several_threads_read_at_once) {
    struct synthetic s = kinds[4];
    cover_dataset *dataset;
    s.context = context;
    ck_assert_ok(synthetic_write(&s, path));
    ck_assert_ok(cover_dataset_open(&dataset, context, path));
    struct pool *pool;
    ck_assert_ok(context_pool(context, &pool));
    pool_each(pool, s.samples, read_on_a_worker, &(struct shared){dataset, &s});
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(equal_samples_give_equal_bytes_and_hashes) {
    struct synthetic s = kinds[2];
    uint8_t *first, *second;
    size_t bytes, more;
    s.context = context;
    ck_assert_ok(synthetic_write(&s, path));
    ck_assert_ok(file_read(context, path, 0, &first, &bytes));
    sleep(1); /* times in the file would differ now */
    ck_assert_ok(synthetic_write(&s, path));
    ck_assert_ok(file_read(context, path, 0, &second, &more));
    ck_assert_uint_eq(bytes, more);
    ck_assert_mem_eq(first, second, bytes);
    memory_free(context, first);
    memory_free(context, second);
}
END_TEST

START_TEST(libhdf5_sees_an_array_for_each_size_and_dtype) {
    struct synthetic s = kinds[2];
    s.context = context;
    ck_assert_ok(synthetic_write(&s, path));
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    ck_assert_int_ge(file, 0);
    cover_dataset *dataset;
    ck_assert_ok(cover_dataset_open(&dataset, context, path));
    for (int64_t i = 0; i < s.samples; i++) {
        struct dataset_row row;
        char kind[DATASET_KIND_TEXT], name[96];
        uint8_t values[1 << 14], expected[1 << 14];
        uint64_t bytes;
        ck_assert_ok(dataset_row(dataset, i, &row));
        dataset_image_bytes(&row, s.channels, &bytes);
        dataset_kind(kind, row.dtype, s.dims, row.size);
        snprintf(name, sizeof name, "images/%s", kind);
        hid_t array = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(array);
        const hsize_t begin[4] = {row.image_row}, count[4] = {1, row.size[1], row.size[2], 3};
        hid_t memory = H5Screate_simple(4, count, NULL);
        ck_assert_int_ge(H5Sselect_hyperslab(space, H5S_SELECT_SET, begin, NULL, count, NULL), 0);
        ck_assert_int_ge(H5Dread(array, hdf5_type((cover_dtype)dataset_dtype(row.dtype)), memory, space, H5P_DEFAULT, values), 0);
        synthetic_values(&s, &row, i, false, expected);
        ck_assert_mem_eq(values, expected, bytes);
        H5Sclose(memory);
        H5Sclose(space);
        H5Dclose(array);
    }
    cover_dataset_destroy(dataset);
    H5Fclose(file);
}
END_TEST

/* Open and read all of it; COVER_OK only when everything was well. */
static cover_status read_all(void) {
    cover_dataset *dataset;
    cover_status status = cover_dataset_open(&dataset, context, path);
    if (status != COVER_OK) return status;
    cover_dataset_info info = COVER_DATASET_INFO_INIT;
    cover_dataset_get_info(&info, dataset);
    for (int64_t i = 0; status == COVER_OK && i < info.samples; i++) {
        cover_sample_info sample = COVER_SAMPLE_INFO_INIT;
        cover_tensor *tensor = NULL;
        status = cover_dataset_sample(&sample, dataset, i);
        if (status == COVER_OK) status = cover_dataset_read(&tensor, dataset, i);
        cover_tensor_destroy(tensor);
        tensor = NULL;
        if (status == COVER_OK && sample.has_label) status = cover_dataset_read_label(&tensor, dataset, i);
        cover_tensor_destroy(tensor);
    }
    cover_dataset_destroy(dataset);
    return status;
}

static void write_bytes(const void *bytes, size_t count) {
    FILE *stream = fopen(path, "wb");
    ck_assert_uint_eq(fwrite(bytes, 1, count, stream), count);
    fclose(stream);
}

START_TEST(a_truncated_file_is_an_error_at_every_length) {
    struct synthetic s = {.samples = 9, .dims = 2, .channels = 1, .sizes = 2, .labels = true, .mixed = true};
    s.context = context;
    ck_assert_ok(synthetic_write(&s, path));
    struct stat about;
    ck_assert_int_eq(stat(path, &about), 0);
    for (off_t keep = about.st_size - 1; keep >= 0; keep -= keep < 600 || keep > about.st_size - 600 ? 1 : 13) {
        ck_assert_int_eq(truncate(path, keep), 0);
        ck_assert_int_eq(read_all(), COVER_ERROR_FORMAT);
        ck_assert_ptr_nonnull(strstr(cover_error_text(), path));
    }
}
END_TEST

START_TEST(a_flipped_byte_is_noticed_or_harmless) {
    struct synthetic s = {.samples = 9, .dims = 2, .channels = 1, .sizes = 2, .labels = true, .mixed = true};
    uint8_t *bytes;
    size_t count, noticed = 0;
    s.context = context;
    ck_assert_ok(synthetic_write(&s, path));
    ck_assert_ok(file_read(context, path, 0, &bytes, &count));
    int descriptor = open(path, O_WRONLY);
    for (size_t at = 0; at < count; at += at < 600 ? 2 : 7) {
        ck_assert_int_eq(pwrite(descriptor, &(uint8_t){bytes[at] ^ 0x24}, 1, (off_t)at), 1);
        cover_status status = read_all();
        ck_assert(status == COVER_OK || status == COVER_ERROR_FORMAT || status == COVER_ERROR_UNSUPPORTED);
        noticed += status != COVER_OK;
        if (status == COVER_OK) { /* then it was in HDF5's own structures, and our values are untouched */
            cover_dataset *dataset;
            ck_assert_ok(cover_dataset_open(&dataset, context, path));
            for (int64_t i = 0; i < s.samples; i++) same_sample(dataset, &s, i);
            cover_dataset_destroy(dataset);
        }
        ck_assert_int_eq(pwrite(descriptor, &bytes[at], 1, (off_t)at), 1);
    }
    close(descriptor);
    ck_assert_uint_gt(noticed, 300);
    memory_free(context, bytes);
}
END_TEST

/* A file whose seal and hashes are right, but whose row lies: as an attacker or a broken writer would make it. */
static void forge(uint8_t *bytes, size_t count, void (*lie)(struct dataset_row *row)) {
    struct source source = source_memory("forged", bytes, count);
    struct seal seal;
    struct dataset_directory directory;
    ck_assert_ok(seal_read(&seal, &source, DATASET_FORMAT, DATASET_MAJOR));
    ck_assert_ok(dataset_directory_decode(&directory, bytes + seal.begin, seal.bytes, count, "forged"));
    struct dataset_row row;
    memcpy(&row, bytes + directory.rows_offset, sizeof row);
    lie(&row);
    memcpy(bytes + directory.rows_offset, &row, sizeof row);
    sha256(bytes + directory.rows_offset, (size_t)directory.samples * DATASET_ROW_BYTES,
           bytes + seal.begin + DATASET_HEAD_BYTES + directory.about_bytes);
    sha256(bytes + seal.begin, seal.bytes, seal.hash);
    seal_encode(bytes, &seal);
}

static void lie_huge(struct dataset_row *row) { row->size[1] = 20000, row->size[2] = 20000; }
static void lie_zero(struct dataset_row *row) { row->size[1] = 0; }
static void lie_overflow(struct dataset_row *row) { row->size[0] = row->size[1] = row->size[2] = UINT32_MAX; }
static void lie_dtype(struct dataset_row *row) { row->dtype = 9; }
static void lie_offset(struct dataset_row *row) { row->image_offset = UINT64_MAX - 3; }
static void lie_bytes(struct dataset_row *row) { row->image_bytes = UINT64_MAX; }
static void lie_shorter(struct dataset_row *row) { row->image_bytes--; }
static void lie_longer(struct dataset_row *row) { row->image_bytes++; }
static void lie_wider(struct dataset_row *row) { row->size[1]++; }
static void lie_narrower(struct dataset_row *row) { row->size[1]--; }
static void lie_name(struct dataset_row *row) { row->name_offset = 1u << 30; }
static void lie_name_bytes(struct dataset_row *row) { row->name_bytes = UINT32_MAX; }
static void lie_patient(struct dataset_row *row) { row->patient_bytes = 5000; }
static void lie_label(struct dataset_row *row) { row->label_dtype = 2; }
static void lie_no_label(struct dataset_row *row) { row->label_bytes = 5; }
static void lie_split(struct dataset_row *row) { row->split = 4; }
static void lie_class(struct dataset_row *row) { row->class_index = -2; }
static void lie_class_unknown(struct dataset_row *row) { row->class_index = 4; }
static void (*const lies[])(struct dataset_row *) = {
    lie_huge,     lie_zero, lie_overflow,   lie_dtype,   lie_offset, lie_bytes,    lie_shorter, lie_longer, lie_wider,
    lie_narrower, lie_name, lie_name_bytes, lie_patient, lie_label,  lie_no_label, lie_split,   lie_class,  lie_class_unknown};

START_TEST(a_lying_row_is_refused_before_memory_is_asked_for) {
    struct synthetic s = {.samples = 2, .dims = 2, .channels = 1, .sizes = 1};
    uint8_t *bytes;
    size_t count;
    s.context = context;
    ck_assert_ok(synthetic_write(&s, path));
    ck_assert_ok(file_read(context, path, 0, &bytes, &count));
    forge(bytes, count, lies[_i]);
    write_bytes(bytes, count);
    ck_assert_int_eq(read_all(), COVER_ERROR_FORMAT);
    memory_free(context, bytes);
}
END_TEST

/* The same, but the head of the directory or the seal lies. */
static void lie_no_samples(struct dataset_directory *head) { head->samples = 0; }
static void lie_many_samples(struct dataset_directory *head) { head->samples = INT64_MAX; }
static void lie_dims(struct dataset_directory *head) { head->dims = 4; }
static void lie_no_channels(struct dataset_directory *head) { head->channels = 0; }
static void lie_many_channels(struct dataset_directory *head) { head->channels = 65537; }
static void lie_classes(struct dataset_directory *head) { head->classes = 65537; }
static void lie_no_set(struct dataset_directory *head) { head->multilabel = true, head->classes = 0; }
static void lie_large_set(struct dataset_directory *head) { head->multilabel = true, head->classes = 65; }
static void lie_set_of_maps(struct dataset_directory *head) { head->multilabel = true, head->classes = 2, head->has_labels = true; }
static void lie_no_size(struct dataset_directory *head) { head->min_size[1] = 0; }
static void lie_sizes(struct dataset_directory *head) { head->min_size[1] = head->max_size[1] + 1; }
static void lie_large_size(struct dataset_directory *head) { head->max_size[2] = (int64_t)UINT32_MAX + 1; }
static void lie_deep(struct dataset_directory *head) { head->max_size[0] = 2; }
static void lie_rows(struct dataset_directory *head) { head->rows_offset = UINT64_MAX; }
static void lie_rows_end(struct dataset_directory *head) { head->rows_offset = 1u << 20; }
static void lie_names(struct dataset_directory *head) { head->names_bytes = UINT64_MAX; }
static void lie_about(struct dataset_directory *head) { head->about_bytes = UINT64_MAX; }
static void lie_hashes(struct dataset_directory *head) { head->about_bytes--; }
static const struct {
    void (*lie)(struct dataset_directory *head);
    const char *text;
} head_lies[] = {
    {lie_no_samples, "says 0 samples"},
    {lie_many_samples, "samples, which"},
    {lie_dims, "says dims 4"},
    {lie_no_channels, "channels 0"},
    {lie_many_channels, "channels 65537"},
    {lie_classes, "classes 65537"},
    {lie_no_set, "sets of 0 classes"},
    {lie_large_set, "sets of 65 classes"},
    {lie_set_of_maps, "sets of 2 classes"},
    {lie_no_size, "on axis 1"},
    {lie_sizes, "on axis 1"},
    {lie_large_size, "on axis 2"},
    {lie_deep, "on axis 0"},
    {lie_rows, "bytes outside the file"},
    {lie_rows_end, "bytes outside the file"},
    {lie_names, "bytes outside the file"},
    {lie_about, "bytes outside the file"},
    {lie_hashes, "but should have"},
};

START_TEST(a_directory_or_a_seal_that_lies_is_refused_with_its_reason) {
    struct synthetic s = {.samples = 2, .dims = 2, .channels = 1, .sizes = 1};
    uint8_t *bytes;
    size_t count;
    struct seal seal;
    cover_dataset *dataset;
    s.context = context;
    ck_assert_ok(synthetic_write(&s, path));
    ck_assert_ok(file_read(context, path, 0, &bytes, &count));
    const struct source source = source_memory("forged", bytes, count);
    ck_assert_ok(seal_read(&seal, &source, DATASET_FORMAT, DATASET_MAJOR));
    struct dataset_directory sound, head;
    ck_assert_ok(dataset_directory_decode(&sound, bytes + seal.begin, seal.bytes, count, "forged"));
    for (size_t i = 0; i < sizeof head_lies / sizeof *head_lies; i++) {
        head = sound;
        head_lies[i].lie(&head);
        dataset_directory_encode(bytes + seal.begin, &head);
        sha256(bytes + seal.begin, seal.bytes, seal.hash);
        seal_encode(bytes, &seal);
        write_bytes(bytes, count);
        ck_assert_fails(cover_dataset_open(&dataset, context, path), COVER_ERROR_FORMAT, path, head_lies[i].text);
    }
    dataset_directory_encode(bytes + seal.begin, &sound);
    const struct {
        uint64_t begin, bytes, file_bytes;
        const char *text;
    } seals[] = {{SEAL_BYTES - 1, 1, count, "its seal names bytes outside the file"},
                 {count + 1, 0, count, "its seal names bytes outside the file"},
                 {count - 8, 9, count, "its seal names bytes outside the file"},
                 {seal.begin, 9, count, "fewer than a head takes"},
                 {seal.begin, seal.bytes, count - 1, "longer than it was written"},
                 {seal.begin, seal.bytes, count + 1, "truncated"}};
    for (size_t i = 0; i < sizeof seals / sizeof *seals; i++) {
        seal.begin = seals[i].begin, seal.bytes = seals[i].bytes, seal.file_bytes = seals[i].file_bytes;
        if (seal.begin < count) sha256(bytes + seal.begin, seal.bytes < count - seal.begin ? seal.bytes : 0, seal.hash);
        seal_encode(bytes, &seal);
        write_bytes(bytes, count);
        ck_assert_fails(cover_dataset_open(&dataset, context, path), COVER_ERROR_FORMAT, path, seals[i].text);
    }
    memory_free(context, bytes);
}
END_TEST

START_TEST(other_files_are_not_datasets) {
    write_bytes("", 0);
    ck_assert_int_eq(read_all(), COVER_ERROR_FORMAT);
    static char text[4096] = "name,patient\n";
    write_bytes(text, sizeof text);
    ck_assert_int_eq(read_all(), COVER_ERROR_FORMAT);
    unlink(path);
    ck_assert_int_eq(read_all(), COVER_ERROR_IO);
    cover_dataset *dataset;
    ck_assert_int_eq(cover_dataset_open(&dataset, context, folder), COVER_ERROR_IO);
    ck_assert_int_eq(cover_dataset_open(&dataset, context, NULL), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_dataset_open(NULL, context, path), COVER_ERROR_ARGUMENT);
    cover_dataset_destroy(NULL);
}
END_TEST

/* libhdf5 1.10 crashes at exit when a file could not be flushed: the child that Check runs this in must live. */
START_TEST(a_disk_that_fills_up_is_an_error_wherever_it_happens) {
    struct synthetic s = {.samples = 30, .dims = 2, .channels = 1, .sizes = 3, .labels = true, .mixed = true};
    struct rlimit limit;
    s.context = context;
    ck_assert_ok(synthetic_write(&s, path));
    const off_t whole = lseek(open(path, O_RDONLY), 0, SEEK_END);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    for (off_t room = 0; room < whole; room += room < 4096 ? 128 : 1021) {
        limit.rlim_cur = (rlim_t)room;
        setrlimit(RLIMIT_FSIZE, &limit);
        ck_assert_int_eq(synthetic_write(&s, path), COVER_ERROR_IO);
        ck_assert_ptr_nonnull(strstr(cover_error_text(), "File too large"));
    }
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
    ck_assert_ok(synthetic_write(&s, path));
    ck_assert_ok(read_all());
}
END_TEST

START_TEST(many_samples_open_as_fast_as_few) {
    struct synthetic s = {.samples = 9000, .dims = 2, .channels = 1, .sizes = 2};
    cover_dataset *dataset;
    s.context = context;
    ck_assert_ok(synthetic_write(&s, path));
    double begin = seconds_now();
    ck_assert_ok(cover_dataset_open(&dataset, context, path));
    const double seconds = seconds_now() - begin;
    same_sample(dataset, &s, 8999);
    same_sample(dataset, &s, 4321);
    cover_dataset_destroy(dataset);
    ck_assert_msg(seconds < 0.05, "opening took %g s", seconds);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("dataset");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 120);
    tcase_add_loop_test(all, every_dtype_and_dimension_survives_the_round_trip, 0, sizeof kinds / sizeof *kinds);
    ADD(all, a_directory_or_a_seal_that_lies_is_refused_with_its_reason);
    ADD(all, floats_for_training_are_the_packed_values);
    ADD(all, names_of_samples_live_as_long_as_the_dataset);
    ADD(all, several_threads_read_at_once);
    ADD(all, equal_samples_give_equal_bytes_and_hashes);
    ADD(all, libhdf5_sees_an_array_for_each_size_and_dtype);
    ADD(all, a_truncated_file_is_an_error_at_every_length);
    ADD(all, a_flipped_byte_is_noticed_or_harmless);
    tcase_add_loop_test(all, a_lying_row_is_refused_before_memory_is_asked_for, 0, sizeof lies / sizeof *lies);
    ADD(all, other_files_are_not_datasets);
    ADD(all, a_disk_that_fills_up_is_an_error_wherever_it_happens);
    ADD(all, many_samples_open_as_fast_as_few);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
