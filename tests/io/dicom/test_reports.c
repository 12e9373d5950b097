/* What leaves beside a segmentation: reports of its segments' volumes (R46), and the images with their outlines as secondary captures. */
#include "made.h"

#include "core/base/files.h"
#include "io/image/orient.h"

#include <sys/stat.h>

struct job {
    cover_dicom *set;
    uint8_t labels[VOXELS];
    cover_tensor *label;
    cover_seg_options options;
};
static void begin_job(struct job *job, bool image) {
    const struct pose pose = oblique_pose();
    *job = (struct job){.set = new_set(), .options = some_options()};
    if (image) add_image(job->set, DEPTH);
    else add_classic(job->set, &pose);
    end_adding(job->set);
    for (int i = 0; i < VOXELS; i++) job->labels[i] = (uint8_t)(i % 11 < 3 ? i % 11 + 1 : 0);
    job->label = view(COVER_U8, 3, DEPTH, 0, job->labels);
}
static void end_job(struct job *job) {
    cover_tensor_destroy(job->label);
    cover_dicom_destroy(job->set);
}

typedef cover_status writer(const cover_dicom *set, int index, const cover_tensor *label, const cover_seg_options *options,
                            cover_write_fn *write, void *user);
struct made_object {
    struct bytes_made made;
    struct dicom_object object;
};
static void make(struct made_object *out, struct job *job, writer *write) {
    *out = (struct made_object){0};
    ck_assert_ok(write(job->set, 0, job->label, &job->options, take_bytes, &out->made));
    parse_made(&out->object, &out->made);
}
static void drop(struct made_object *out) {
    dicom_object_free(&out->object);
    free(out->made.data);
}

/* The n-th element of a tag, at any depth. */
static const struct dicom_node *nth(const struct made_object *in, uint32_t tag, int n) {
    const struct dicom_tree *tree = &in->object.tree;
    for (int64_t i = 0; i < tree->count; i++)
        if (tree->nodes[i].tag == tag && n-- == 0) return &tree->nodes[i];
    return NULL;
}
static bool is(const struct made_object *in, const struct dicom_node *node, const char *text) {
    return dicom_text_is(&in->object.tree, node, text);
}
static void same_text(const struct made_object *a, const struct dicom_node *x, const struct made_object *b,
                      const struct dicom_node *y) {
    char text[65];
    ck_assert_int_gt(dicom_text(&b->object.tree, y, text, sizeof text), 0);
    ck_assert(is(a, x, text));
}

START_TEST(R46_a_report_has_the_volume_of_each_segment_and_names_its_segmentation) {
    struct job job;
    struct made_object seg, report;
    begin_job(&job, false);
    make(&seg, &job, cover_dicom_write_seg);
    make(&report, &job, cover_dicom_write_sr);
    ck_assert(is(&report, nth(&report, TAG_SOP_CLASS, 0), "1.2.840.10008.5.1.4.1.1.88.34"));
    ck_assert(is(&report, nth(&report, TAG_MODALITY, 0), "SR"));
    ck_assert(is(&report, nth(&report, TAG_TEMPLATE_ID, 0), "1500"));
    ck_assert(is(&report, nth(&report, TAG_PATIENT_ID, 0), "P 17"));
    ck_assert(!is(&report, nth(&report, TAG_SERIES_UID, 0), job.set->objects[0]->series_uid));
    const struct dicom_tree *tree = &report.object.tree;
    int group = 0;
    for (; nth(&report, TAG_NUMERIC_VALUE, group); group++) {
        int voxels = 0;
        double value;
        bool present;
        uint16_t number;
        for (int i = 0; i < VOXELS; i++) voxels += job.labels[i] == group + 1;
        ck_assert_ok(dicom_vector(tree, nth(&report, TAG_NUMERIC_VALUE, group), &value, 1, &present));
        ck_assert_double_eq_tol(value, voxels * SPACING[0] * SPACING[1] * SPACING[2], 1e-6);
        ck_assert(is(&report, nth(&report, TAG_TEMPLATE_ID, group + 1), "1411"));
        ck_assert_ok(dicom_short(tree, nth(&report, TAG_REFERENCED_SEGMENT, group), &number, &present));
        ck_assert_int_eq(number, group + 1);
        const struct dicom_node *reference = nth(&report, TAG_REFERENCED_SEGMENT, group);
        while (reference->tag != TAG_REFERENCED_INSTANCE) reference--;
        same_text(&report, reference, &seg, nth(&seg, TAG_SOP_INSTANCE, 0));
        /* of each group: its tracking UID, then that of the source series; the device's is before them */
        same_text(&report, nth(&report, TAG_UID_VALUE, 1 + 2 * group), &seg, nth(&seg, TAG_TRACKING_UID, group));
        ck_assert(is(&report, nth(&report, TAG_UID_VALUE, 2 + 2 * group), "1.2.3.2"));
    }
    ck_assert_int_eq(group, 3);
    drop(&seg);
    drop(&report);
    end_job(&job);
}
END_TEST

