/* DICOM Segmentations, written and read: places of voxels in all orders of axes (R40), frames and bits (R41, R42), images (R43), codes
 * (R44), other types (R45), identifiers (R35), labels of others (R48); and the writer of data sets (R36). */
#include "io/dicom/audit.h"
#include "made.h"

/* A label for each place in the patient: whatever the order of axes, equal places have equal labels. */
static int label_at(const double place[3]) {
    double sum = 0;
    for (int k = 0; k < 3; k++) sum += (k + 1) * floor(place[k] / 1.1 + 40.5);
    const int kind = (int)sum % 7;
    return kind < 4 ? kind : 0;
}
static void fill_labels(uint8_t labels[VOXELS], const struct pose *pose) {
    for (int i = 0; i < VOXELS; i++) {
        double place[3];
        place_of(pose, i / PLANE, i % PLANE / COLUMNS, i % COLUMNS, place);
        labels[i] = (uint8_t)label_at(place);
    }
}

static void write_seg(struct bytes_made *made, const cover_dicom *set, const cover_tensor *label,
                      const cover_seg_options *options) {
    made->count = 0;
    ck_assert_ok(cover_dicom_write_seg(set, 0, label, options, take_bytes, made));
}

/* Every pixel of every frame, by the position and orientation that the object itself says (R40). */
static void check_places(const struct bytes_made *made, bool map) {
    struct dicom_object object;
    struct dicom_work work = {.context = context};
    int marked = 0;
    parse_made(&object, made);
    for (int f = 0; f < object.frames; f++) {
        struct dicom_frame frame = {.object = &object, .frame = f};
        struct dicom_stored stored;
        uint16_t segment = 0;
        bool present;
        ck_assert_ok(dicom_place(&frame));
        ck_assert(frame.placed);
        ck_assert_ok(dicom_frame_stored(&stored, &work, &object, f, NULL));
        ck_assert_ok(dicom_short(&object.tree, dicom_of_frame(&object, f, TAG_SEGMENT_IDENTIFICATION, TAG_REFERENCED_SEGMENT),
                                 &segment, &present));
        ck_assert_int_eq(present, !map);
        for (int i = 0; i < PLANE; i++) {
            double place[3];
            for (int k = 0; k < 3; k++)
                place[k] = frame.position[k] + frame.column[k] * frame.spacing[0] * (i / COLUMNS) +
                           frame.row[k] * frame.spacing[1] * (i % COLUMNS);
            const int label = label_at(place);
            ck_assert_int_eq(stored.values[i], map ? label : label == segment);
            marked += stored.values[i] != 0;
        }
    }
    ck_assert_int_gt(marked, VOXELS / 5);
    dicom_work_free(&work);
    dicom_object_free(&object);
}

/* The segmentation beside its images in another set becomes the same label map. */
static void check_labels(const struct bytes_made *made, const cover_dicom *set, const uint8_t labels[VOXELS]) {
    struct dicom_object object;
    struct dicom_seg seg;
    void *read;
    cover_dtype dtype;
    parse_made(&object, made);
    ck_assert_ok(dicom_seg_open(&seg, context, &object));
    ck_assert_ok(dicom_seg_labels(&read, &dtype, &seg, set, 0));
    ck_assert_int_eq(dtype, COVER_U8);
    ck_assert_int_eq(memcmp(read, labels, VOXELS), 0);
    ck_assert_int_eq(seg.segment_count, 3);
    ck_assert_str_eq(seg.segments[0].label, "left lung");
    ck_assert_str_eq(seg.segments[1].value, "4147007");
    memory_free(context, read);
    dicom_seg_close(&seg);
    dicom_object_free(&object);
}

static void check_pose(const struct pose *pose, bool enhanced, bool map) {
    uint8_t labels[VOXELS];
    struct bytes_made made = {0};
    cover_dicom *set = new_set();
    cover_seg_options options = some_options();
    options.type = map ? "labelmap" : "binary";
    (enhanced ? add_enhanced : add_classic)(set, pose);
    end_adding(set);
    fill_labels(labels, pose);
    cover_tensor *label = view(COVER_U8, 3, DEPTH, 0, labels);
    write_seg(&made, set, label, &options);
    check_places(&made, map);
    check_labels(&made, set, labels);
    cover_tensor_destroy(label);
    cover_dicom_destroy(set);
    free(made.data);
}

START_TEST(R40_a_voxel_lies_where_it_lay_in_all_48_orders_and_in_every_form) {
    check_pose(&(struct pose[]){pose_of(_i)}[0], false, false);
    check_pose(&(struct pose[]){pose_of(_i)}[0], false, true);
    check_pose(&(struct pose[]){pose_of(_i)}[0], true, false);
    check_pose(&(struct pose[]){pose_of(_i)}[0], true, true);
}
END_TEST

START_TEST(R40_oblique_volumes_too) {
    const struct pose pose = oblique_pose();
    for (int form = 0; form < 4; form++) check_pose(&pose, form / 2, form % 2);
}
END_TEST

