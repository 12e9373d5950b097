/* See derived.h. */
#include "derived.h"

#include "moment.h"

#include "core/base/number.h"

#include <stdio.h>
#include <string.h>

static const cover_seg_options defaults = COVER_SEG_OPTIONS_INIT;

/* ---- the job */

static cover_status check_options(const cover_seg_options *options) {
    const char *sha = options->weights_sha256;
    if (options->class_names && options->classes < 2)
        return fail(COVER_ERROR_ARGUMENT, "classes is %d: the background and at least one more are needed", options->classes);
    for (int i = 0; options->class_names && i < options->classes; i++)
        if (!options->class_names[i]) return fail(COVER_ERROR_ARGUMENT, "class_names[%d] is NULL", i);
    if (options->series_number < 0) return fail(COVER_ERROR_ARGUMENT, "series_number is %d", options->series_number);
    if (sha && (strlen(sha) != SHA256_TEXT - 1 || strspn(sha, "0123456789abcdef") != SHA256_TEXT - 1))
        return fail(COVER_ERROR_ARGUMENT, "weights_sha256 is not a SHA-256 in hexadecimal");
    return options->uid_root ? dicom_check_root(options->uid_root) : COVER_OK;
}

/* Times are told in the source's zone, where it says one, as all of an object are (PS3.3, C.12.1.1.8). */
static cover_status read_time(struct dicom_job *job) {
    struct moment moment;
    char zone[8];
    if (!job->options.time) moment_now(&moment);
    else if (!moment_read(&moment, job->options.time))
        return fail(COVER_ERROR_ARGUMENT, "time \"%s\": 2026-11-30T12:00:00 with Z or an offset like +01:00 behind it is expected",
                    job->options.time);
    dicom_text(job->source, dicom_find(job->source, NULL, TAG_TIMEZONE), zone, sizeof zone);
    moment_to_zone(&moment, zone);
    moment_print(&moment, job->date, job->time, job->zone);
    return COVER_OK;
}

/* What results depend on but for the label map: that is added by its pixels. */
static void hash_job(struct dicom_job *job) {
    const cover_seg_options *options = &job->options;
    const char *const texts[] = {COVER_VERSION,           options->type,     options->segments, options->task, options->description,
                                 options->weights_sha256, options->uid_root, job->date,         job->time,     job->zone};
    sha256_begin(&job->series);
    const char *const common[] = {COVER_VERSION,
                                  job->task,
                                  options->weights_sha256,
                                  job->date,
                                  job->time,
                                  job->zone,
                                  job->volume->slices[0]->object->series_uid};
    for (size_t i = 0; i < sizeof common / sizeof *common; i++) dicom_hash_text(&job->series, common[i]);
    const int64_t numbers[] = {options->classes, options->empty_frames, options->series_number, job->volume->count};
    sha256_begin(&job->hash);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) dicom_hash_text(&job->hash, texts[i]);
    sha256_add(&job->hash, numbers, sizeof numbers);
    for (int i = 0; options->class_names && i < options->classes; i++) dicom_hash_text(&job->hash, options->class_names[i]);
    for (int i = 0; i < job->volume->count; i++) {
        const struct dicom_frame *slice = job->volume->slices[i];
        const struct dicom_tree *tree = &slice->object->tree;
        sha256_add(&job->hash, &(int64_t){slice->frame}, sizeof(int64_t));
        if (slice->first) sha256_add(&job->hash, tree->bytes, (size_t)tree->kept);
    }
}

cover_status dicom_job_begin(struct dicom_job *job, const cover_dicom *set, int index, const cover_seg_options *options) {
    char series[DICOM_SERIES_BYTES];
    *job = (struct dicom_job){.set = set, .context = set->context, .options = defaults};
    TRY(dicom_set_check(set, index));
    if (options) TRY(options_read(&job->options, sizeof job->options, options, "cover_seg_options"));
    TRY(check_options(&job->options));
    job->volume = &set->volumes[index];
    job->source = &job->volume->slices[0]->object->tree;
    if (job->volume->refusal)
        return fail(COVER_ERROR_FORMAT, "%s: %s", dicom_series_name(set, index, series), job->volume->refusal);
    dicom_clean_text(job->task, sizeof job->task, job->options.task && *job->options.task ? job->options.task : "label map");
    dicom_clean_text(job->description, sizeof job->description,
                     job->options.description && *job->options.description ? job->options.description : job->task);
    snprintf(job->serial, sizeof job->serial, "%.16s", job->options.weights_sha256 ? job->options.weights_sha256 : "0");
    TRY(read_time(job));
    TRY(dicom_segments_make(&job->segments, &job->segment_count, job->context, job->options.class_names, job->options.classes,
                            job->options.segments));
    hash_job(job);
    return COVER_OK;
}