START_TEST(R46_what_cannot_be_measured_is_refused) {
    struct job job;
    struct bytes_made made = {0};
    begin_job(&job, true);
    ck_assert_fails(cover_dicom_write_sr(job.set, 0, job.label, &job.options, take_bytes, &made), COVER_ERROR_UNSUPPORTED,
                    "series 1 (DX", "volumes cannot be measured");
    end_job(&job);
    begin_job(&job, false);
    job.options.time = NULL;
    ck_assert_fails(cover_dicom_write_sr(job.set, 0, job.label, &job.options, take_bytes, &made), COVER_ERROR_ARGUMENT,
                    "time is NULL");
    ck_assert_int_eq(made.count, 0);
    end_job(&job);
}
END_TEST

/* Inside of a segment and outside of all: grey.  At its border: its colour. */
static void check_capture(struct job *job, const struct made_object *capture) {
    static const uint8_t colours[3][3] = {{230, 25, 75}, {60, 180, 75}, {0, 130, 200}};
    struct dicom_work work = {.context = context};
    int coloured = 0, grey = 0;
    ck_assert_int_eq(capture->object.frames, DEPTH);
    for (int d = 0; d < DEPTH; d++) {
        struct dicom_stored stored;
        ck_assert_ok(dicom_frame_stored(&stored, &work, &capture->object, d, NULL));
        ck_assert_int_eq(stored.channels, 3);
        for (int i = 0; i < PLANE; i++) {
            const int32_t *rgb = stored.values + 3 * i;
            const uint8_t *label = job->labels + d * PLANE + i;
            const int y = i / COLUMNS, x = i % COLUMNS;
            const bool inside = y > 0 && y < ROWS - 1 && x > 0 && x < COLUMNS - 1 && label[-1] == *label && label[1] == *label &&
                                label[-COLUMNS] == *label && label[COLUMNS] == *label;
            const bool outline = *label && !inside;
            for (int c = 0; c < 3 && outline; c++) ck_assert_int_eq(rgb[c], colours[*label - 1][c]);
            if (!outline) ck_assert(rgb[0] == rgb[1] && rgb[1] == rgb[2]);
            coloured += outline, grey += !outline;
        }
    }
    ck_assert_int_gt(coloured, 0);
    ck_assert_int_gt(grey, 0);
    dicom_work_free(&work);
}

START_TEST(a_capture_has_the_outlines_of_the_segments_in_their_colours) {
    for (int image = 0; image < 2; image++) {
        struct job job;
        struct made_object capture;
        begin_job(&job, image);
        for (int i = 0; i < VOXELS; i++)
            job.labels[i] = i % PLANE / COLUMNS < 4 ? 1 + i / PLANE % 2 : 0; /* large ones, with an inside */
        make(&capture, &job, cover_dicom_write_sc);
        check_capture(&job, &capture);
        ck_assert(is(&capture, nth(&capture, TAG_MODALITY, 0), "OT")); /* which no route sends back to be predicted */
        ck_assert(is(&capture, nth(&capture, TAG_SOP_CLASS, 0), "1.2.840.10008.5.1.4.1.1.7.4"));
        drop(&capture);
        end_job(&job);
    }
}
END_TEST

