/* The frames of a set become volumes (R24, R25, R30, R34): sorted by what does not depend on names or order of files, put together by what
 * one volume has in common, doubles left out, phases taken apart.  Called by set.c. */
#include "set.h"

#include "core/base/number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double SAME_SPACING = 1e-4, SAME_COSINE = 1e-4, SAME_PLACE_MM = 1e-3;

/* ---- in what order */

static int compare_text(const struct dicom_object *a, const struct dicom_object *b, uint32_t tag) {
    size_t m, n;
    const uint8_t *x = dicom_bytes(&a->tree, dicom_find(&a->tree, NULL, tag), &m);
    const uint8_t *y = dicom_bytes(&b->tree, dicom_find(&b->tree, NULL, tag), &n);
    const size_t both = m < n ? m : n;
    const int order = both ? memcmp(x, y, both) : 0;
    return order ? order : (m > n) - (m < n);
}

/* For sorting, which takes an order of all values: NaN has none. */
static double sortable(double value) { return isfinite(value) ? value : -1; }

static double number_of(const struct dicom_tree *tree, const struct dicom_node *node) {
    char text[32];
    dicom_text(tree, node, text, sizeof text);
    return sortable(number_read(text, NULL));
}

#define ORDER(a, b)                                                                                                                \
    if ((a) != (b)) return (a) < (b) ? -1 : 1

/* What a volume has in common but for tolerances. */
static int compare_objects(const struct dicom_object *a, const struct dicom_object *b) {
    if (a == b) return 0;
    int order = strcmp(a->study_uid, b->study_uid);
    if (order) return order;
    ORDER(number_of(&a->tree, dicom_find(&a->tree, NULL, TAG_SERIES_NUMBER)),
          number_of(&b->tree, dicom_find(&b->tree, NULL, TAG_SERIES_NUMBER)));
    if ((order = strcmp(a->series_uid, b->series_uid))) return order;
    const bool local_a = dicom_text_has(&a->tree, dicom_find(&a->tree, NULL, TAG_IMAGE_TYPE), "LOCALIZER");
    const bool local_b = dicom_text_has(&b->tree, dicom_find(&b->tree, NULL, TAG_IMAGE_TYPE), "LOCALIZER");
    ORDER(local_a, local_b);
    if ((order = compare_text(a, b, TAG_FRAME_OF_REFERENCE))) return order;
    if ((order = strcmp(a->modality, b->modality))) return order;
    ORDER(a->shape.rows, b->shape.rows);
    ORDER(a->shape.columns, b->shape.columns);
    ORDER(a->shape.samples, b->shape.samples);
    return 0;
}

/* Two objects of one UID: by what is in them. */
static int compare_content(const struct dicom_object *a, const struct dicom_object *b) {
    int order = strcmp(a->sop_uid, b->sop_uid);
    if (order || a == b) return order;
    ORDER(a->tree.kept, b->tree.kept);
    if (a->tree.kept && (order = memcmp(a->tree.bytes, b->tree.bytes, (size_t)a->tree.kept))) return order;
    return 0;
}

static int compare_frames(const void *left, const void *right) {
    const struct dicom_frame *a = left, *b = right;
    int order = compare_objects(a->object, b->object);
    if (order) return order;
    ORDER(b->placed, a->placed);
    if ((order = compare_content(a->object, b->object))) return order;
    ORDER(a->object->number, b->object->number);
    ORDER(a->frame, b->frame);
    return 0;
}

static int compare_along(const void *left, const void *right) {
    const struct dicom_frame *a = *(const struct dicom_frame *const *)left, *b = *(const struct dicom_frame *const *)right;
    ORDER(a->along, b->along);
    return compare_frames(a, b);
}

/* ---- what belongs together */

static bool close_to(const double *a, const double *b, int count, double tolerance) {
    for (int i = 0; i < count; i++)
        if (!(fabs(a[i] - b[i]) <= tolerance)) return false;
    return true;
}