/* Frames of two objects, each between those of the other: they are one volume of two objects, and a result names each once. */
START_TEST(R27_frames_of_several_objects_may_lie_between_each_other) {
    const struct pose pose = pose_of(0);
    uint8_t labels[VOXELS];
    struct bytes_made made = {0};
    struct audit_job job = {0}, reversed = {0};
    struct dicom_object object;
    cover_dicom_volume_info info = COVER_DICOM_VOLUME_INFO_INIT;
    cover_dicom *set = new_set(), *other = new_set();
    cover_seg_options options = some_options();
    add_frames(set, &pose, 1, (const int[]){4, 0, 2}, 3);
    add_frames(set, &pose, 2, (const int[]){1, 3}, 2);
    end_adding(set);
    ck_assert_ok(cover_dicom_volume(set, 0, &info));
    ck_assert_int_eq(info.size[0], DEPTH);
    ck_assert_int_eq(info.images, 2);
    ck_assert_ok(audit_volume(&job, set, 0));
    ck_assert_int_eq(job.images, 2);
    add_frames(other, &pose, 2, (const int[]){1, 3}, 2);
    add_frames(other, &pose, 1, (const int[]){4, 0, 2}, 3);
    end_adding(other);
    ck_assert_ok(audit_volume(&reversed, other, 0));
    ck_assert_str_eq(job.sha256, reversed.sha256);
    ck_assert_uint_eq(job.bytes, reversed.bytes);
    fill_labels(labels, &pose);
    cover_tensor *label = view(COVER_U8, 3, DEPTH, 0, labels);
    write_seg(&made, set, label, &options);
    check_labels(&made, set, labels);
    parse_made(&object, &made);
    const struct dicom_node *series = dicom_first(&object.tree, dicom_find(&object.tree, NULL, TAG_REFERENCED_SERIES));
    const struct dicom_node *instances = dicom_find(&object.tree, series, TAG_REFERENCED_INSTANCES);
    int named = 0;
    for (const struct dicom_node *item = dicom_first(&object.tree, instances); item;
         item = dicom_next(&object.tree, instances, item))
        named++;
    ck_assert_int_eq(named, 2);
    dicom_object_free(&object);
    cover_tensor_destroy(label);
    cover_dicom_destroy(set);
    cover_dicom_destroy(other);
    free(made.data);
}
END_TEST

/* ---- frames and bits */

struct seg_case { /* a classic volume and a label map of it */
    cover_dicom *set;
    uint8_t labels[VOXELS];
    cover_tensor *label;
    cover_seg_options options;
    struct bytes_made made;
    struct dicom_object object;
};
static void begin_case(struct seg_case *at) {
    const struct pose pose = pose_of(0);
    *at = (struct seg_case){.set = new_set(), .options = some_options()};
    add_classic(at->set, &pose);
    end_adding(at->set);
    at->label = view(COVER_U8, 3, DEPTH, 0, at->labels);
}
static void write_case(struct seg_case *at) {
    dicom_object_free(&at->object);
    write_seg(&at->made, at->set, at->label, &at->options);
    parse_made(&at->object, &at->made);
}
static void end_case(struct seg_case *at) {
    dicom_object_free(&at->object);
    cover_tensor_destroy(at->label);
    cover_dicom_destroy(at->set);
    free(at->made.data);
}
static int segment_at(const struct seg_case *at, int frame) {
    uint16_t segment = 0;
    bool present;
    ck_assert_ok(dicom_short(&at->object.tree,
                             dicom_of_frame(&at->object, frame, TAG_SEGMENT_IDENTIFICATION, TAG_REFERENCED_SEGMENT), &segment,
                             &present));
    return segment;
}
static double along_at(struct seg_case *at, int frame) {
    struct dicom_frame place = {.object = &at->object, .frame = frame};
    ck_assert_ok(dicom_place(&place));
    return place.position[2];
}

START_TEST(R41_frames_stand_by_segment_then_along_the_normal_where_there_are_pixels) {
    struct seg_case at;
    begin_case(&at);
    at.labels[3 * PLANE + 4] = 2, at.labels[1 * PLANE] = 2, at.labels[2 * PLANE + 1] = 1;
    write_case(&at);
    ck_assert_int_eq(at.object.frames, 3);
    ck_assert_int_eq(segment_at(&at, 0), 1);
    ck_assert_int_eq(segment_at(&at, 1), 2);
    ck_assert_int_eq(segment_at(&at, 2), 2);
    ck_assert(along_at(&at, 1) < along_at(&at, 2));
    at.options.empty_frames = 1;
    write_case(&at);
    ck_assert_int_eq(at.object.frames, 3 * DEPTH);
    for (int f = 0; f < at.object.frames; f++) ck_assert_int_eq(segment_at(&at, f), 1 + f / DEPTH);
    at.options.type = "labelmap";
    write_case(&at);
    ck_assert_int_eq(at.object.frames, DEPTH);
    at.options.empty_frames = 0;
    write_case(&at);
    ck_assert_int_eq(at.object.frames, 3);
    end_case(&at);
}
END_TEST

START_TEST(R41_a_label_map_without_pixels_has_one_empty_frame_and_all_segments) {
    static const char *const types[] = {"binary", "labelmap"};
    for (int t = 0; t < 2; t++) {
        struct seg_case at;
        struct dicom_seg seg;
        begin_case(&at);
        at.options.type = types[t];
        write_case(&at);
        ck_assert_int_eq(at.object.frames, 1);
        ck_assert_ok(dicom_seg_open(&seg, context, &at.object));
        ck_assert_int_eq(seg.segment_count, 3);
        dicom_seg_close(&seg);
        end_case(&at);
    }
}
END_TEST

START_TEST(R42_bits_run_on_over_frames_the_lowest_first) {
    struct seg_case at;
    begin_case(&at);
    for (int d = 0; d < DEPTH; d++) at.labels[d * PLANE] = at.labels[d * PLANE + PLANE - 1] = 1;
    write_case(&at);
    const uint64_t bytes = (VOXELS + 7) / 8, even = bytes + bytes % 2;
    ck_assert_int_eq(at.object.pixels->length, even);
    const uint8_t *pixels = at.made.data + at.object.pixels->at;
    for (uint64_t i = 0; i < 8 * even; i++) {
        const bool marked = i < VOXELS && (i % PLANE == 0 || i % PLANE == PLANE - 1);
        ck_assert_int_eq(pixels[i / 8] >> i % 8 & 1, marked);
    }
    end_case(&at);
}
END_TEST