START_TEST(a_label_map_of_a_file_is_brought_to_its_images) {
    struct job job;
    char path[128], output[128];
    struct made_object seg;
    uint8_t *written;
    size_t count;
    begin_job(&job, false);
    make(&seg, &job, cover_dicom_write_seg);
    static const char *const codes[] = {"RAS", "LPS", "SAL", "PIR"};
    for (int i = 0; i < 4; i++) {
        const struct dicom_volume *volume = &job.set->volumes[0];
        struct image label = {.dtype = COVER_U8, .dims = 3, .channels = 1, .size = {DEPTH, ROWS, COLUMNS}};
        char from[ORIENTATION_BYTES];
        label.data = memory_copy(context, job.labels, VOXELS);
        memcpy(label.affine, volume->affine, sizeof label.affine);
        memcpy(label.spacing_mm, volume->spacing_mm, sizeof label.spacing_mm);
        ck_assert(orientation_of(&label, from));
        const struct turn turn = turn_to(from, codes[i]);
        ck_assert_ok(image_turn(&label, context, &turn));
        snprintf(path, sizeof path, "%s/label.nii", folder);
        snprintf(output, sizeof output, "%s/label.dcm", folder);
        ck_assert_ok(label_write(context, path, &label, NULL));
        ck_assert_ok(cover_dicom_write_seg_file(job.set, 0, path, &job.options, output));
        ck_assert_ok(file_read(context, output, 1 << 20, &written, &count));
        struct stat about;
        ck_assert_int_eq(stat(output, &about), 0);
        ck_assert_int_eq(about.st_mode & 0777, 0600); /* P3: for their owner alone */
        ck_assert_int_eq(count, seg.made.count);
        ck_assert_int_eq(memcmp(written, seg.made.data, count), 0);
        memory_free(context, written);
        label.affine[3] += 5; /* elsewhere */
        ck_assert_int_eq(remove(output), 0);
        ck_assert_ok(label_write(context, path, &label, NULL));
        ck_assert_fails(cover_dicom_write_seg_file(job.set, 0, path, &job.options, output), COVER_ERROR_SHAPE, "its images");
        ck_assert(!file_exists(output)); /* R38 */
        image_free(&label, context);
    }
    drop(&seg);
    end_job(&job);
}
END_TEST

/* What is found in an object, or a folder, beside the images of a source. */
static char *found_in(const char *path, const char *source) {
    char *report = NULL;
    ck_assert_ok(source ? cover_dicom_check(&report, context, path, source) : cover_file_check(&report, context, path));
    return report;
}
static void check_says(const char *path, const char *source, const char *words) {
    char *report = found_in(path, source);
    ck_assert_msg(strstr(report, words) != NULL, "no %s in %s", words, report);
    cover_text_release(context, report);
}

START_TEST(check_compares_a_segmentation_with_its_images) {
    struct job job;
    struct made_object seg;
    char path[128], images[128], file[192];
    begin_job(&job, false);
    make(&seg, &job, cover_dicom_write_seg);
    snprintf(path, sizeof path, "%s/seg.dcm", folder);
    snprintf(images, sizeof images, "%s/images", folder);
    ck_assert_ok(file_replace(context, path, seg.made.data, seg.made.count));
    ck_assert_ok(folder_create(images));
    for (int64_t i = 0; i < job.set->count; i++) {
        snprintf(file, sizeof file, "%s/%lld", images, (long long)i);
        ck_assert_ok(file_replace(context, file, job.set->objects[i]->source.memory, job.set->objects[i]->source.bytes));
    }
    check_says(path, NULL, "\"ok\": true");
    check_says(path, images, "\"segments\": 3");
    check_says(path, images, "\"ok\": true");
    check_says(images, NULL, "\"objects\": 5, \"volumes\": 1");
    /* a frame that says it lies elsewhere: a digit of the first position */
    const struct dicom_node *position = dicom_of_frame(&seg.object, 0, TAG_PLANE_POSITION, TAG_POSITION);
    seg.made.data[position->at + 1] ^= 1;
    ck_assert_ok(file_replace(context, path, seg.made.data, seg.made.count));
    check_says(path, NULL, "\"ok\": true");
    check_says(path, images, "frame 1 does not lie where the image is that it names");
    /* an image is not there; an object that is cut */
    seg.made.data[position->at + 1] ^= 1;
    ck_assert_ok(file_replace(context, path, seg.made.data, seg.made.count));
    ck_assert_int_eq(remove(file), 0);
    check_says(path, images, "names an image that series 1 (CT, 4 images) does not have");
    ck_assert_ok(file_replace(context, path, seg.made.data, seg.made.count - 2));
    check_says(path, NULL, "bytes");
    check_says(path, NULL, "\"ok\": false");
    drop(&seg);
    end_job(&job);
}
END_TEST