static bool of_one_volume(const struct dicom_frame *a, const struct dicom_frame *b) {
    return close_to(a->spacing, b->spacing, 2, SAME_SPACING) && close_to(a->row, b->row, 3, SAME_COSINE) &&
           close_to(a->column, b->column, 3, SAME_COSINE);
}

static struct dicom_volume *add_volume(struct cover_dicom *set, int64_t *capacity, int64_t slices) {
    if (!array_grow(set->context, &set->volumes, capacity, set->volume_count + 1, sizeof *set->volumes)) return NULL;
    const struct dicom_frame **list = memory_alloc(set->context, (size_t)slices * sizeof *list);
    if (!list) return NULL;
    struct dicom_volume *volume = &set->volumes[set->volume_count++];
    *volume = (struct dicom_volume){.slices = list};
    return volume;
}

static void describe(struct dicom_volume *volume) {
    const struct dicom_object *object = volume->slices[0]->object;
    volume->channels = object->shape.samples == 3 || object->photometric == PHOTOMETRIC_PALETTE ? 3 : 1;
    volume->localizer = dicom_text_has(&object->tree, dicom_find(&object->tree, NULL, TAG_IMAGE_TYPE), "LOCALIZER");
    for (int i = 0; i < volume->count; i++) volume->duplicates += volume->slices[i]->doubles;
}

/* ---- doubles and phases */

static bool at_one_place(const struct dicom_frame *a, const struct dicom_frame *b) {
    return close_to(a->position, b->position, 3, SAME_PLACE_MM);
}

/* Slices at one place with equal pixels are one; *differ: the first of two that are not. */
static cover_status drop_doubles(struct cover_dicom *set, struct dicom_volume *volume, int *differ) {
    int kept = 1;
    *differ = -1;
    for (int i = 1; i < volume->count; i++) {
        const struct dicom_frame *before = volume->slices[kept - 1], *slice = volume->slices[i];
        if (at_one_place(before, slice)) {
            bool equal;
            TRY(dicom_frames_equal(set->context, before, slice, &equal));
            if (equal) {
                volume->duplicates++;
                continue;
            }
            if (*differ < 0) *differ = kept - 1;
        }
        volume->slices[kept++] = slice;
    }
    volume->count = kept;
    return COVER_OK;
}

/* What tells phases of one place apart, in the order in which it is tried. */
static const struct {
    uint32_t tag, macro;
} phase_tags[] = {
    {TAG_ACQUISITION_NUMBER, 0}, {TAG_FRAME_ACQUISITION, TAG_FRAME_CONTENT},
    {TAG_TEMPORAL_POSITION, 0},  {TAG_TEMPORAL_INDEX, TAG_FRAME_CONTENT},
    {TAG_TRIGGER_TIME, 0},       {TAG_ECHO_NUMBER, 0},
    {TAG_ECHO_TIME, 0},          {TAG_B_VALUE, 0},
    {TAG_CONTENT_TIME, 0},
};

/* The value of a frame as a number, for sorting; those that are binary in the standard (FD, UL, US) by their size. */
static double phase_of(const struct dicom_frame *slice, uint32_t tag, uint32_t macro) {
    const struct dicom_tree *tree = &slice->object->tree;
    const struct dicom_node *node = dicom_of_frame(slice->object, slice->frame, macro, tag);
    size_t count;
    const uint8_t *bytes = dicom_bytes(tree, node, &count);
    if (!bytes) return -1;
    if (tag == TAG_B_VALUE && count == 8) return sortable(dicom_f64(tree, bytes));
    if (tag == TAG_TEMPORAL_INDEX && count == 4) return dicom_u32(tree, bytes);
    if (tag == TAG_FRAME_ACQUISITION && count == 2) return dicom_u16(tree, bytes);
    return number_of(tree, node);
}

struct phase {
    double value;
    const struct dicom_frame *slice;
    int at; /* in the volume */
};

