/* De-identification (P4): the table, other identifiers and dates, objects in every form of a data set, refusals, and files that are complete
 * or absent. */
#include "../../fixture.h"

#include "core/base/files.h"
#include "faults/fault.h"
#include "io/dicom/confidentiality.h"
#include "io/dicom/pseudonym.h"
#include "io/dicom/set.h"

#include <dirent.h>
#include <ftw.h>
#include <libcover/dicom.h>
#include <sys/stat.h>
#include <unistd.h>

static const char secret[] = "0123456789abcdef";

static const char *at(const char *name) {
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof *paths, "%s/%s", folder, name);
    return path;
}

static void setup(void) {
    with_folder();
    ck_assert_ok(file_replace(context, at("key"), secret, 16));
}
static void teardown(void) {
    fault_set("", NULL, NULL, 0, 0);
    without_folder();
}

static cover_deidentify_options options_of(const char *dates, const char *retain) {
    cover_deidentify_options options = COVER_DEIDENTIFY_OPTIONS_INIT;
    static char key[512];
    snprintf(key, sizeof key, "%s", at("key"));
    options.key = key, options.dates = dates, options.retain = retain;
    return options;
}

/* ---- the table */

static const struct confidential_choice nothing;

static enum confidential_action action_of(uint32_t tag) {
    const char *vr;
    return dicom_confidential(tag, &nothing, &vr);
}

START_TEST(tables_ascend_and_no_attribute_stands_twice) {
    uint32_t last = 0;
    int rows = 0;
#define ROW(tag, vr, action, options, name)                                                                                        \
    ck_assert_uint_gt(tag, last);                                                                                                  \
    ck_assert_uint_eq(strlen(options), 10);                                                                                        \
    last = tag, rows++;
#define MASK(tag, mask, action, name) last = 0;
#define MORE(tag, vr, action, options, name)                                                                                       \
    ck_assert_uint_gt(tag, last);                                                                                                  \
    last = tag;
#include "io/dicom/confidentiality.def"
#undef ROW
#undef MASK
#undef MORE
    ck_assert_int_eq(rows, 652);
    last = 0;
#define VALUES(first, end)                                                                                                         \
    ck_assert_uint_gt(first, last);                                                                                                \
    for (uint32_t tag = first; tag <= (end); tag++) ck_assert_int_eq(action_of(tag), CONFIDENTIAL_VALUE);                          \
    last = end;
#define SEQUENCES(first, end) last = 0;
#include "io/dicom/retained.def"
#undef VALUES
#undef SEQUENCES
    last = 0;
#define VALUES(first, end)
#define SEQUENCES(first, end)                                                                                                      \
    ck_assert_uint_gt(first, last);                                                                                                \
    for (uint32_t tag = first; tag <= (end); tag++) ck_assert_int_eq(action_of(tag), CONFIDENTIAL_ITEMS);                          \
    last = end;
#include "io/dicom/retained.def"
#undef VALUES
#undef SEQUENCES
}
END_TEST

