/* DICOM Segmentations among the sources are the labels of the volumes that their frames lie on (R48): by reference, not by name; the class
 * is the segment's label.  Of several of one volume the latest counts: what was corrected in a viewer and sent back.
 * Called by pack_dicom.c. */
#include "pack_segments.h"

#include "core/base/memory.h"
#include "io/dicom/seg_read.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_CLASSES = 65535 };

/* One segmentation and where it lies. */
struct found {
    const struct dicom_object *object;
    int volume;
    char made[64]; /* Content Date and Time, then its UID */
};
struct class {
    const char *name;
    int number; /* as the objects have it */
};
struct survey {
    struct pack_plan *plan;
    struct found *found;
    int64_t count, capacity;
    struct class *classes;
    int64_t class_count, class_capacity;
    bool renumber; /* a name has two numbers somewhere, or a number two names */
};

/* ---- classes */

static cover_status note_class(struct survey *survey, const struct dicom_read_segment *segment) {
    struct pack_plan *plan = survey->plan;
    const char *name = *segment->label ? segment->label : segment->value;
    for (int64_t i = 0; i < survey->class_count; i++) {
        const bool same = strcmp(survey->classes[i].name, name) == 0;
        if (same != (survey->classes[i].number == segment->number)) survey->renumber = true;
        if (same) return COVER_OK;
    }
    if (!array_grow(plan->context, &survey->classes, &survey->class_capacity, survey->class_count + 1, sizeof *survey->classes))
        return COVER_ERROR_MEMORY;
    struct class *class = &survey->classes[survey->class_count++];
    *class = (struct class){arena_text(&plan->arena, name, strlen(name)), segment->number};
    return class->name ? COVER_OK : COVER_ERROR_MEMORY;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct class *)a)->name, ((const struct class *)b)->name);
}
static int by_number(const void *a, const void *b) { return ((const struct class *)a)->number - ((const struct class *)b)->number; }

/* Numbers as the objects have them where all agree, else in the order of their names. */
static cover_status number_classes(struct survey *survey) {
    struct pack_plan *plan = survey->plan;
    struct text names = {.context = plan->context};
    int most = 0;
    if (plan->label_names)
        return fail(COVER_ERROR_MISMATCH, "DICOM Segmentations and a dataset.json name the labels; pack them apart");
    if (survey->class_count > MOST_CLASSES) return fail(COVER_ERROR_SHAPE, "more than %d classes of segments", MOST_CLASSES);
    for (int64_t i = 0; i < survey->class_count; i++)
        if (survey->classes[i].number > survey->class_count) survey->renumber = true; /* no class without a segment */
    qsort(survey->classes, (size_t)survey->class_count, sizeof *survey->classes, survey->renumber ? by_name : by_number);
    for (int64_t i = 0; i < survey->class_count; i++) {
        if (survey->renumber) survey->classes[i].number = (int)i + 1;
        if (survey->classes[i].number > most) most = survey->classes[i].number;
    }
    plan->label_classes = most + 1;
    plan->value_names = arena_alloc(&plan->arena, (size_t)plan->label_classes * sizeof *plan->value_names);
    if (!plan->value_names) return COVER_ERROR_MEMORY;
    plan->value_names[0] = "background";
    text_add(&names, "{\"background\": 0");
    for (int64_t i = 0; i < survey->class_count; i++) {
        plan->value_names[survey->classes[i].number] = survey->classes[i].name;
        text_add(&names, ", ");
        text_add_json(&names, survey->classes[i].name);
        text_add(&names, ": %d", survey->classes[i].number);
    }
    text_add(&names, "}");
    plan->label_names = names.failed ? NULL : arena_text(&plan->arena, names.data, names.length);
    text_free(&names);
    return plan->label_names ? COVER_OK : COVER_ERROR_MEMORY;
}

/* ---- where they lie */

/* *volume: -1 with the error set where it lies on none. */
static cover_status find_volume(struct dicom_seg *seg, const struct cover_dicom *set, int *volume) {
    cover_status status = COVER_OK;
    *volume = -1;
    for (int i = 0; i < set->volume_count && *volume < 0; i++) {
        if (set->volumes[i].refusal || strcmp(set->volumes[i].slices[0]->object->study_uid, seg->object->study_uid) != 0) continue;
        status = dicom_seg_place(seg, set, i);
        if (status == COVER_OK) *volume = i;
        else if (status == COVER_ERROR_MEMORY) return status;
    }
    if (*volume >= 0) return COVER_OK;
    return status == COVER_OK ? fail(COVER_ERROR_MISMATCH, "none of its images is here, or can be read") : status;
}

static cover_status add_found(struct survey *survey, const struct dicom_object *object, int volume) {
    const struct dicom_tree *tree = &object->tree;
    char date[17], time[17];
    if (!array_grow(survey->plan->context, &survey->found, &survey->capacity, survey->count + 1, sizeof *survey->found))
        return COVER_ERROR_MEMORY;
    struct found *found = &survey->found[survey->count++];
    *found = (struct found){.object = object, .volume = volume};
    dicom_text(tree, dicom_find(tree, NULL, TAG_CONTENT_DATE), date, sizeof date);
    dicom_text(tree, dicom_find(tree, NULL, TAG_CONTENT_TIME), time, sizeof time);
    snprintf(found->made, sizeof found->made, "%-9s%-17s", date, time);
    return COVER_OK;
}