static int compare_phases(const void *left, const void *right) {
    const struct phase *a = left, *b = right;
    ORDER(a->value, b->value);
    return (a->at > b->at) - (a->at < b->at);
}

/* Does it take a volume apart into parts without doubles that are each regular?  Then those are volumes; else nothing has changed. */
static cover_status split_by(struct cover_dicom *set, int64_t *capacity, const struct dicom_volume *whole, int which, bool *split) {
    const int first = set->volume_count;
    struct phase *phases = memory_alloc(set->context, (size_t)whole->count * sizeof *phases);
    cover_status status = phases ? COVER_OK : COVER_ERROR_MEMORY;
    *split = false;
    if (!phases) return status;
    for (int i = 0; i < whole->count; i++)
        phases[i] = (struct phase){phase_of(whole->slices[i], phase_tags[which].tag, phase_tags[which].macro), whole->slices[i], i};
    qsort(phases, (size_t)whole->count, sizeof *phases, compare_phases);
    bool sound = phases[0].value != phases[whole->count - 1].value;
    for (int begin = 0, end; begin < whole->count && sound; begin = end) {
        for (end = begin; end < whole->count && phases[end].value == phases[begin].value;) end++;
        struct dicom_volume *part = add_volume(set, capacity, end - begin);
        if (!part) GO(COVER_ERROR_MEMORY);
        for (int i = begin; i < end; i++) {
            part->slices[part->count++] = phases[i].slice;
            if (i > begin && at_one_place(phases[i - 1].slice, phases[i].slice)) sound = false;
        }
        describe(part);
        if (!sound) break;
        GO(dicom_stack(set, part));
        sound = !part->refusal;
    }
    *split = sound;
done:
    memory_free(set->context, phases);
    while ((status != COVER_OK || !sound) && set->volume_count > first) {
        struct dicom_volume *part = &set->volumes[--set->volume_count];
        memory_free(set->context, part->slices);
        memory_free(set->context, part->refusal);
    }
    return status;
}

static cover_status refuse_doubles(struct cover_dicom *set, struct dicom_volume *volume, int at) {
    struct text text = {.context = set->context};
    const struct dicom_frame *first = volume->slices[at];
    text_add(&text,
             "two different images at position %.2f mm (image %d, image %d); they differ in no attribute that tells phases apart",
             first->along, at + 1, at + 2);
    return text_take(&text, &volume->refusal);
}

/* Slices of one kind: sorted, without doubles, taken apart, checked. */
static cover_status finish(struct cover_dicom *set, int64_t *capacity, int index) {
    struct dicom_volume *volume = &set->volumes[index];
    double normal[3];
    int differ;
    dicom_normal(volume->slices[0], normal);
    for (int i = 0; i < volume->count; i++)
        ((struct dicom_frame *)volume->slices[i])->along = dicom_dot(volume->slices[i]->position, normal);
    qsort(volume->slices, (size_t)volume->count, sizeof *volume->slices, compare_along);
    describe(volume);
    TRY(drop_doubles(set, volume, &differ));
    if (differ < 0) return dicom_stack(set, volume);
    for (int which = 0; which < (int)(sizeof phase_tags / sizeof *phase_tags); which++) {
        bool split;
        const struct dicom_volume whole = set->volumes[index]; /* the array may move */
        TRY(split_by(set, capacity, &whole, which, &split));
        if (!split) continue;
        memory_free(set->context, whole.slices); /* the parts follow it, in the order of their phases */
        memmove(&set->volumes[index], &set->volumes[index + 1], (size_t)(set->volume_count - index - 1) * sizeof *set->volumes);
        set->volume_count--;
        return COVER_OK;
    }
    return refuse_doubles(set, &set->volumes[index], differ);
}

/* ---- the whole */