START_TEST(strides_and_16_bits_give_the_same_object) {
    struct seg_case at;
    uint16_t wide[2 * VOXELS];
    const int64_t shape[3] = {DEPTH, ROWS, COLUMNS}, strides[3] = {2 * PLANE, 2 * COLUMNS, 2};
    struct bytes_made second = {0};
    cover_tensor *label;
    begin_case(&at);
    const struct pose pose = pose_of(0);
    fill_labels(at.labels, &pose);
    write_case(&at);
    for (int i = 0; i < VOXELS; i++) wide[2 * i] = at.labels[i], wide[2 * i + 1] = 9999;
    ck_assert_ok(cover_tensor_view(&label, context, COVER_U16, 3, shape, strides, wide));
    write_seg(&second, at.set, label, &at.options);
    ck_assert_int_eq(second.count, at.made.count);
    ck_assert_int_eq(memcmp(second.data, at.made.data, second.count), 0);
    cover_tensor_destroy(label);
    free(second.data);
    end_case(&at);
}
END_TEST

/* ---- images without a place */

START_TEST(R43_an_image_has_no_frame_of_reference_and_no_planes) {
    static const char *const types[] = {"binary", "labelmap"};
    for (int form = 0; form < 4; form++) {
        const int frames = form / 2 ? 3 : 1;
        uint8_t labels[3 * PLANE] = {1, 2, 3, 0, 1};
        struct bytes_made made = {0};
        struct dicom_object object;
        cover_seg_options options = some_options();
        cover_dicom *set = new_set();
        options.type = types[form % 2];
        add_image(set, frames);
        end_adding(set);
        labels[3 * PLANE - 1] = 0, labels[frames * PLANE - 1] = 3;
        cover_tensor *label = view(COVER_U8, 3, frames, 0, labels);
        write_seg(&made, set, label, &options);
        parse_made(&object, &made);
        const struct dicom_tree *tree = &object.tree;
        ck_assert_ptr_null(dicom_find(tree, NULL, TAG_FRAME_OF_REFERENCE));
        ck_assert_ptr_null(dicom_of_frame(&object, 0, TAG_PLANE_POSITION, TAG_POSITION));
        ck_assert_ptr_null(dicom_of_frame(&object, 0, TAG_PLANE_ORIENTATION, TAG_ORIENTATION));
        ck_assert(dicom_text_is(tree, dicom_of_frame(&object, 0, TAG_PIXEL_MEASURES, TAG_PIXEL_SPACING), "0.75\\0.5"));
        for (int f = 0; f < object.frames; f++)
            ck_assert_ptr_nonnull(dicom_of_frame(&object, f, TAG_DERIVATION_IMAGES, TAG_SOURCE_IMAGES));
        dicom_object_free(&object);
        cover_tensor_destroy(label);
        cover_dicom_destroy(set);
        free(made.data);
    }
}
END_TEST

/* ---- what the object says */

static bool text_is(const struct seg_case *at, uint32_t tag, const char *text) {
    return dicom_text_is(&at->object.tree, dicom_find(&at->object.tree, NULL, tag), text);
}

START_TEST(R39_patient_and_study_are_the_sources_bytes_and_the_rest_is_ours) {
    struct seg_case at;
    begin_case(&at);
    at.labels[0] = 1;
    at.options.weights_sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    write_case(&at);
    ck_assert(text_is(&at, TAG_PATIENT_NAME, "M\xc3\xbcller^Anna"));
    ck_assert(text_is(&at, TAG_PATIENT_ID, "P 17"));
    ck_assert(text_is(&at, TAG_CHARACTER_SET, "ISO_IR 192"));
    ck_assert(text_is(&at, TAG_STUDY_DATE, "20200229"));
    ck_assert(text_is(&at, TAG_STUDY_UID, "1.2.3.1"));
    ck_assert(text_is(&at, TAG_FRAME_OF_REFERENCE, "1.2.3.3"));
    ck_assert(text_is(&at, TAG_IDENTITY_REMOVED, "YES"));
    const struct dicom_tree *tree = &at.object.tree;
    const struct dicom_node *method = dicom_first(tree, dicom_find(tree, NULL, TAG_DEIDENTIFICATION_CODES));
    ck_assert(method && dicom_text_is(tree, dicom_find(tree, method, TAG_CODE_VALUE), "113100"));
    ck_assert_ptr_nonnull(dicom_find(&at.object.tree, NULL, TAG_ACCESSION)); /* empty, as the source has none */
    ck_assert(text_is(&at, TAG_CONTENT_DATE, "20261130"));
    ck_assert(text_is(&at, TAG_CONTENT_TIME, "120000"));
    ck_assert(text_is(&at, TAG_TIMEZONE, "+0100"));
    ck_assert(text_is(&at, TAG_SERIES_NUMBER, "104"));
    ck_assert(text_is(&at, TAG_SERIES_DESCRIPTION, "lungs"));
    ck_assert(text_is(&at, TAG_SERIAL_NUMBER, "0123456789abcdef"));
    ck_assert(text_is(&at, TAG_LOSSY, "00"));
    at.options.series_number = 7, at.options.description = "caf\xc3\xa9 \\ study";
    write_case(&at);
    ck_assert(text_is(&at, TAG_SERIES_NUMBER, "7"));
    ck_assert(text_is(&at, TAG_SERIES_DESCRIPTION, "caf? / study"));
    end_case(&at);
}
END_TEST

static void ck_assert_uid(const struct seg_case *at, uint32_t tag, char uid[65], const char *prefix) {
    dicom_text(&at->object.tree, dicom_find(&at->object.tree, NULL, tag), uid, 65);
    ck_assert_msg(strncmp(uid, prefix, strlen(prefix)) == 0, "%s", uid);
    ck_assert_int_eq(strspn(uid, "0123456789."), strlen(uid));
}

