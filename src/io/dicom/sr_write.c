/* A report of the segments' volumes: Comprehensive 3D SR (PS3.3, A.35.13) by TID 1500 with a TID 1411 a segment (PS3.16), which names the
 * segmentation of the same label map and options (R46).  The public call is cover_dicom_write_sr() of libcover/dicom.h. */
#include "seg_plan.h"

#include "core/base/memory.h"

#include <stdio.h>
#include <string.h>

#define REPORT_CLASS "1.2.840.10008.5.1.4.1.1.88.34"

static const struct dicom_code language = {"121049", "DCM", "Language of Content Item and Descendants"},
                               english = {"en-US", "RFC5646", "English (United States)"},
                               observer_type = {"121005", "DCM", "Observer Type"}, device = {"121007", "DCM", "Device"},
                               observer_uid = {"121012", "DCM", "Device Observer UID"},
                               observer_name = {"121013", "DCM", "Device Observer Name"},
                               observer_maker = {"121014", "DCM", "Device Observer Manufacturer"},
                               observer_model = {"121015", "DCM", "Device Observer Model Name"},
                               observer_serial = {"121016", "DCM", "Device Observer Serial Number"},
                               procedure = {"121058", "DCM", "Procedure reported"},
                               report = {"126000", "DCM", "Imaging Measurement Report"},
                               measurements = {"126010", "DCM", "Imaging Measurements"},
                               group = {"125007", "DCM", "Measurement Group"},
                               tracking_id = {"112039", "DCM", "Tracking Identifier"},
                               tracking_uid = {"112040", "DCM", "Tracking Unique Identifier"},
                               finding_category = {"276214006", "SCT", "Finding category"}, finding = {"121071", "DCM", "Finding"},
                               laterality = {"272741003", "SCT", "Laterality"},
                               algorithm_name = {"111001", "DCM", "Algorithm Name"},
                               algorithm_version = {"111003", "DCM", "Algorithm Version"},
                               algorithm_parameters = {"111002", "DCM", "Algorithm Parameters"},
                               volume = {"118565006", "SCT", "Volume"}, cubic_millimetre = {"mm3", "UCUM", "cubic millimeter"},
                               referenced_segment = {"121191", "DCM", "Referenced Segment"},
                               source_series = {"121232", "DCM", "Source Series for Segmentation"};

/* What was done, as far as the modality tells (PS3.16, CID 100). */
static const struct {
    const char *modality;
    struct dicom_code code;
} procedures[] = {
    {"CT", {"77477000", "SCT", "Computed tomography"}},
    {"MR", {"113091000", "SCT", "Magnetic resonance imaging"}},
    {"PT", {"82918005", "SCT", "Positron emission tomography"}},
    {"NM", {"373205008", "SCT", "Nuclear medicine imaging procedure"}},
    {"US", {"16310003", "SCT", "Ultrasonography"}},
    {"MG", {"71651007", "SCT", "Mammography"}},
    {"CR", {"168537006", "SCT", "Plain radiography"}},
    {"DX", {"168537006", "SCT", "Plain radiography"}},
    {"", {"363679005", "SCT", "Imaging procedure"}},
};

static const struct dicom_code *procedure_of(const char *modality) {
    int i = 0;
    while (procedures[i].modality[0] && strcmp(procedures[i].modality, modality) != 0) i++;
    return &procedures[i].code;
}

/* ---- content items: opened, with their value, and ended by put_end() */

static void put_code_as(struct dicom_put *put, uint32_t tag, const struct dicom_code *code) {
    put_code(put, tag, code->value, code->scheme, code->meaning);
}

static void open_item(struct dicom_put *put, const char *relationship, const char *type, const struct dicom_code *name) {
    put_item(put);
    put_text(put, TAG_RELATIONSHIP, "CS", relationship);
    put_text(put, TAG_VALUE_TYPE, "CS", type);
    put_code_as(put, TAG_CONCEPT_NAME, name);
}

static void put_code_item(struct dicom_put *put, const char *relationship, const struct dicom_code *name,
                          const struct dicom_code *value) {
    open_item(put, relationship, "CODE", name);
    put_code_as(put, TAG_CONCEPT_CODE, value);
    put_end(put);
}

static void put_text_item(struct dicom_put *put, const char *relationship, const struct dicom_code *name, const char *value) {
    open_item(put, relationship, "TEXT", name);
    put_text(put, TAG_TEXT_VALUE, "UT", value);
    put_end(put);
}

static void put_uid_item(struct dicom_put *put, const char *relationship, const struct dicom_code *name, const char *uid) {
    open_item(put, relationship, "UIDREF", name);
    put_text(put, TAG_UID_VALUE, "UI", uid);
    put_end(put);
}

static void put_template(struct dicom_put *put, const char *id) {
    put_open(put, TAG_TEMPLATE);
    put_text(put, TAG_MAPPING_RESOURCE, "CS", "DCMR");
    put_text(put, TAG_TEMPLATE_ID, "CS", id);
    put_close(put);
}

/* ---- what is measured */