START_TEST(what_the_table_says_is_done_and_what_nobody_knows_goes) {
    static const struct {
        uint32_t tag;
        enum confidential_action action;
    } known[] = {
        {0x00080018, CONFIDENTIAL_UID},   {0x00100010, CONFIDENTIAL_EMPTY}, {0x00101010, CONFIDENTIAL_GOES},
        {0x00080060, CONFIDENTIAL_VALUE}, {0x00089215, CONFIDENTIAL_ITEMS}, {0x00081140, CONFIDENTIAL_ITEMS},
        {0x00091001, CONFIDENTIAL_GOES},  {0x00080003, CONFIDENTIAL_GOES},  {0x60003000, CONFIDENTIAL_GOES},
        {0x60020010, CONFIDENTIAL_GOES},  {0x50000005, CONFIDENTIAL_GOES},  {0x00080000, CONFIDENTIAL_GOES},
        {0x00100033, CONFIDENTIAL_GOES},  {0x7fe00010, CONFIDENTIAL_VALUE}, {0xfffcfffc, CONFIDENTIAL_GOES},
        {0x00281053, CONFIDENTIAL_VALUE}, {0x00081167, CONFIDENTIAL_UID},   {0x00080023, CONFIDENTIAL_DUMMY},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        ck_assert_msg(action_of(known[i].tag) == known[i].action, "%08x", known[i].tag);
    const char *vr;
    const struct confidential_choice patient = {.patient = true}, shift = {.shifted_dates = true}, uids = {.uids = true},
                                     full = {.full_dates = true};
    ck_assert_int_eq(dicom_confidential(0x00101010, &patient, &vr), CONFIDENTIAL_VALUE);
    ck_assert_int_eq(dicom_confidential(0x00100010, &patient, &vr), CONFIDENTIAL_EMPTY);
    ck_assert_int_eq(dicom_confidential(0x00080020, &shift, &vr), CONFIDENTIAL_SHIFT);
    ck_assert_int_eq(dicom_confidential(0x00080030, &shift, &vr), CONFIDENTIAL_VALUE);
    ck_assert_int_eq(dicom_confidential(0x00080020, &full, &vr), CONFIDENTIAL_VALUE);
    ck_assert_int_eq(dicom_confidential(0x00100030, &full, &vr), CONFIDENTIAL_EMPTY); /* birth dates stay for no option */
    ck_assert_int_eq(dicom_confidential(0x00080018, &uids, &vr), CONFIDENTIAL_VALUE);
}
END_TEST

START_TEST(identifiers_and_dates_are_functions_of_the_key) {
    struct pseudonym_key key;
    char uid[UID_BYTES], one[PSEUDONYM_CODE], other[PSEUDONYM_CODE], date[] = "20000301", leap[] = "20200229133000.5";
    ck_assert_ok(pseudonym_key_read(&key, context, at("key")));
    pseudonym_uid(uid, &key, "1.2.3", 5); /* as another implementation of HMAC has it */
    ck_assert_str_eq(uid, "2.25.265779070829976584900983529690321202196");
    pseudonym_code(one, &key, "a", 1);
    pseudonym_code(other, &key, "b", 1);
    ck_assert_str_ne(one, other);
    for (char patient = 'a'; patient < 'z'; patient++) {
        const int days = pseudonym_days(&key, &patient, 1);
        ck_assert(days >= 1 && days <= 3650);
        ck_assert_int_eq(days, pseudonym_days(&key, &patient, 1));
    }
    ck_assert(date_shift(date, 8, 1));
    ck_assert_str_eq(date, "20000229");
    ck_assert(date_shift(date, 8, 366));
    ck_assert_str_eq(date, "19990228");
    ck_assert(date_shift(leap, strlen(leap), 365));
    ck_assert_str_eq(leap, "20190301133000.5");
    static const char *const wrong[] = {"20190229", "2019.01.", "20191301", "2019010", "00010101"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[16];
        strcpy(text, wrong[i]);
        ck_assert_msg(!date_shift(text, strlen(text), 3000), "%s", wrong[i]);
        ck_assert_str_eq(text, wrong[i]);
    }
    pseudonym_key_free(&key, context);
}
END_TEST

/* ---- objects of our own */

enum form { EXPLICIT, IMPLICIT, BIG, FORMS };
struct object {
    uint8_t bytes[1 << 13];
    size_t count;
    enum form form;
};

static void put_number(struct object *object, uint32_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        object->bytes[object->count++] = (uint8_t)(value >> 8 * (object->form == BIG ? bytes - 1 - i : i));
}
static void put_head(struct object *object, uint32_t tag, const char *vr, uint32_t length) {
    put_number(object, tag >> 16, 2);
    put_number(object, tag & 0xffff, 2);
    if (object->form != IMPLICIT && tag >> 16 != 0xfffe) {
        const bool long_form = strstr("OB OW SQ UN UT", vr) != NULL;
        memcpy(object->bytes + object->count, vr, 2);
        object->count += 2;
        if (long_form) put_number(object, 0, 2);
        put_number(object, length, long_form ? 4 : 2);
    } else {
        put_number(object, length, 4);
    }
}
static void put_bytes(struct object *object, uint32_t tag, const char *vr, const void *value, size_t bytes) {
    put_head(object, tag, vr, (uint32_t)(bytes + bytes % 2));
    memcpy(object->bytes + object->count, value, bytes);
    if (bytes % 2) object->bytes[object->count + bytes] = memcmp(vr, "UI", 2) == 0 ? 0 : ' ';
    object->count += bytes + bytes % 2;
}
static void put(struct object *object, uint32_t tag, const char *vr, const char *text) {
    put_bytes(object, tag, vr, text, strlen(text));
}
static void put_short(struct object *object, uint32_t tag, uint16_t value) {
    put_head(object, tag, "US", 2);
    put_number(object, value, 2);
}
static void open_items(struct object *object, uint32_t tag) {
    put_head(object, tag, "SQ", 0xffffffff);
    put_head(object, 0xfffee000, "--", 0xffffffff);
}
static void close_items(struct object *object) {
    put_head(object, 0xfffee00d, "--", 0);
    put_head(object, 0xfffee0dd, "--", 0);
}

static void begin(struct object *object, enum form form) {
    static const char *const syntaxes[] = {"1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"};
    *object = (struct object){.form = EXPLICIT};
    memset(object->bytes, 'C', 128); /* a preamble that is not empty */
    memcpy(object->bytes + 128, "DICM", 4);
    object->count = 132;
    put(object, 0x00020010, "UI", syntaxes[form]);
    object->form = form;
}

/* An image with something of a person wherever there is room for it. */
static void make(struct object *object, enum form form) {
    static const uint8_t pixels[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    begin(object, form);
    put(object, 0x00080008, "CS", "ORIGINAL\\PRIMARY");
    put(object, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2");
    put(object, 0x00080018, "UI", "1.2.3.4");
    put(object, 0x00080020, "DA", "19030203");
    put(object, 0x0008002a, "DT", "19030203101112.5");
    put(object, 0x00080030, "TM", "101112");
    put(object, 0x00080060, "CS", "CT");
    put(object, 0x00080070, "LO", "Maker");
    put(object, 0x00080080, "LO", "CANARY hospital");
    open_items(object, 0x00081140); /* Referenced Image: stays, with other UIDs, and without what is in it beside them */
    put(object, 0x00081150, "UI", "1.2.840.10008.5.1.4.1.1.2");
    put(object, 0x00081155, "UI", "1.2.3.5");
    put(object, 0x00100010, "PN", "CANARY");
    put(object, 0x00111001, "LO", "CANARY");
    close_items(object);
    put(object, 0x00090010, "LO", "CANARY");
    put(object, 0x00091001, "LO", "CANARY");
    put(object, 0x00100010, "PN", "CANARY^NAME");
    put(object, 0x00100020, "LO", "CANARY7");
    put(object, 0x00101010, "AS", "044Y");
    put(object, 0x00181000, "LO", "SERIAL9");
    put(object, 0x00189999, "LO", "CANARY"); /* there is no such attribute */
    put(object, 0x0020000d, "UI", "1.2.3");
    put(object, 0x0020000e, "UI", "1.2.3.9");
    put(object, 0x00200052, "UI", "1.2.840.10008.1.4.1.1");
    put_short(object, 0x00280002, 1);
    put(object, 0x00280004, "CS", "MONOCHROME2");
    put_short(object, 0x00280010, 2);
    put_short(object, 0x00280011, 2);
    put_short(object, 0x00280100, 16);
    put_short(object, 0x00280101, 16);
    put_short(object, 0x00280102, 15);
    put_short(object, 0x00280103, 0);
    put(object, 0x00281052, "DS", "0");
    put(object, 0x50003000, "OW", "CANARY");
    put(object, 0x60003000, "OW", "CANARY");
    put_bytes(object, 0x7fe00010, "OW", pixels, sizeof pixels);
    put(object, 0xfffcfffc, "OB", "CANARY");
}

static void save(const struct object *object, const char *path) {
    ck_assert_ok(file_replace(context, path, object->bytes, object->count));
}

static char *found; /* the only file below a folder */
static int files_found;
static int note_file(const char *path, const struct stat *about, int kind, struct FTW *where) {
    (void)about, (void)where;
    if (kind == FTW_F) free(found), found = strdup(path), files_found++;
    return 0;
}
static int count_files(const char *path) {
    files_found = 0;
    nftw(path, note_file, 16, FTW_PHYS);
    return files_found;
}

/* The one object of a set. */
static cover_dicom *read_one(const char *path) {
    cover_dicom *set;
    ck_assert_ok(cover_dicom_create(&set, context, NULL));
    ck_assert_ok(cover_dicom_add_path(set, path));
    ck_assert_int_eq(set->count, 1);
    return set;
}

static const char *text_of(const cover_dicom *set, uint32_t tag) {
    static char texts[4][128];
    static int next;
    char *text = texts[next++ % 4];
    const struct dicom_tree *tree = &set->objects[0]->tree;
    dicom_text(tree, dicom_find(tree, NULL, tag), text, 128);
    return text;
}
static bool has(const cover_dicom *set, uint32_t tag) { return dicom_find(&set->objects[0]->tree, NULL, tag) != NULL; }

/* De-identifies IN/a.dcm and reads what came of it. */
static cover_dicom *deidentified(const struct object *object, const cover_deidentify_options *options, const char *out) {
    ck_assert_ok(folder_create(at("in")));
    save(object, at("in/a.dcm"));
    ck_assert_ok(cover_dicom_deidentify(NULL, context, at("in"), at(out), options));
    ck_assert_int_eq(count_files(at(out)), 1);
    return read_one(found);
}

START_TEST(nothing_of_a_person_is_left_in_any_form_of_a_data_set) {
    for (int form = 0; form < FORMS; form++) {
        static struct object object;
        const cover_deidentify_options options = options_of(NULL, NULL);
        char out[16];
        uint8_t *bytes;
        size_t count;
        struct stat about;
        make(&object, (enum form)form);
        snprintf(out, sizeof out, "out%d", form);
        cover_dicom *set = deidentified(&object, &options, out);
        ck_assert_ok(file_read(context, found, 0, &bytes, &count));
        ck_assert_ptr_null(memmem(bytes, count, "CANARY", 6));
        ck_assert_ptr_null(memmem(bytes, count, "19030203", 8));
        ck_assert_ptr_null(memmem(bytes, count, "SERIAL9", 7));
        for (int i = 0; i < 128; i++) ck_assert_uint_eq(bytes[i], 0);
        ck_assert_uint_eq(count % 2, 0);
        ck_assert_int_eq(stat(found, &about), 0);
        ck_assert_uint_eq(about.st_mode & 0777, 0600);
        memory_free(context, bytes);
        ck_assert_int_eq(set->objects[0]->tree.implicit, form == IMPLICIT);
        ck_assert_int_eq(set->objects[0]->tree.big_endian, form == BIG);
        ck_assert_str_eq(text_of(set, 0x00120062), "YES");
        ck_assert_str_eq(text_of(set, 0x00280303), "REMOVED");
        ck_assert_str_eq(text_of(set, 0x00080020), "");
        ck_assert_str_eq(text_of(set, 0x0008002a), "19000101000000");
        ck_assert_str_eq(text_of(set, 0x00080070), "Maker");
        ck_assert_str_eq(text_of(set, 0x00200052), "1.2.840.10008.1.4.1.1"); /* the standard's own */
        ck_assert_str_eq(text_of(set, 0x0020000d), "2.25.265779070829976584900983529690321202196");
        ck_assert_uint_eq(strlen(text_of(set, 0x00100020)), 16);
        ck_assert_str_eq(text_of(set, 0x00100010), text_of(set, 0x00100020));
        static const uint32_t gone[] = {0x00090010, 0x00091001, 0x00101010, 0x00189999, 0x50003000, 0x60003000, 0xfffcfffc};
        for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) ck_assert_msg(!has(set, gone[i]), "%08x", gone[i]);
        const struct dicom_tree *tree = &set->objects[0]->tree;
        const struct dicom_node *item = dicom_first(tree, dicom_find(tree, NULL, 0x00081140));
        char uid[65];
        dicom_text(tree, dicom_find(tree, item, 0x00081155), uid, sizeof uid);
        ck_assert_int_eq(strncmp(uid, "2.25.", 5), 0);
        ck_assert_ptr_nonnull(dicom_find(tree, item, 0x00081150));
        ck_assert_ptr_null(dicom_find(tree, item, 0x00111001));
        cover_dicom_destroy(set);
    }
}
END_TEST

START_TEST(sequences_that_are_none_and_texts_in_the_place_of_sequences_are_emptied) {
    static struct object object;
    const cover_deidentify_options options = options_of(NULL, NULL);
    uint8_t *bytes;
    size_t count;
    begin(&object, IMPLICIT);
    put(&object, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.66");
    put(&object, 0x00080018, "UI", "1.2.3.4");
    put(&object, 0x00081140, "SQ", "CANARY in a damaged sequence"); /* to be kept as a sequence */
    put(&object, 0x00089215, "SQ", "CANARY in another");
    put(&object, 0x00120064, "SQ", "CANARY"); /* is replaced */
    open_items(&object, 0x00180015);          /* Body Part Examined, which is a value */
    put(&object, 0x00080070, "LO", "CANARY");
    close_items(&object);
    put(&object, 0x0020000d, "UI", "1.2.3");
    put(&object, 0x0020000e, "UI", "1.2.3.9");
    cover_dicom *set = deidentified(&object, &options, "out");
    ck_assert_ok(file_read(context, found, 0, &bytes, &count));
    ck_assert_ptr_null(memmem(bytes, count, "CANARY", 6));
    ck_assert(has(set, 0x00081140) && has(set, 0x00089215) && !has(set, 0x00180015));
    memory_free(context, bytes);
    cover_dicom_destroy(set);
}
END_TEST

START_TEST(options_keep_what_they_say_and_are_named_in_the_object) {
    static const struct {
        const char *dates, *retain, *codes; /* as they are in the object */
    } cases[] = {
        {NULL, NULL, "113100"},
        {"shift", NULL, "113100 113107"},
        {"keep", "patient,device", "113100 113106 113108 113109"},
        {"remove", "uids,institution", "113100 113110 113112"},
    };
    static struct object object;
    make(&object, EXPLICIT);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const cover_deidentify_options options = options_of(cases[i].dates, cases[i].retain);
        char out[16], codes[128] = "";
        snprintf(out, sizeof out, "out%d", (int)i);
        cover_dicom *set = deidentified(&object, &options, out);
        const struct dicom_tree *tree = &set->objects[0]->tree;
        const struct dicom_node *methods = dicom_find(tree, NULL, 0x00120064);
        for (const struct dicom_node *item = dicom_first(tree, methods); item; item = dicom_next(tree, methods, item)) {
            char code[17];
            dicom_text(tree, dicom_find(tree, item, 0x00080100), code, sizeof code);
            snprintf(codes + strlen(codes), sizeof codes - strlen(codes), "%s%s", *codes ? " " : "", code);
        }
        ck_assert_str_eq(codes, cases[i].codes);
        const bool shift = strstr(codes, "113107"), keep = strstr(codes, "113106");
        ck_assert_str_eq(text_of(set, 0x00280303), shift ? "MODIFIED" : keep ? "UNMODIFIED" : "REMOVED");
        const char *date = text_of(set, 0x00080020);
        if (keep) ck_assert_str_eq(date, "19030203");
        else if (shift) ck_assert(strlen(date) == 8 && strcmp(date, "19030203") < 0);
        else ck_assert_str_eq(date, "");
        if (shift) { /* the same days in each of the patient's dates, and times as they were */
            ck_assert_int_eq(strncmp(text_of(set, 0x0008002a), date, 8), 0);
            ck_assert_str_eq(text_of(set, 0x0008002a) + 8, "101112.5");
            ck_assert_str_eq(text_of(set, 0x00080030), "101112");
        }
        ck_assert_str_eq(text_of(set, 0x00101010), strstr(codes, "113108") ? "044Y" : "");
        ck_assert_str_eq(text_of(set, 0x00181000), strstr(codes, "113109") ? "SERIAL9"
                                                   : i == 0                ? "REMOVED"
                                                                           : text_of(set, 0x00181000));
        ck_assert_str_eq(text_of(set, 0x00080018), strstr(codes, "113110") ? "1.2.3.4" : text_of(set, 0x00080018));
        ck_assert_str_eq(text_of(set, 0x00080080), strstr(codes, "113112") ? "CANARY hospital" : "REMOVED");
        cover_dicom_destroy(set);
    }
}
END_TEST

/* ---- series in every transfer syntax */

static uint64_t sums_of(const char *path, int *count) {
    cover_dicom *set;
    uint64_t sum = 0;
    ck_assert_ok(cover_dicom_create(&set, context, NULL));
    ck_assert_ok(cover_dicom_add_path(set, path));
    ck_assert_ok(cover_dicom_volumes(set, count));
    for (int i = 0; i < *count; i++) {
        cover_tensor *image;
        double spacing[3], affine[12];
        if (cover_dicom_read(set, i, &image, spacing, affine) != COVER_OK) continue;
        size_t bytes = cover_dtype_bytes(cover_tensor_dtype(image));
        for (int d = 0; d < cover_tensor_rank(image); d++) bytes *= (size_t)cover_tensor_shape(image)[d];
        const uint8_t *data = cover_tensor_data_const(image);
        uint64_t own = 1469598103934665603u;
        for (size_t k = 0; k < bytes; k++) own = (own ^ data[k]) * 1099511628211u;
        for (size_t k = 0; k < sizeof affine; k++) own = (own ^ ((uint8_t *)affine)[k]) * 1099511628211u;
        sum += own; /* in whatever order */
        cover_tensor_destroy(image);
    }
    cover_dicom_destroy(set);
    return sum;
}

START_TEST(every_series_is_the_same_volume_in_the_same_syntax) {
    static const char *const series[] = {"ct",         "ct_implicit",   "ct_bigendian", "ct_deflated",     "ct_rle",
                                         "ct_jpegll",  "ct_two_phases", "enhanced_ct",  "enhanced_ct_rle", "cr_monochrome1",
                                         "mr_signed12"};
    for (size_t i = 0; i < sizeof series / sizeof *series; i++) {
        char in[1024], out[64];
        int before, after;
        cover_deidentify_options options = options_of(NULL, NULL);
        snprintf(in, sizeof in, "%s/series/%s", CASES, series[i]);
        snprintf(out, sizeof out, "out-%s", series[i]);
        ck_assert_ok(cover_dicom_deidentify(NULL, context, in, at(out), &options));
        const uint64_t sum = sums_of(in, &before);
        ck_assert_msg(sums_of(at(out), &after) == sum && sum != 0, "%s", series[i]);
        ck_assert_int_eq(before, after);
    }
}
END_TEST

START_TEST(the_same_key_gives_the_same_bytes_in_the_same_place_in_any_call) {
    char in[1024], command[2048];
    const cover_deidentify_options options = options_of("shift", NULL);
    snprintf(in, sizeof in, "%s/series/ct", CASES);
    ck_assert_ok(cover_dicom_deidentify(NULL, context, in, at("one"), &options));
    ck_assert_ok(cover_dicom_deidentify(NULL, context, in, at("one"), &options)); /* into the same folder */
    ck_assert_ok(cover_dicom_deidentify(NULL, context, in, at("other"), &options));
    ck_assert_int_eq(count_files(at("one")), 24);
    snprintf(command, sizeof command, "diff -r '%s' '%s'", at("one"), at("other"));
    ck_assert_int_eq(system(command), 0);
}
END_TEST

/* ---- refusals */

START_TEST(what_may_show_a_name_is_refused_and_nothing_is_written) {
    static const char *const refused[] = {"1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.6.1",
                                          "1.2.840.10008.5.1.4.1.1.88.33"};
    static struct object object;
    cover_deidentify_options options = options_of(NULL, NULL);
    char *summary;
    ck_assert_ok(folder_create(at("in")));
    make(&object, EXPLICIT);
    save(&object, at("in/good.dcm"));
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        begin(&object, EXPLICIT);
        put(&object, 0x00080016, "UI", refused[i]);
        put(&object, 0x00080018, "UI", "1.2.3.4.5");
        put(&object, 0x00080060, "CS", i == 2 ? "SR" : "OT");
        put(&object, 0x0020000d, "UI", "1.2.3");
        put(&object, 0x0020000e, "UI", "1.2.3.9");
        save(&object, at("in/bad.dcm"));
        ck_assert_fails(cover_dicom_deidentify(NULL, context, at("in"), at("out"), &options), COVER_ERROR_FORMAT,
                        "option skip_bad");
        ck_assert(!folder_exists(at("out")));
        ck_assert_ptr_null(strstr(cover_error_text(), "good.dcm"));
    }
    options.skip_bad = 1;
    ck_assert_ok(cover_dicom_deidentify(&summary, context, at("in"), at("out"), &options));
    ck_assert_ptr_nonnull(strstr(summary, "\"written\": 1"));
    ck_assert_ptr_nonnull(strstr(summary, "a structured report"));
    ck_assert_int_eq(count_files(at("out")), 1);
    cover_text_release(context, summary);
}
END_TEST

START_TEST(burned_in_annotation_is_refused_unless_it_is_accepted) {
    static struct object object;
    cover_deidentify_options options = options_of(NULL, NULL);
    begin(&object, EXPLICIT);
    put(&object, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.66");
    put(&object, 0x00080018, "UI", "1.2.3.4.5");
    put(&object, 0x0020000d, "UI", "1.2.3");
    put(&object, 0x0020000e, "UI", "1.2.3.9");
    put(&object, 0x00280301, "CS", "YES");
    save(&object, at("a.dcm"));
    ck_assert_fails(cover_dicom_deidentify(NULL, context, at("a.dcm"), at("out"), &options), COVER_ERROR_FORMAT,
                    "Burned In Annotation (0028,0301) is YES", "option accept_burned_in");
    options.accept_burned_in = 1;
    ck_assert_ok(cover_dicom_deidentify(NULL, context, at("a.dcm"), at("out"), &options));
}
END_TEST

START_TEST(keys_and_places_that_would_give_it_away_are_refused) {
    static struct object object;
    cover_deidentify_options options = options_of(NULL, NULL);
    make(&object, EXPLICIT);
    ck_assert_ok(folder_create(at("in")));
    save(&object, at("in/a.dcm"));
    const struct {
        const char *key, *output, *text;
        cover_status status;
    } cases[] = {
        {NULL, "out", "key", COVER_ERROR_ARGUMENT},         {"none", "out", "none", COVER_ERROR_IO},
        {"short", "out", "15 bytes", COVER_ERROR_ARGUMENT}, {"key", "in", "lies in", COVER_ERROR_ARGUMENT},
        {"key", "in/a/b", "lies in", COVER_ERROR_ARGUMENT}, {"key", ".", "the key would go", COVER_ERROR_ARGUMENT},
    };
    ck_assert_ok(file_replace(context, at("short"), "0123456789abcde", 15));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        options.key = cases[i].key ? at(cases[i].key) : NULL;
        ck_assert_fails(cover_dicom_deidentify(NULL, context, at("in"), at(cases[i].output), &options), cases[i].status,
                        cases[i].text);
    }
    ck_assert_int_eq(count_files(at("in")), 1);
    options = options_of("sometimes", NULL);
    ck_assert_fails(cover_dicom_deidentify(NULL, context, at("in"), at("out"), &options), COVER_ERROR_ARGUMENT, "dates", "shift");
    options = options_of(NULL, "patient,names");
    ck_assert_fails(cover_dicom_deidentify(NULL, context, at("in"), at("out"), &options), COVER_ERROR_ARGUMENT, "retain", "device");
    options = options_of(NULL, NULL);
    ck_assert_fails(cover_dicom_deidentify(NULL, context, at("nowhere"), at("out"), &options), COVER_ERROR_IO, "nowhere");
    ck_assert_ok(folder_create(at("empty")));
    ck_assert_fails(cover_dicom_deidentify(NULL, context, at("empty"), at("out"), &options), COVER_ERROR_FORMAT, "no DICOM object");
    ck_assert_fails(cover_dicom_deidentify(NULL, context, at("in"), at("out"), NULL), COVER_ERROR_ARGUMENT, "NULL");
}
END_TEST

START_TEST(two_objects_of_one_uid_are_one_or_are_refused) {
    static struct object object;
    const cover_deidentify_options options = options_of(NULL, NULL);
    char *summary;
    make(&object, EXPLICIT);
    ck_assert_ok(folder_create(at("in")));
    save(&object, at("in/a.dcm"));
    save(&object, at("in/b.dcm"));
    ck_assert_ok(cover_dicom_deidentify(&summary, context, at("in"), at("out"), &options));
    ck_assert_ptr_nonnull(strstr(summary, "\"written\": 1"));
    ck_assert_ptr_nonnull(strstr(summary, "\"duplicates\": 1"));
    cover_text_release(context, summary);
    object.bytes[0] = 'x'; /* the preamble is no part of it */
    save(&object, at("in/b.dcm"));
    ck_assert_ok(cover_dicom_deidentify(NULL, context, at("in"), at("out"), &options));
    object.bytes[object.count - 1] ^= 1;
    save(&object, at("in/b.dcm"));
    ck_assert_fails(cover_dicom_deidentify(NULL, context, at("in"), at("out"), &options), COVER_ERROR_FORMAT,
                    "image 1 and image 2");
    cover_deidentify_options skip = options;
    skip.skip_bad = 1;
    object.bytes[0] = 'y'; /* a third, of another UID: it alone is left */
    memcpy(memmem(object.bytes, object.count, "1.2.3.4", 7), "1.2.3.6", 7);
    save(&object, at("in/c.dcm"));
    ck_assert_ok(cover_dicom_deidentify(&summary, context, at("in"), at("rest"), &skip));
    ck_assert_ptr_nonnull(strstr(summary, "\"written\": 1"));
    ck_assert_ptr_nonnull(strstr(summary, "image 1 and image 2"));
    cover_text_release(context, summary);
}
END_TEST

START_TEST(a_write_that_fails_leaves_nothing_and_says_no_uid) {
    static const char *const calls[] = {"write", "fsync", "rename"}, *const reasons[] = {"EIO", "ENOSPC"};
    static struct object object;
    const cover_deidentify_options options = options_of(NULL, NULL);
    make(&object, EXPLICIT);
    save(&object, at("a.dcm"));
    for (int c = 0; c < 3; c++)
        for (int r = 0; r < 2; r++) {
            fault_set(calls[c], "out/", reasons[r], 1, 1);
            ck_assert_fails(cover_dicom_deidentify(NULL, context, at("a.dcm"), at("out"), &options), COVER_ERROR_IO, "image 1");
            ck_assert_ptr_null(strstr(cover_error_text(), "2.25."));
            fault_set("", NULL, NULL, 0, 0);
            ck_assert_int_eq(count_files(at("out")), 0);
        }
}
END_TEST

/* An allocator that refuses one request. */
static long left;
static void *refuse_one(void *user, size_t bytes, size_t alignment) {
    (void)user;
    if (--left == 0) return NULL;
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}
static void give_back(void *user, void *memory) {
    (void)user;
    free(memory);
}

START_TEST(each_allocation_that_is_refused_is_an_error_and_leaves_nothing) {
    static struct object object;
    cover_deidentify_options options = options_of("shift", "patient");
    char audit[512];
    snprintf(audit, sizeof audit, "%s", at("audit.jsonl"));
    options.audit = audit;
    make(&object, EXPLICIT);
    save(&object, at("a.dcm"));
    bool done = false;
    for (long n = 1; !done && n < 4000; n++) {
        static const cover_allocator allocator = {refuse_one, give_back, NULL};
        cover_context_options with = COVER_CONTEXT_OPTIONS_INIT;
        cover_context *own;
        with.allocator = &allocator;
        with.threads = 1;
        left = 0;
        ck_assert_ok(cover_context_create(&own, &with));
        left = n;
        const cover_status status = cover_dicom_deidentify(NULL, own, at("a.dcm"), at("out"), &options);
        done = left > 0;
        ck_assert_msg(done ? status == COVER_OK : status != COVER_OK, "%ld: %s", n, cover_error_text());
        left = 0;
        cover_context_destroy(own);
    }
    ck_assert(done);
    ck_assert_int_eq(count_files(at("out")), 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("deidentify");
    TCase *tcase = tcase_create("deidentify");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    ADD(tcase, tables_ascend_and_no_attribute_stands_twice);
    ADD(tcase, what_the_table_says_is_done_and_what_nobody_knows_goes);
    ADD(tcase, identifiers_and_dates_are_functions_of_the_key);
    ADD(tcase, nothing_of_a_person_is_left_in_any_form_of_a_data_set);
    ADD(tcase, sequences_that_are_none_and_texts_in_the_place_of_sequences_are_emptied);
    ADD(tcase, options_keep_what_they_say_and_are_named_in_the_object);
    ADD(tcase, every_series_is_the_same_volume_in_the_same_syntax);
    ADD(tcase, the_same_key_gives_the_same_bytes_in_the_same_place_in_any_call);
    ADD(tcase, what_may_show_a_name_is_refused_and_nothing_is_written);
    ADD(tcase, burned_in_annotation_is_refused_unless_it_is_accepted);
    ADD(tcase, keys_and_places_that_would_give_it_away_are_refused);
    ADD(tcase, two_objects_of_one_uid_are_one_or_are_refused);
    ADD(tcase, a_write_that_fails_leaves_nothing_and_says_no_uid);
    ADD(tcase, each_allocation_that_is_refused_is_an_error_and_leaves_nothing);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