/* Of objects with one UID the first stays, of those that follow each other in the list. */
static void drop_same_uid(struct cover_dicom *set) {
    int64_t kept = 0;
    for (int64_t i = 0; i < set->frame_count; i++) {
        const struct dicom_object *object = set->frames[i].object, *before = kept ? set->frames[kept - 1].object : NULL;
        const bool same = before && before != object && object->sop_uid[0] && strcmp(before->sop_uid, object->sop_uid) == 0 &&
                          compare_objects(before, object) == 0;
        if (same) set->frames[kept - 1].doubles++;
        else set->frames[kept++] = set->frames[i];
    }
    set->frame_count = kept;
}

static cover_status make_images(struct cover_dicom *set, int64_t *capacity, int64_t begin, int64_t end) {
    struct dicom_volume *volume = add_volume(set, capacity, end - begin);
    if (!volume) return COVER_ERROR_MEMORY;
    volume->images = true;
    for (int64_t i = begin; i < end; i++) volume->slices[volume->count++] = &set->frames[i];
    describe(volume);
    return dicom_image_spacing(set->frames[begin].object, volume->spacing_mm + 1, &volume->spacing_at);
}

/* Frames begin .. end - 1 have all in common that compare_objects() looks at, and lie somewhere. */
static cover_status make_volumes(struct cover_dicom *set, int64_t *capacity, int64_t begin, int64_t end) {
    bool *taken = memory_zero(set->context, (size_t)(end - begin));
    cover_status status = taken ? COVER_OK : COVER_ERROR_MEMORY;
    for (int64_t i = begin; i < end && status == COVER_OK; i++) {
        if (taken[i - begin]) continue;
        int64_t count = 0;
        for (int64_t k = i; k < end; k++) count += !taken[k - begin] && of_one_volume(&set->frames[i], &set->frames[k]);
        struct dicom_volume *volume = add_volume(set, capacity, count);
        if (!volume) GO(COVER_ERROR_MEMORY);
        for (int64_t k = i; k < end; k++) {
            if (taken[k - begin] || !of_one_volume(&set->frames[i], &set->frames[k])) continue;
            taken[k - begin] = true;
            volume->slices[volume->count++] = &set->frames[k];
        }
        status = finish(set, capacity, set->volume_count - 1);
    }
done:
    memory_free(set->context, taken);
    return status;
}

/* Frames of several objects may lie between each other. */
static void count_objects(struct cover_dicom *set) {
    for (int v = 0; v < set->volume_count; v++) {
        struct dicom_volume *volume = &set->volumes[v];
        for (int i = 0; i < volume->count; i++) {
            struct dicom_frame *slice = (struct dicom_frame *)volume->slices[i];
            slice->first = slice->object->volume != v + 1;
            slice->object->volume = v + 1;
            volume->objects += slice->first;
        }
    }
}

cover_status dicom_group(struct cover_dicom *set) {
    int64_t capacity = 0;
    if (set->frame_count > 0) qsort(set->frames, (size_t)set->frame_count, sizeof *set->frames, compare_frames);
    drop_same_uid(set);
    for (int64_t begin = 0, end; begin < set->frame_count; begin = end) {
        const struct dicom_frame *first = &set->frames[begin];
        for (end = begin + 1; end < set->frame_count; end++) {
            const struct dicom_frame *next = &set->frames[end];
            if (next->placed != first->placed || compare_objects(first->object, next->object) != 0) break;
            if (!first->placed && next->object != first->object) break;
        }
        TRY((first->placed ? make_volumes : make_images)(set, &capacity, begin, end));
    }
    count_objects(set);
    return COVER_OK;
}

const char *dicom_series_name(const struct cover_dicom *set, int index, char name[DICOM_SERIES_BYTES]) {
    const struct dicom_volume *volume = &set->volumes[index];
    const int images = volume->objects;
    const char *modality = volume->slices[0]->object->modality;
    number_print(name, DICOM_SERIES_BYTES, "series %d (%s%s%d image%s)", index + 1, modality, *modality ? ", " : "", images,
                 images == 1 ? "" : "s");
    return name;
}