START_TEST(R35_the_same_job_gives_the_same_bytes_and_another_other_identifiers) {
    struct seg_case at;
    struct bytes_made first = {0};
    char uid[65], other[65], series[65];
    begin_case(&at);
    at.labels[7] = 1;
    write_case(&at);
    ck_assert_uid(&at, TAG_SOP_INSTANCE, uid, "2.25.");
    ck_assert_uid(&at, TAG_SERIES_UID, series, "2.25.");
    take_bytes(&first, at.made.data, at.made.count);
    write_case(&at);
    ck_assert_int_eq(first.count, at.made.count);
    ck_assert_int_eq(memcmp(first.data, at.made.data, first.count), 0);
    at.labels[7] = 2; /* another result */
    write_case(&at);
    ck_assert_uid(&at, TAG_SOP_INSTANCE, other, "2.25.");
    ck_assert_str_ne(uid, other);
    ck_assert_uid(&at, TAG_SERIES_UID, other, "2.25.");
    ck_assert_str_eq(series, other);
    at.labels[7] = 1;
    at.options.time = "2026-11-30T12:00:01+01:00";
    write_case(&at);
    ck_assert_uid(&at, TAG_SOP_INSTANCE, other, "2.25.");
    ck_assert_str_ne(uid, other);
    at.options.uid_root = "1.2.826.0.1.3680043.10.1561";
    write_case(&at);
    ck_assert_uid(&at, TAG_SOP_INSTANCE, other, "1.2.826.0.1.3680043.10.1561.");
    ck_assert_int_le(strlen(other), 64);
    free(first.data);
    end_case(&at);
}
END_TEST

/* A UUID of version 8 in its decimal form: 2.25.(128 bits), the version in bits 76 to 79, the variant in the two below 64. */
START_TEST(R35_identifiers_are_uuids_of_version_8) {
    struct sha256 hash;
    sha256_begin(&hash);
    for (int i = 0; i < 200; i++) {
        char uid[UID_BYTES];
        unsigned __int128 value = 0;
        dicom_uid(uid, &hash, NULL, "test", i);
        ck_assert_int_eq(strncmp(uid, "2.25.", 5), 0);
        ck_assert(uid[5] != '0');
        for (const char *digit = uid + 5; *digit; digit++) value = value * 10 + (unsigned)(*digit - '0');
        ck_assert_int_eq((int)(value >> 76) & 15, 8);
        ck_assert_int_eq((int)(value >> 62) & 3, 2);
    }
}
END_TEST

START_TEST(what_is_no_root_is_refused) {
    static const char *const bad[] = {"", "1..2", ".1", "1.", "1.02", "3.1", "1.a", "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17"};
    static const char *const good[] = {"1", "2.25", "1.2.0.3", "1.2.826.0.1.3680043.10.1561"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_fails(dicom_check_root(bad[i]), COVER_ERROR_ARGUMENT, "uid_root");
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) ck_assert_ok(dicom_check_root(good[i]));
}
END_TEST

/* ---- codes */

static struct dicom_segment segment_of_name(const char *name, const char *json) {
    const char *const names[] = {"background", name};
    struct dicom_segment *segments, first;
    int count;
    ck_assert_ok(dicom_segments_make(&segments, &count, context, names, 2, json));
    ck_assert_int_eq(count, 1);
    first = segments[0];
    memory_free(context, segments);
    return first;
}

START_TEST(R44_names_have_their_codes_and_sides) {
    static const struct {
        const char *name, *type, *modifier;
    } cases[] = {{"lung", "39607008", ""},       {"Left Lung", "39607008", "7771000"}, {"lung_right", "39607008", "24028007"},
                 {"lungs", "39607008", ""},      {"blood-vessel", "59820001", ""},     {"right-kidney", "64033007", "24028007"},
                 {"hippocampus", "5366008", ""}, {"Left mass", "4147007", "7771000"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct dicom_segment segment = segment_of_name(cases[i].name, NULL);
        ck_assert_str_eq(segment.type.value, cases[i].type);
        ck_assert_str_eq(segment.type.scheme, "SCT");
        ck_assert_str_eq(segment.modifier.value, cases[i].modifier);
        ck_assert_str_eq(segment.label, cases[i].name);
    }
    ck_assert_str_eq(segment_of_name("nodule", NULL).category.value, "49755003");
    ck_assert_str_eq(segment_of_name("liver", NULL).category.value, "123037004");
}
END_TEST

START_TEST(R44_an_unknown_name_gets_a_private_code) {
    static const char *const names[] = {"thing", "lung 2", "left", "upper lung", "longue"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct dicom_segment segment = segment_of_name(names[i], NULL);
        ck_assert_str_eq(segment.type.scheme, "99COVER");
        ck_assert_str_eq(segment.type.meaning, names[i]);
        ck_assert_int_le(strlen(segment.type.value), 16);
    }
}
END_TEST

START_TEST(R44_json_says_it_all) {
    const struct dicom_segment segment = segment_of_name(
        "x", "{\"x\": {\"category\": [123037004, \"SCT\", \"Anatomical Structure\"], \"type\": [\"T1\", \"99ME\", \"Mine\"], "
             "\"modifier\": "
             "[\"7771000\", \"SCT\", \"Left\"], \"region\": [\"51185008\", \"SCT\", \"Thorax\"], \"rgb\": [255, 255, 255]}}");
    ck_assert_str_eq(segment.category.value, "123037004");
    ck_assert_str_eq(segment.type.scheme, "99ME");
    ck_assert_str_eq(segment.modifier.meaning, "Left");
    ck_assert_str_eq(segment.region.value, "51185008");
    ck_assert_int_ge(segment.lab[0], 65500); /* white: L 100, a and b 0 */
    ck_assert_int_le(abs(segment.lab[1] - 32896), 3);
    ck_assert_int_le(abs(segment.lab[2] - 32896), 3);
}
END_TEST

START_TEST(R44_wrong_codes_are_refused) {
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"{\"x\": {\"type\": [\"12345678901234567\", \"SCT\", \"M\"]}}", "has 17 characters"},
        {"{\"x\": {\"category\": [1, \"SCT\", \"C\"], \"type\": [1, \"MINE\", \"M\"]}}", "unknown scheme \"MINE\""},
        {"{\"x\": {\"type\": [1, \"SCT\", \"M\"]}}", "has a type but no category"},
        {"{\"x\": {\"type\": [1, \"SCT\"]}}", "must be [value, scheme, meaning]"},
        {"{\"x\": {\"type\": [1, \"SCT\", \"M\xc3\xbc\"]}}", "more than ASCII"},
        {"{\"x\": {\"colour\": 1}}", "unknown \"colour\""},
        {"{\"x\": {\"rgb\": [1, 2, 256]}}", "rgb of \"x\""},
        {"{\"x\": 1}", "must be an object"},
        {"[]", "an object with a member a class"},
    };
    const char *const names[] = {"background", "x"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dicom_segment *segments;
        int count;
        ck_assert_fails(dicom_segments_make(&segments, &count, context, names, 2, cases[i].json), COVER_ERROR_ARGUMENT,
                        cases[i].text);
    }
}
END_TEST