/* ---- short memory */

struct short_memory {
    long left, live; /* allocations until one fails, below 0 = none does; those that are not released */
};
static void *allocate(void *user, size_t bytes, size_t alignment) {
    struct short_memory *memory = user;
    if (memory->left == 0) return NULL;
    if (memory->left > 0) memory->left--;
    memory->live++;
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}
static void release(void *user, void *block) {
    struct short_memory *memory = user;
    if (block) memory->live--;
    free(block);
}

static cover_status labels_of(const struct job *job, const struct bytes_made *made) {
    struct dicom_object object = {.tree.context = context, .source = source_memory("", made->data, made->count)};
    struct dicom_seg seg = {.context = context};
    void *labels = NULL;
    cover_dtype dtype;
    cover_status status = dicom_object_read(&object, context);
    if (status == COVER_OK) status = dicom_seg_open(&seg, context, &object);
    if (status == COVER_OK) status = dicom_seg_labels(&labels, &dtype, &seg, job->set, 0);
    memory_free(context, labels);
    dicom_seg_close(&seg);
    dicom_object_free(&object);
    return status;
}

START_TEST(every_allocation_that_fails_is_an_error_and_leaks_nothing) {
    static writer *const writers[] = {cover_dicom_write_seg, cover_dicom_write_sr, cover_dicom_write_sc, NULL};
    struct short_memory memory = {-1, 0};
    const cover_allocator allocator = {allocate, release, &memory};
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    struct bytes_made seg = {0};
    struct job job;
    cover_context *own = context;
    options.allocator = &allocator, options.threads = 1;
    ck_assert_ok(cover_context_create(&context, &options));
    begin_job(&job, false);
    ck_assert_ok(cover_dicom_write_seg(job.set, 0, job.label, &job.options, take_bytes, &seg));
    struct pool *pool;
    ck_assert_ok(context_pool(context, &pool)); /* stays */
    for (size_t w = 0; w < sizeof writers / sizeof *writers; w++) {
        const long live = memory.live;
        cover_status status = COVER_ERROR_MEMORY;
        for (long failing = 0; status != COVER_OK; failing++) {
            struct bytes_made made = {0};
            memory.left = failing;
            status = writers[w] ? writers[w](job.set, 0, job.label, &job.options, take_bytes, &made) : labels_of(&job, &seg);
            ck_assert_msg(status == COVER_OK || status == COVER_ERROR_MEMORY, "%s", cover_error_text());
            ck_assert(status == COVER_OK || made.count == 0);
            ck_assert_int_eq(memory.live, live);
            ck_assert_int_lt(failing, 10000);
            free(made.data);
        }
        memory.left = -1;
    }
    end_job(&job);
    free(seg.data);
    cover_context_destroy(context);
    ck_assert_int_eq(memory.live, 0);
    context = own;
}
END_TEST

int main(void) {
    Suite *suite = suite_create("reports");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, with_folder, without_folder);
    ADD(all, R46_a_report_has_the_volume_of_each_segment_and_names_its_segmentation);
    ADD(all, R46_what_cannot_be_measured_is_refused);
    ADD(all, a_capture_has_the_outlines_of_the_segments_in_their_colours);
    ADD(all, a_label_map_of_a_file_is_brought_to_its_images);
    ADD(all, check_compares_a_segmentation_with_its_images);
    ADD(all, every_allocation_that_fails_is_an_error_and_leaks_nothing);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