static double count_voxels(const struct seg_plan *plan, int segment) {
    const int64_t voxels = plan->slice_pixels * plan->job.volume->count;
    int64_t count = 0;
    if (plan->type == SEG_FRACTIONAL)
        for (int64_t i = 0; i < voxels; i++) count += ((const float *)plan->labels)[segment * voxels + i] >= 0.5f;
    else if (plan->dtype == COVER_U8)
        for (int64_t i = 0; i < voxels; i++) count += ((const uint8_t *)plan->labels)[i] == segment;
    else
        for (int64_t i = 0; i < voxels; i++) count += ((const uint16_t *)plan->labels)[i] == segment;
    return (double)count;
}

/* Of a voxel: what is between two slices, straight through them, times the area of a pixel. */
static double voxel_volume(const struct dicom_volume *volume) {
    const struct dicom_frame *first = volume->slices[0], *last = volume->slices[volume->count - 1];
    const double between = volume->count > 1 ? (last->along - first->along) / (volume->count - 1) : volume->spacing_mm[0];
    return between * first->spacing[0] * first->spacing[1];
}

static void put_group(struct dicom_put *put, const struct seg_plan *plan, int number) {
    const struct dicom_job *job = &plan->job;
    const struct dicom_segment *segment = &job->segments[number - 1];
    char uid[UID_BYTES];
    derived_tracking(job, number, uid);
    open_item(put, "CONTAINS", "CONTAINER", &group);
    put_text(put, TAG_CONTINUITY, "CS", "CONTINUOUS");
    put_template(put, "1411");
    put_sequence(put, TAG_CONTENT);
    put_text_item(put, "HAS OBS CONTEXT", &tracking_id, segment->label);
    put_uid_item(put, "HAS OBS CONTEXT", &tracking_uid, uid);
    put_code_item(put, "CONTAINS", &finding_category, &segment->category);
    open_item(put, "CONTAINS", "CODE", &finding);
    put_code_as(put, TAG_CONCEPT_CODE, &segment->type);
    if (segment->modifier.value[0]) {
        put_sequence(put, TAG_CONTENT);
        put_code_item(put, "HAS CONCEPT MOD", &laterality, &segment->modifier);
        put_end(put);
    }
    put_end(put);
    put_text_item(put, "HAS CONCEPT MOD", &algorithm_name, job->task);
    put_text_item(put, "HAS CONCEPT MOD", &algorithm_version, COVER_VERSION);
    if (job->options.weights_sha256) put_text_item(put, "HAS CONCEPT MOD", &algorithm_parameters, job->options.weights_sha256);
    open_item(put, "CONTAINS", "NUM", &volume);
    put_open(put, TAG_MEASURED_VALUE);
    put_code_as(put, TAG_UNITS, &cubic_millimetre);
    put_decimal(put, TAG_NUMERIC_VALUE, count_voxels(plan, number) * voxel_volume(job->volume));
    put_close(put);
    put_end(put);
    put_item(put); /* Referenced SOP Sequence stands before all others */
    put_open(put, TAG_REFERENCED_SOPS);
    put_text(put, TAG_REFERENCED_CLASS, "UI", plan->object.sop_class);
    put_text(put, TAG_REFERENCED_INSTANCE, "UI", plan->object.sop_uid);
    put_short(put, TAG_REFERENCED_SEGMENT, number);
    put_close(put);
    put_text(put, TAG_RELATIONSHIP, "CS", "CONTAINS");
    put_text(put, TAG_VALUE_TYPE, "CS", "IMAGE");
    put_code_as(put, TAG_CONCEPT_NAME, &referenced_segment);
    put_end(put);
    put_uid_item(put, "CONTAINS", &source_series, job->volume->slices[0]->object->series_uid);
    put_end(put);
    put_end(put);
}

/* ---- the report */

static void put_observer(struct dicom_put *put, const struct dicom_job *job) {
    static const char context[] = "HAS OBS CONTEXT";
    struct sha256 hash;
    char uid[UID_BYTES];
    sha256_begin(&hash);
    dicom_hash_text(&hash, COVER_VERSION);
    dicom_hash_text(&hash, job->task);
    dicom_hash_text(&hash, job->options.weights_sha256);
    dicom_uid(uid, &hash, job->options.uid_root, "device", 0);
    put_code_item(put, context, &observer_type, &device);
    put_uid_item(put, context, &observer_uid, uid);
    put_text_item(put, context, &observer_name, job->task);
    put_text_item(put, context, &observer_maker, "libcover");
    put_text_item(put, context, &observer_model, job->task);
    put_text_item(put, context, &observer_serial, job->serial);
}