START_TEST(names_may_come_from_the_json_alone) {
    struct dicom_segment *segments;
    int count;
    ck_assert_ok(dicom_segments_make(&segments, &count, context, NULL, 0, "{\"spleen\": {}, \"liver\": {}}"));
    ck_assert_int_eq(count, 2);
    ck_assert_str_eq(segments[0].label, "spleen");
    ck_assert_str_eq(segments[1].type.value, "10200004");
    memory_free(context, segments);
    ck_assert_fails(dicom_segments_make(&segments, &count, context, NULL, 0, NULL), COVER_ERROR_ARGUMENT, "names the classes");
    ck_assert_fails(dicom_segments_make(&segments, &count, context, NULL, 0, "{}"), COVER_ERROR_ARGUMENT, "no class");
}
END_TEST

/* ---- other types */

START_TEST(R45_fractions_are_rounded_of_255) {
    struct seg_case at;
    float p[4 * VOXELS] = {0};
    struct dicom_work work = {.context = context};
    struct dicom_stored stored;
    begin_case(&at);
    p[VOXELS] = 0.5f, p[VOXELS + 1] = 1.00001f, p[VOXELS + 2] = 0.001f, p[VOXELS + 3] = 0.25f;
    at.options.type = "fractional";
    cover_tensor_destroy(at.label);
    at.label = view(COVER_F32, 4, DEPTH, 4, p);
    write_case(&at);
    ck_assert_int_eq(at.object.frames, 1);
    ck_assert(text_is(&at, TAG_FRACTION_TYPE, "PROBABILITY"));
    ck_assert_ok(dicom_frame_stored(&stored, &work, &at.object, 0, NULL));
    static const int expected[] = {128, 255, 0, 64, 0};
    for (int i = 0; i < 5; i++) ck_assert_int_eq(stored.values[i], expected[i]);
    p[VOXELS + 9] = 1.5f;
    ck_assert_fails(cover_dicom_write_seg(at.set, 0, at.label, &at.options, take_bytes, &at.made), COVER_ERROR_ARGUMENT, "1.5",
                    "probabilities");
    dicom_work_free(&work);
    end_case(&at);
}
END_TEST

START_TEST(R45_many_classes_are_a_label_map_of_16_bits) {
    enum { CLASSES = 300 };
    struct seg_case at;
    static uint16_t labels[VOXELS];
    static char names[CLASSES][16];
    const char *list[CLASSES];
    for (int i = 0; i < CLASSES; i++) snprintf(names[i], sizeof names[i], "thing%d", i), list[i] = names[i];
    begin_case(&at);
    for (int i = 0; i < VOXELS; i++) labels[i] = (uint16_t)(i % CLASSES);
    cover_tensor_destroy(at.label);
    at.label = view(COVER_U16, 3, DEPTH, 0, labels);
    at.options.class_names = list, at.options.classes = CLASSES, at.options.type = "labelmap";
    write_case(&at);
    ck_assert_int_eq(at.object.shape.bits_allocated, 16);
    struct dicom_seg seg;
    void *read;
    cover_dtype dtype;
    ck_assert_ok(dicom_seg_open(&seg, context, &at.object));
    ck_assert_ok(dicom_seg_labels(&read, &dtype, &seg, at.set, 0));
    ck_assert_int_eq(dtype, COVER_U16);
    ck_assert_int_eq(memcmp(read, labels, sizeof labels), 0);
    memory_free(context, read);
    dicom_seg_close(&seg);
    cover_tensor_destroy(at.label); /* in bytes, of which none can be the last classes */
    at.label = view(COVER_U8, 3, DEPTH, 0, at.labels);
    at.labels[9] = 255;
    at.options.type = "binary", at.options.empty_frames = 1;
    write_case(&at);
    ck_assert_int_eq(at.object.frames, (CLASSES - 1) * DEPTH);
    end_case(&at);
}
END_TEST

/* ---- what is refused */

static int refuse_bytes(void *user, const void *bytes, size_t count) {
    int *calls = user;
    (void)bytes, (void)count;
    return ++*calls == 2 ? 9 : 0;
}