static cover_status add_bad(struct pack_plan *plan, const struct dicom_object *object) {
    char name[DICOM_NAME_BYTES];
    struct pack_item *item = pack_plan_add(plan);
    if (!item) return COVER_ERROR_MEMORY;
    item->name = item->path = arena_print(&plan->arena, "%s", dicom_object_name(object, name));
    item->unusable = arena_print(&plan->arena, "%s: a segmentation: %s", name, cover_error_text());
    return item->name && item->unusable ? COVER_OK : COVER_ERROR_MEMORY;
}

static cover_status look_at(struct survey *survey, const struct dicom_object *object) {
    struct dicom_seg seg = {0};
    int volume = -1;
    cover_status status = dicom_seg_open(&seg, survey->plan->context, object);
    if (status == COVER_OK && seg.type == SEG_FRACTIONAL)
        status = fail(COVER_ERROR_UNSUPPORTED, "it is FRACTIONAL: BINARY and LABELMAP are labels, probabilities are not");
    if (status == COVER_OK) status = find_volume(&seg, survey->plan->dicom, &volume);
    for (int i = 0; i < seg.segment_count && status == COVER_OK; i++) status = note_class(survey, &seg.segments[i]);
    if (status == COVER_OK) status = add_found(survey, object, volume);
    else if (status != COVER_ERROR_MEMORY) status = add_bad(survey->plan, object);
    dicom_seg_close(&seg);
    return status;
}

/* The label value of each segment of an object, by 1 + its index. */
static const uint16_t *numbers_of(struct survey *survey, const struct dicom_object *object) {
    struct dicom_seg seg = {0};
    uint16_t *numbers = NULL;
    if (dicom_seg_open(&seg, survey->plan->context, object) == COVER_OK)
        numbers = arena_alloc(&survey->plan->arena, ((size_t)seg.segment_count + 1) * sizeof *numbers);
    for (int s = 0; numbers && s < seg.segment_count; s++)
        for (int64_t c = 0; c < survey->class_count; c++) {
            const char *name = *seg.segments[s].label ? seg.segments[s].label : seg.segments[s].value;
            if (strcmp(survey->classes[c].name, name) == 0) numbers[s + 1] = (uint16_t)survey->classes[c].number;
        }
    dicom_seg_close(&seg);
    return numbers;
}

static cover_status give(struct survey *survey) {
    struct pack_plan *plan = survey->plan;
    for (int64_t i = 0; i < plan->count; i++) {
        struct pack_item *item = &plan->items[i];
        const struct found *latest = NULL;
        int64_t several = 0;
        for (int64_t f = 0; item->volume && f < survey->count; f++) {
            const struct found *found = &survey->found[f];
            if (&plan->dicom->volumes[found->volume] != item->volume) continue;
            several++;
            if (!latest || strcmp(found->made, latest->made) > 0 ||
                (strcmp(found->made, latest->made) == 0 && strcmp(found->object->sop_uid, latest->object->sop_uid) > 0))
                latest = found;
        }
        if (!latest) continue;
        if (several > 1 && !plan->quiet)
            log_line(plan->context, COVER_LOG_INFO, "pack: %s: %lld segmentations; the latest counts", item->path,
                     (long long)several);
        item->segmentation = latest->object;
        item->label_number = numbers_of(survey, latest->object);
        if (!item->label_number) return COVER_ERROR_MEMORY;
        item->label_classes = plan->label_classes;
    }
    return COVER_OK;
}

cover_status pack_segments(struct pack_plan *plan) {
    struct survey survey = {.plan = plan};
    cover_status status = COVER_OK;
    for (int64_t i = 0; i < plan->dicom->count && status == COVER_OK; i++)
        if (plan->dicom->objects[i]->kind == DICOM_SEGMENTATION) status = look_at(&survey, plan->dicom->objects[i]);
    if (status == COVER_OK && survey.count > 0) status = number_classes(&survey);
    if (status == COVER_OK && survey.count > 0) status = give(&survey);
    memory_free(plan->context, survey.found);
    memory_free(plan->context, survey.classes);
    return status;
}

/* The numbers of a dataset's classes may not fit what holds those of one object. */
static cover_status widen(struct image *label, cover_context *context) {
    const int64_t count = label->size[0] * label->size[1] * label->size[2];
    uint16_t *wide = memory_within(context, (size_t)count * sizeof *wide);
    if (!wide) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < count; i++) wide[i] = ((const uint8_t *)label->data)[i];
    memory_free(context, label->data);
    label->data = wide, label->dtype = COVER_U16;
    return COVER_OK;
}

cover_status pack_segments_read(struct image *label, cover_context *context, const struct pack_plan *plan,
                                const struct pack_item *item) {
    const struct cover_dicom *set = plan->dicom;
    const int index = (int)(item->volume - set->volumes);
    struct dicom_seg seg = {0};
    void *labels;
    if (item->volume->tilt_degrees > 0)
        return fail(COVER_ERROR_UNSUPPORTED, "labels of a tilted gantry lie on its slices, and are not resampled with them");
    cover_status status = dicom_seg_open(&seg, context, item->segmentation);
    if (status == COVER_OK) {
        dicom_volume_look(label, set, index, -1);
        label->channels = 1;
        status = dicom_seg_labels(&labels, &label->dtype, &seg, set, index);
    }
    if (status == COVER_OK) {
        label->data = labels;
        if (label->dtype == COVER_U8 && plan->label_classes > 256) status = widen(label, context);
    }
    dicom_seg_close(&seg);
    return status;
}