/* The segmentation, and the images that it was made of. */
static void put_evidence(struct dicom_put *put, const struct seg_plan *plan) {
    const struct dicom_volume *images = plan->job.volume;
    put_open(put, TAG_EVIDENCE);
    put_sequence(put, TAG_REFERENCED_SERIES);
    put_item(put);
    put_open(put, TAG_REFERENCED_SOPS);
    put_text(put, TAG_REFERENCED_CLASS, "UI", plan->object.sop_class);
    put_text(put, TAG_REFERENCED_INSTANCE, "UI", plan->object.sop_uid);
    put_close(put);
    put_text(put, TAG_SERIES_UID, "UI", plan->object.series_uid);
    put_end(put);
    put_item(put);
    put_sequence(put, TAG_REFERENCED_SOPS);
    for (int i = 0; i < images->count; i++) {
        if (!images->slices[i]->first) continue;
        put_item(put);
        derived_put_instance(put, images->slices[i]->object);
        put_end(put);
    }
    put_end(put);
    put_text(put, TAG_SERIES_UID, "UI", images->slices[0]->object->series_uid);
    put_end(put);
    put_end(put);
    put_source(put, TAG_STUDY_UID, "UI", plan->job.source, dicom_find(plan->job.source, NULL, TAG_STUDY_UID), true);
    put_close(put);
}

static void put_content(struct dicom_put *put, const struct seg_plan *plan) {
    const struct dicom_job *job = &plan->job;
    put_sequence(put, TAG_CONTENT);
    put_code_item(put, "HAS CONCEPT MOD", &language, &english);
    put_observer(put, job);
    put_code_item(put, "HAS CONCEPT MOD", &procedure, procedure_of(job->volume->slices[0]->object->modality));
    open_item(put, "CONTAINS", "CONTAINER", &measurements);
    put_text(put, TAG_CONTINUITY, "CS", "CONTINUOUS");
    put_sequence(put, TAG_CONTENT);
    for (int k = 1; k <= job->segment_count; k++) put_group(put, plan, k);
    put_end(put);
    put_end(put);
    put_end(put);
}

static cover_status put_object(struct dicom_put *put, const struct seg_plan *plan, const struct dicom_derived *object) {
    const struct dicom_job *job = &plan->job;
    put_begin(put, job->context, object->sop_class, object->sop_uid);
    derived_put_head(put, job, object);
    put_sequence(put, TAG_PERFORMED_STEPS);
    put_end(put);
    derived_put_patient(put, job);
    derived_put_equipment(put, job);
    derived_put_series(put, job, object, false);
    put_text(put, TAG_VALUE_TYPE, "CS", "CONTAINER");
    put_code_as(put, TAG_CONCEPT_NAME, &report);
    put_text(put, TAG_CONTINUITY, "CS", "CONTINUOUS");
    put_sequence(put, TAG_PERFORMED_CODES);
    put_end(put);
    put_evidence(put, plan);
    put_text(put, TAG_COMPLETION, "CS", "COMPLETE");
    put_text(put, TAG_VERIFICATION, "CS", "UNVERIFIED");
    put_template(put, "1500");
    put_content(put, plan);
    return put_end_object(put);
}

/* Read again: are the volumes there, one a segment, and do they come back as they were? */
static cover_status verify(const struct seg_plan *plan, const struct dicom_put *put) {
    struct dicom_tree tree = {.context = plan->job.context};
    struct source source;
    int found = 0;
    put_as_source(put, &source);
    cover_status status = dicom_parse(&tree, plan->job.context, &source);
    for (int64_t i = 0; i < tree.count && status == COVER_OK; i++) {
        double value = -1, expected;
        bool present;
        if (tree.nodes[i].tag != TAG_NUMERIC_VALUE) continue;
        status = dicom_vector(&tree, &tree.nodes[i], &value, 1, &present);
        if (status != COVER_OK || ++found > plan->job.segment_count) break;
        expected = count_voxels(plan, found) * voxel_volume(plan->job.volume);
        if (!(value >= expected * (1 - 1e-9) && value <= expected * (1 + 1e-9))) found = plan->job.segment_count + 1;
    }
    dicom_tree_free(&tree);
    if (status == COVER_OK && found == plan->job.segment_count) return COVER_OK;
    return status == COVER_ERROR_MEMORY ? status
                                        : fail(COVER_ERROR_INTERNAL, "the report that was made differs from what was measured");
}

cover_status cover_dicom_write_sr(const cover_dicom *set, int index, const cover_tensor *label, const cover_seg_options *options,
                                  cover_write_fn *write, void *user) {
    struct dicom_derived object = {.modality = "SR", .sop_class = REPORT_CLASS, .series_number = 200};
    struct seg_plan plan;
    struct dicom_put put = {0};
    char series[DICOM_SERIES_BYTES];
    cover_status status;
    if (!set || !label || !write) return fail(COVER_ERROR_ARGUMENT, "set, label or write is NULL");
    TRY(context_check_process(set->context));
    put.context = set->context;
    GO(seg_plan_begin(&plan, set, index, label, options));
    if (!plan.job.options.time)
        GO(fail(COVER_ERROR_ARGUMENT, "time is NULL: a report names its segmentation, whose identifiers depend on the time"));
    if (plan.job.volume->images || !(voxel_volume(plan.job.volume) > 0))
        GO(fail(COVER_ERROR_UNSUPPORTED, "%s: volumes cannot be measured where slices have no place or no thickness",
                dicom_series_name(set, index, series)));
    derived_name(&plan.job, &object);
    GO(put_object(&put, &plan, &object));
    GO(verify(&plan, &put));
    status = put_send(&put, write, user);
done:
    put_free(&put);
    seg_plan_end(&plan);
    return status;
}