START_TEST(wrong_calls_say_what_is_wrong) {
    struct seg_case at;
    int calls = 0;
    begin_case(&at);
    at.labels[5] = 4;
#define REFUSED(status, ...)                                                                                                       \
    ck_assert_fails(cover_dicom_write_seg(at.set, 0, at.label, &at.options, take_bytes, &at.made), status, __VA_ARGS__)
    REFUSED(COVER_ERROR_ARGUMENT, "label holds 4", "3 classes");
    at.labels[5] = 3;
    at.options.type = "mesh";
    REFUSED(COVER_ERROR_ARGUMENT, "type \"mesh\"", "labelmap");
    at.options.type = "fractional";
    REFUSED(COVER_ERROR_ARGUMENT, "label is u8", "f32");
    at.options = some_options(), at.options.time = "yesterday";
    REFUSED(COVER_ERROR_ARGUMENT, "time \"yesterday\"");
    at.options = some_options(), at.options.weights_sha256 = "12";
    REFUSED(COVER_ERROR_ARGUMENT, "weights_sha256");
    at.options = some_options(), at.options.classes = 1;
    REFUSED(COVER_ERROR_ARGUMENT, "classes is 1");
    at.options = some_options();
    cover_tensor *other = view(COVER_U8, 3, DEPTH - 1, 0, at.labels);
    ck_assert_fails(cover_dicom_write_seg(at.set, 0, other, &at.options, take_bytes, &at.made), COVER_ERROR_SHAPE, "(4, 7, 6)",
                    "(5, 7, 6)");
    ck_assert_fails(cover_dicom_write_seg(at.set, 1, at.label, &at.options, take_bytes, &at.made), COVER_ERROR_ARGUMENT,
                    "volume 1");
    ck_assert_int_eq(at.made.count, 0); /* nothing has left */
    ck_assert_fails(cover_dicom_write_seg(at.set, 0, at.label, &at.options, refuse_bytes, &calls), COVER_ERROR_IO, "write gave 9");
    ck_assert_int_eq(calls, 2);
    cover_tensor_destroy(other);
    end_case(&at);
}
END_TEST

/* ---- segmentations of others (R48) */

/* Mistakes that an object can have. */
struct mistake {
    int rows;
    const char *frame_of_reference, *referenced; /* UID of the image; NULL = none */
    double off;                                  /* mm along the normal */
    int segments[2], numbers[2];                 /* of the frames; of the segments */
    const char *type;
};
static void make_other(struct bytes_made *made, const struct mistake *mistake) {
    struct dicom_put put;
    static const uint8_t pixels[2 * 8 * COLUMNS / 8 + 2] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const struct pose pose = pose_of(0);
    put_begin(&put, context, SEGMENTATION_CLASS, "1.9");
    put_text(&put, TAG_SOP_CLASS, "UI", SEGMENTATION_CLASS);
    put_text(&put, TAG_SOP_INSTANCE, "UI", "1.9");
    put_text(&put, TAG_FRAME_OF_REFERENCE, "UI", mistake->frame_of_reference);
    put_short(&put, TAG_SAMPLES, 1);
    put_text(&put, TAG_PHOTOMETRIC, "CS", "MONOCHROME2");
    put_integer(&put, TAG_FRAMES, 2);
    put_short(&put, TAG_ROWS, mistake->rows);
    put_short(&put, TAG_COLUMNS, COLUMNS);
    put_short(&put, TAG_BITS_ALLOCATED, 1);
    put_short(&put, TAG_BITS_STORED, 1);
    put_short(&put, TAG_HIGH_BIT, 0);
    put_short(&put, TAG_REPRESENTATION, 0);
    put_text(&put, TAG_SEGMENTATION_TYPE, "CS", mistake->type);
    put_sequence(&put, TAG_SEGMENTS);
    for (int i = 0; i < 2; i++) {
        put_item(&put);
        put_short(&put, TAG_SEGMENT_NUMBER, mistake->numbers[i]);
        put_text(&put, TAG_SEGMENT_LABEL, "LO", i ? "two" : "one");
        put_end(&put);
    }
    put_end(&put);
    put_open(&put, TAG_SHARED_GROUPS);
    put_open(&put, TAG_PLANE_ORIENTATION);
    put_cosines(&put, &pose);
    put_close(&put);
    put_open(&put, TAG_PIXEL_MEASURES);
    put_decimals(&put, TAG_PIXEL_SPACING, SPACING + 1, 2);
    put_close(&put);
    put_close(&put);
    put_sequence(&put, TAG_FRAME_GROUPS);
    for (int f = 0; f < 2; f++) {
        double place[3];
        place_of(&pose, 1 + mistake->off / SPACING[0], 0, 0, place);
        put_item(&put);
        if (mistake->referenced) {
            put_open(&put, TAG_DERIVATION_IMAGES);
            put_open(&put, TAG_SOURCE_IMAGES);
            put_text(&put, TAG_REFERENCED_INSTANCE, "UI", mistake->referenced);
            put_close(&put);
            put_close(&put);
        }
        put_open(&put, TAG_PLANE_POSITION);
        put_decimals(&put, TAG_POSITION, place, 3);
        put_close(&put);
        put_open(&put, TAG_SEGMENT_IDENTIFICATION);
        put_short(&put, TAG_REFERENCED_SEGMENT, mistake->segments[f]);
        put_close(&put);
        put_end(&put);
    }
    put_end(&put);
    const uint64_t bytes = (2 * (uint64_t)mistake->rows * COLUMNS + 7) / 8;
    put_pixels(&put, "OB", pixels, bytes);
    ck_assert_ok(put_end_object(&put));
    ck_assert_ok(put_send(&put, take_bytes, made));
    put_free(&put);
}

static const struct mistake sound = {ROWS, "1.2.3.3", "1.2.3.4.2", 0, {1, 1}, {1, 2}, "BINARY"};

static cover_status read_other(const struct mistake *mistake, const cover_dicom *set, uint8_t labels[VOXELS]) {
    struct bytes_made made = {0};
    struct dicom_object object;
    struct dicom_seg seg;
    void *read;
    cover_dtype dtype;
    make_other(&made, mistake);
    parse_made(&object, &made);
    cover_status status = dicom_seg_open(&seg, context, &object);
    if (status == COVER_OK) status = dicom_seg_labels(&read, &dtype, &seg, set, 0);
    if (status == COVER_OK) {
        memcpy(labels, read, VOXELS);
        memory_free(context, read);
    }
    dicom_seg_close(&seg);
    dicom_object_free(&object);
    free(made.data);
    return status;
}