void dicom_job_end(struct dicom_job *job) {
    memory_free(job->context, job->segments);
    job->segments = NULL;
}

/* ---- elements */

static void put_copy(struct dicom_put *put, const struct dicom_job *job, uint32_t tag, const char vr[3], bool empty) {
    put_source(put, tag, vr, job->source, dicom_find(job->source, NULL, tag), empty);
}

void derived_put_head(struct dicom_put *put, const struct dicom_job *job, const struct dicom_derived *object) {
    put_copy(put, job, TAG_CHARACTER_SET, "CS", false);
    if (object->image_type) put_text(put, TAG_IMAGE_TYPE, "CS", object->image_type);
    put_text(put, TAG_CREATION_DATE, "DA", job->date);
    put_text(put, TAG_CREATION_TIME, "TM", job->time);
    put_text(put, TAG_SOP_CLASS, "UI", object->sop_class);
    put_text(put, TAG_SOP_INSTANCE, "UI", object->sop_uid);
    put_copy(put, job, TAG_STUDY_DATE, "DA", true);
    put_text(put, TAG_SERIES_DATE, "DA", job->date);
    put_text(put, TAG_CONTENT_DATE, "DA", job->date);
    put_copy(put, job, TAG_STUDY_TIME, "TM", true);
    put_text(put, TAG_SERIES_TIME, "TM", job->time);
    put_text(put, TAG_CONTENT_TIME, "TM", job->time);
    put_copy(put, job, TAG_ACCESSION, "SH", true);
    put_text(put, TAG_MODALITY, "CS", object->modality);
    if (object->conversion) put_text(put, TAG_CONVERSION_TYPE, "CS", object->conversion);
    put_text(put, TAG_MANUFACTURER, "LO", "libcover");
    put_copy(put, job, TAG_REFERRING, "PN", true);
    if (job->zone[0]) put_text(put, TAG_TIMEZONE, "SH", job->zone);
    put_copy(put, job, TAG_STUDY_DESCRIPTION, "LO", false);
    put_text(put, TAG_SERIES_DESCRIPTION, "LO", job->description);
    put_text(put, TAG_MODEL, "LO", job->task);
}

void derived_put_equipment(struct dicom_put *put, const struct dicom_job *job) {
    char text[160];
    const char *sha = job->options.weights_sha256;
    snprintf(text, sizeof text, "%s%s; not for diagnostic use", sha ? "weights sha256:" : "no weights", sha ? sha : "");
    put_open(put, TAG_CONTRIBUTING);
    put_text(put, TAG_MANUFACTURER, "LO", "libcover");
    put_text(put, TAG_MODEL, "LO", job->task);
    put_text(put, TAG_SOFTWARE, "LO", COVER_VERSION);
    put_text(put, TAG_CONTRIBUTION, "ST", text);
    put_code(put, TAG_PURPOSE, "109102", "DCM", "Processing Equipment");
    put_close(put);
}

/* Objects of one patient and one study say the same of them. */
static const struct {
    uint32_t tag;
    char vr[3];
    bool empty; /* stands there even where the source has none */
} patient[] = {
    {TAG_PATIENT_NAME, "PN", true},         {TAG_PATIENT_ID, "LO", true},
    {TAG_PATIENT_ISSUER, "LO", false},      {TAG_PATIENT_BIRTH, "DA", true},
    {TAG_PATIENT_BIRTH_TIME, "TM", false},  {TAG_PATIENT_SEX, "CS", true},

    {TAG_PATIENT_OTHER_NAMES, "PN", false}, {TAG_PATIENT_AGE, "AS", false},
    {TAG_PATIENT_HEIGHT, "DS", false},      {TAG_PATIENT_WEIGHT, "DS", false},
    {TAG_PATIENT_GROUP, "SH", false},       {TAG_PATIENT_OCCUPATION, "SH", false},
    {TAG_PATIENT_HISTORY, "LT", false},     {TAG_PATIENT_COMMENTS, "LT", false},
    {TAG_IDENTITY_REMOVED, "CS", false},    {TAG_DEIDENTIFICATION_METHOD, "LO", false},
};