START_TEST(R48_frames_go_to_the_image_they_name_else_to_their_place) {
    struct seg_case at;
    uint8_t labels[VOXELS];
    struct mistake other = sound;
    begin_case(&at);
    for (int form = 0; form < 3; form++) {
        if (form == 1) other.referenced = NULL;
        if (form == 2) other.off = 0.024; /* of a step of 2.5 mm: less than 1 % */
        memset(labels, 9, sizeof labels);
        ck_assert_ok(read_other(&other, at.set, labels));
        for (int i = 0; i < VOXELS; i++) ck_assert_int_eq(labels[i], i / PLANE == 1);
    }
    end_case(&at);
}
END_TEST

START_TEST(R48_what_does_not_fit_is_refused) {
    struct seg_case at;
    uint8_t labels[VOXELS];
    begin_case(&at);
    struct mistake other = sound;
#define OTHER(...)                                                                                                                 \
    do {                                                                                                                           \
        ck_assert_fails(read_other(&other, at.set, labels), COVER_ERROR_FORMAT, __VA_ARGS__);                                      \
        other = sound;                                                                                                             \
    } while (0)
    other.rows = 8;
    OTHER("8 rows and 6 columns", "7 and 6");
    other.frame_of_reference = "1.2.3.99";
    OTHER("frame of reference");
    other.referenced = "1.2.3.4.77";
    OTHER("frame 1 names an image");
    other.referenced = "1.2.3.4.3";
    OTHER("frame 1 does not lie where the image is");
    other.referenced = NULL, other.off = 0.026;
    OTHER("frame 1 lies on no slice");
    other.segments[1] = 2;
    OTHER("segment 2 overlaps");
    other.segments[1] = 3;
    OTHER("frame 2 is of segment 3");
    other.numbers[1] = 1;
    OTHER("two segments of number 1");
    other.type = "LABELMAP";
    OTHER("1 bits");
    other.type = "WORDS";
    ck_assert_fails(read_other(&other, at.set, labels), COVER_ERROR_UNSUPPORTED, "none of BINARY");
    end_case(&at);
}
END_TEST

START_TEST(R48_a_segmentation_is_of_the_images_that_it_names_or_of_their_frame_of_reference) {
    struct seg_case at;
    begin_case(&at);
    for (int form = 0; form < 4; form++) {
        struct mistake other = sound;
        struct dicom_object object;
        if (form == 1) other.referenced = NULL;
        if (form == 2) other.referenced = NULL, other.frame_of_reference = "1.2.3.99";
        if (form == 3) other.referenced = "1.2.3.4.9";
        at.made.count = 0;
        make_other(&at.made, &other);
        parse_made(&object, &at.made);
        ck_assert_int_eq(dicom_seg_is_of(&object, &at.set->volumes[0]), form < 2);
        dicom_object_free(&object);
    }
    end_case(&at);
}
END_TEST

/* Refused or read, as it may be; nothing worse. */
START_TEST(R48_a_segmentation_with_any_byte_changed_or_cut_anywhere_is_read_or_refused) {
    static const char *const types[] = {"binary", "labelmap"};
    struct seg_case at;
    begin_case(&at);
    const struct pose pose = pose_of(0);
    fill_labels(at.labels, &pose);
    at.options.type = types[_i % 2];
    write_case(&at);
    uint8_t *copy = malloc(at.made.count);
    for (size_t i = 132; i < at.made.count; i++) {
        struct dicom_object object = {.tree.context = context};
        struct dicom_seg seg = {.context = context};
        void *read = NULL;
        cover_dtype dtype;
        memcpy(copy, at.made.data, at.made.count);
        if (_i < 2) copy[i] = (uint8_t)(i % 3 == 0 ? copy[i] ^ 1 : i % 3 == 1 ? 0xff : copy[i] + 7);
        object.source = source_memory("", copy, _i < 2 ? at.made.count : i);
        cover_status status = dicom_object_read(&object, context);
        if (status == COVER_OK) status = dicom_seg_open(&seg, context, &object);
        if (status == COVER_OK) status = dicom_seg_labels(&read, &dtype, &seg, at.set, 0);
        ck_assert(status == COVER_OK || status == COVER_ERROR_FORMAT || status == COVER_ERROR_UNSUPPORTED ||
                  status == COVER_ERROR_MEMORY);
        ck_assert(_i < 2 || status != COVER_OK);
        if (status == COVER_OK) memory_free(context, read);
        dicom_seg_close(&seg);
        dicom_object_free(&object);
    }
    free(copy);
    end_case(&at);
}
END_TEST

START_TEST(R48_a_label_map_has_one_frame_an_image) {
    struct seg_case at;
    begin_case(&at);
    at.labels[0] = at.labels[PLANE] = 1;
    at.options.type = "labelmap";
    write_case(&at);
    struct dicom_seg seg;
    void *read;
    cover_dtype dtype;
    ck_assert_int_eq(at.object.frames, 2);
    /* the second frame names what the first names, and lies there */
    for (int k = 0; k < 2; k++) {
        const uint32_t tags[2][2] = {{TAG_PLANE_POSITION, TAG_POSITION}, {TAG_DERIVATION_IMAGES, TAG_SOURCE_IMAGES}};
        const struct dicom_node *first = dicom_of_frame(&at.object, 0, tags[k][0], tags[k][1]);
        const struct dicom_node *second = dicom_of_frame(&at.object, 1, tags[k][0], tags[k][1]);
        ck_assert_int_eq(first->length, second->length);
        memcpy(at.made.data + second->at, at.made.data + first->at, first->length);
    }
    dicom_object_free(&at.object);
    parse_made(&at.object, &at.made);
    ck_assert_ok(dicom_seg_open(&seg, context, &at.object));
    ck_assert_fails(dicom_seg_labels(&read, &dtype, &seg, at.set, 0), COVER_ERROR_FORMAT, "frames 1 and 2 lie on one image");
    dicom_seg_close(&seg);
    end_case(&at);
}
END_TEST

/* ---- the writer of data sets */

START_TEST(R36_what_is_out_of_order_is_an_internal_error) {
    struct dicom_put put;
    begin_made(&put);
    put_text(&put, TAG_PATIENT_ID, "LO", "1");
    put_text(&put, TAG_PATIENT_NAME, "PN", "2");
    ck_assert_fails(put_end_object(&put), COVER_ERROR_INTERNAL, "Patient's Name", "out of order");
    put_free(&put);
    begin_made(&put);
    put_open(&put, TAG_SEGMENTS);
    ck_assert_fails(put_end_object(&put), COVER_ERROR_INTERNAL, "2 sequences");
    put_free(&put);
    begin_made(&put);
    put_end(&put);
    ck_assert_fails(put_end_object(&put), COVER_ERROR_INTERNAL, "ended");
    put_free(&put);
    begin_made(&put);
    put_sequence(&put, TAG_SEGMENTS);
    put_text(&put, TAG_SEGMENT_LABEL, "LO", "1");
    ck_assert_fails(put_end_object(&put), COVER_ERROR_INTERNAL, "out of order");
    put_free(&put);
}
END_TEST

START_TEST(R36_values_are_even_and_lengths_are_there) {
    struct dicom_put put;
    struct bytes_made made = {0};
    begin_made(&put);
    put_text(&put, TAG_SOP_CLASS, "UI", "1.2");
    put_text(&put, TAG_MODALITY, "CS", "ABC");
    put_sequence(&put, TAG_SEGMENTS);
    put_end(&put);
    put_pixels(&put, "OB", "xyz", 3);
    ck_assert_ok(put_end_object(&put));
    ck_assert_ok(put_send(&put, take_bytes, &made));
    ck_assert_int_eq(made.count % 2, 0);
    static const char expected[] =
        "\x08\0\x16\0UI\4\0001.2\0\x08\0\x60\0CS\4\0ABC \x62\0\2\0SQ\0\0\0\0\0\0\xe0\x7f\x10\0OB\0\0\4\0\0\0xyz";
    ck_assert_int_eq(memcmp(made.data + made.count - sizeof expected, expected, sizeof expected), 0);
    put_free(&put);
    free(made.data);
}
END_TEST

START_TEST(R36_decimals_have_16_characters_and_their_value) {
    static const double values[] = {0, -0.0, 1.0 / 3, -1e-7 / 3, 123456.789012345, -98765432.123456, 1e300};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct dicom_put put;
        struct bytes_made made = {0};
        begin_made(&put);
        const int64_t before = put.count;
        put_decimal(&put, TAG_SLICE_THICKNESS, values[i]);
        ck_assert_ok(put_end_object(&put));
        ck_assert_int_le(put.count - before, 8 + 16);
        ck_assert_ok(put_send(&put, take_bytes, &made));
        struct dicom_tree tree;
        const struct source source = source_memory("", made.data, made.count);
        double read;
        bool present;
        ck_assert_ok(dicom_parse(&tree, context, &source));
        ck_assert_ok(dicom_vector(&tree, dicom_find(&tree, NULL, TAG_SLICE_THICKNESS), &read, 1, &present));
        ck_assert_double_le(fabs(read - values[i]), 1e-8 * fabs(values[i]));
        dicom_tree_free(&tree);
        put_free(&put);
        free(made.data);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("seg");
    TCase *places = tcase_create("places"), *all = tcase_create("all");
    tcase_add_checked_fixture(places, with_context, without_context);
    tcase_add_checked_fixture(all, with_context, without_context);
    tcase_add_loop_test(places, R40_a_voxel_lies_where_it_lay_in_all_48_orders_and_in_every_form, 0, 48);
    ADD(places, R40_oblique_volumes_too);
    ADD(places, R27_frames_of_several_objects_may_lie_between_each_other);
    ADD(all, R41_frames_stand_by_segment_then_along_the_normal_where_there_are_pixels);
    ADD(all, R41_a_label_map_without_pixels_has_one_empty_frame_and_all_segments);
    ADD(all, R42_bits_run_on_over_frames_the_lowest_first);
    ADD(all, strides_and_16_bits_give_the_same_object);
    ADD(all, R43_an_image_has_no_frame_of_reference_and_no_planes);
    ADD(all, R39_patient_and_study_are_the_sources_bytes_and_the_rest_is_ours);
    ADD(all, R35_the_same_job_gives_the_same_bytes_and_another_other_identifiers);
    ADD(all, R35_identifiers_are_uuids_of_version_8);
    ADD(all, what_is_no_root_is_refused);
    ADD(all, R44_names_have_their_codes_and_sides);
    ADD(all, R44_an_unknown_name_gets_a_private_code);
    ADD(all, R44_json_says_it_all);
    ADD(all, R44_wrong_codes_are_refused);
    ADD(all, names_may_come_from_the_json_alone);
    ADD(all, R45_fractions_are_rounded_of_255);
    ADD(all, R45_many_classes_are_a_label_map_of_16_bits);
    ADD(all, wrong_calls_say_what_is_wrong);
    ADD(all, R48_frames_go_to_the_image_they_name_else_to_their_place);
    ADD(all, R48_what_does_not_fit_is_refused);
    ADD(all, R48_a_label_map_has_one_frame_an_image);
    tcase_add_loop_test(all, R48_a_segmentation_with_any_byte_changed_or_cut_anywhere_is_read_or_refused, 0, 4);
    ADD(all, R48_a_segmentation_is_of_the_images_that_it_names_or_of_their_frame_of_reference);
    ADD(all, R36_what_is_out_of_order_is_an_internal_error);
    ADD(all, R36_values_are_even_and_lengths_are_there);
    ADD(all, R36_decimals_have_16_characters_and_their_value);
    suite_add_tcase(suite, places);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