/* How the source was made free of names: by codes. */
static void put_method_codes(struct dicom_put *put, const struct dicom_job *job) {
    static const uint32_t parts[] = {TAG_CODE_VALUE, TAG_CODE_SCHEME, TAG_CODE_MEANING};
    static const char vrs[][3] = {"SH", "SH", "LO"};
    const struct dicom_tree *tree = job->source;
    const struct dicom_node *codes = dicom_find(tree, NULL, TAG_DEIDENTIFICATION_CODES);
    if (!dicom_first(tree, codes)) return;
    put_sequence(put, TAG_DEIDENTIFICATION_CODES);
    for (const struct dicom_node *item = dicom_first(tree, codes); item; item = dicom_next(tree, codes, item)) {
        put_item(put);
        for (int i = 0; i < 3; i++) put_source(put, parts[i], vrs[i], tree, dicom_find(tree, item, parts[i]), true);
        put_end(put);
    }
    put_end(put);
}

void derived_put_patient(struct dicom_put *put, const struct dicom_job *job) {
    for (size_t i = 0; i < sizeof patient / sizeof *patient; i++)
        put_copy(put, job, patient[i].tag, patient[i].vr, patient[i].empty);
    put_method_codes(put, job);
    put_text(put, TAG_SERIAL_NUMBER, "LO", job->serial);
    put_text(put, TAG_SOFTWARE, "LO", COVER_VERSION);
}

static int64_t series_number(const struct dicom_job *job, int added) {
    int64_t number = 0;
    bool present;
    if (job->options.series_number > 0) return job->options.series_number;
    if (dicom_integer(job->source, dicom_find(job->source, NULL, TAG_SERIES_NUMBER), &number, &present) != COVER_OK || !present ||
        number > INT32_MAX - added)
        number = 0;
    return number + added;
}

void derived_put_series(struct dicom_put *put, const struct dicom_job *job, const struct dicom_derived *object, bool placed) {
    put_copy(put, job, TAG_STUDY_UID, "UI", true);
    put_text(put, TAG_SERIES_UID, "UI", object->series_uid);
    put_copy(put, job, TAG_STUDY_ID, "SH", true);
    put_integer(put, TAG_SERIES_NUMBER, series_number(job, object->series_number));
    put_integer(put, TAG_INSTANCE_NUMBER, 1);
    if (!placed) {
        if (object->image_type) put_copy(put, job, TAG_PATIENT_ORIENTATION, "CS", true); /* an image that says nothing else of it */
        if (object->conversion) put_copy(put, job, TAG_LATERALITY, "CS", true);
        return;
    }
    put_copy(put, job, TAG_FRAME_OF_REFERENCE, "UI", true);
    put_copy(put, job, TAG_POSITION_INDICATOR, "LO", true);
}

void derived_put_instance(struct dicom_put *put, const struct dicom_object *object) {
    const struct dicom_tree *tree = &object->tree;
    put_source(put, TAG_REFERENCED_CLASS, "UI", tree, dicom_find(tree, NULL, TAG_SOP_CLASS), true);
    put_source(put, TAG_REFERENCED_INSTANCE, "UI", tree, dicom_find(tree, NULL, TAG_SOP_INSTANCE), true);
}

void derived_put_references(struct dicom_put *put, const struct dicom_job *job) {
    put_open(put, TAG_REFERENCED_SERIES);
    put_sequence(put, TAG_REFERENCED_INSTANCES);
    for (int i = 0; i < job->volume->count; i++) {
        if (!job->volume->slices[i]->first) continue;
        put_item(put);
        derived_put_instance(put, job->volume->slices[i]->object);
        put_end(put);
    }
    put_end(put);
    put_copy(put, job, TAG_SERIES_UID, "UI", true);
    put_close(put);
}

void derived_put_lossy(struct dicom_put *put, const struct dicom_job *job) {
    const struct dicom_tree *lossy = NULL;
    for (int i = 0; i < job->volume->count && !lossy; i++) {
        const struct dicom_tree *tree = &job->volume->slices[i]->object->tree;
        if (dicom_text_is(tree, dicom_find(tree, NULL, TAG_LOSSY), "01")) lossy = tree;
    }
    put_text(put, TAG_LOSSY, "CS", lossy ? "01" : "00");
    if (!lossy) return;
    put_source(put, TAG_LOSSY_RATIO, "DS", lossy, dicom_find(lossy, NULL, TAG_LOSSY_RATIO), false);
    put_source(put, TAG_LOSSY_METHOD, "CS", lossy, dicom_find(lossy, NULL, TAG_LOSSY_METHOD), false);
}

void derived_name(const struct dicom_job *job, struct dicom_derived *object) {
    dicom_uid(object->sop_uid, &job->hash, job->options.uid_root, object->sop_class, 0);
    dicom_uid(object->series_uid, &job->series, job->options.uid_root, object->modality, object->series_number);
}

void derived_tracking(const struct dicom_job *job, int segment, char uid[UID_BYTES]) {
    dicom_uid(uid, &job->hash, job->options.uid_root, "tracking", segment);
}
