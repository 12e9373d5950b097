/* Which images go into the file: what cannot be used, and whether the rest fits together (docs/dataset.md,
 * "Preparation").  Called by pack.c. */
#include "pack_job.h"

#include <stdio.h>
#include <string.h>

enum {
    LISTED = 20,    /* unusable images that are named; the others are counted */
    VARIETIES = 16, /* different channel counts that are told apart */
    EXAMPLES = 5,   /* files named for each */
    SEEN_WORDS = 4  /* classes that are looked at for being empty, by 64 */
};

void pack_say_notes(const struct pack_job *job) {
    const int64_t said = job->note_count < LISTED ? job->note_count : LISTED, more = job->note_count - said;
    for (int64_t i = 0; i < said; i++)
        log_line(job->context, COVER_LOG_WARNING, "pack: %s: %s", job->notes[i].path, job->notes[i].text);
    if (more > 0) log_line(job->context, COVER_LOG_WARNING, "pack: the same or the like of %lld more images", (long long)more);
}

/* Those that are left out are warnings; the summary has all of them. */
static void warn_of_bad(const struct pack_job *job) {
    const int64_t named = job->bad_count < LISTED ? job->bad_count : LISTED, more = job->bad_count - named;
    for (int64_t i = 0; i < named; i++)
        log_line(job->context, COVER_LOG_WARNING, "pack: left out: %s: %s", job->bad[i].path, job->bad[i].reason);
    if (more > 0)
        log_line(job->context, COVER_LOG_WARNING, "pack: left out: %lld more images; the summary names them", (long long)more);
}

/* One line an image, here or in the log, and a count of those beyond. */
static cover_status refuse_bad(const struct pack_job *job, cover_status status, const char *remedy) {
    struct text text = {.context = job->context};
    for (int64_t i = 0; i < job->bad_count && i < LISTED; i++) text_say(&text, "\n  %s: %s", job->bad[i].path, job->bad[i].reason);
    if (job->bad_count > LISTED) text_add(&text, "\n  and %lld more", (long long)job->bad_count - LISTED);
    fail_list(status, &text, "%lld of %lld images cannot be used; nothing was written%s:", (long long)job->bad_count,
              (long long)job->plan.count, remedy);
    text_free(&text);
    return status;
}

/* A program that shows a list wants all of them, not the lines of a text. */
static void tell_bad(const struct pack_job *job) {
    if (!job->options->unusable) return;
    const struct callback_turn turn = callback_enter(job->context);
    for (int64_t i = 0; i < job->bad_count; i++)
        job->options->unusable(job->options->unusable_user, job->bad[i].path, job->bad[i].reason);
    callback_leave(job->context, turn);
}

cover_status pack_judge_bad(struct pack_job *job) {
    bool memory = false;
    for (int64_t i = 0; i < job->bad_count; i++) memory = memory || job->bad[i].memory;
    if (job->bad_count == 0) return COVER_OK;
    tell_bad(job);
    if (memory) return refuse_bad(job, COVER_ERROR_MEMORY, "");
    if (job->bad_count == job->plan.count) return refuse_bad(job, COVER_ERROR_FORMAT, "");
    if (!job->options->skip_bad) return refuse_bad(job, COVER_ERROR_FORMAT, " (option skip_bad leaves them out)");
    warn_of_bad(job);
    return COVER_OK;
}

/* The images that are well must agree in dims and channels.  One row a value that was seen: how often, and where. */
struct variety {
    int value;
    int64_t count;
    const char *example[EXAMPLES];
};

static void count_value(struct variety *varieties, int *kinds, int value, const char *path) {
    int k = 0;
    while (k < *kinds && varieties[k].value != value) k++;
    if (k == VARIETIES) return;
    if (k == *kinds) varieties[(*kinds)++] = (struct variety){.value = value};
    if (varieties[k].count < EXAMPLES) varieties[k].example[varieties[k].count] = path;
    varieties[k].count++;
}

static cover_status judge_variety(const struct pack_job *job, const struct variety *varieties, int kinds, const char *what,
                                  const char *remedy) {
    struct text text = {.context = job->context};
    if (kinds == 1) return COVER_OK;
    for (int k = 0; k < kinds; k++) {
        const struct variety *v = &varieties[k];
        text_say(&text, "\n  %s %d in %lld %s:", what, v->value, (long long)v->count, v->count == 1 ? "image" : "images");
        for (int e = 0; e < EXAMPLES && e < v->count; e++) text_say(&text, "%s %s", e ? "," : "", v->example[e]);
        if (v->count > EXAMPLES) text_add(&text, ", ...");
    }
    fail_list(COVER_ERROR_SHAPE, &text, "the images differ in %s; %s", what, remedy);
    text_free(&text);
    return COVER_ERROR_SHAPE;
}

static bool has_bit(const uint64_t *bits, int bit) { return bits[bit / 64] >> bit % 64 & 1; }

/* Which ways images are stored that say where they lie. */
struct orientations {
    struct {
        char code[ORIENTATION_BYTES];
        int64_t count;
        const char *example;
    } each[48]; /* there are no more */
    int kinds;
};

static void count_orientation(struct orientations *orientations, const struct dataset_row *row, const char *path) {
    struct image image = {0};
    char code[ORIENTATION_BYTES];
    int k = 0;
    memcpy(image.affine, row->affine, sizeof image.affine);
    if (!orientation_of(&image, code)) return;
    while (k < orientations->kinds && memcmp(orientations->each[k].code, code, sizeof code) != 0) k++;
    if (k == orientations->kinds) {
        memcpy(orientations->each[k].code, code, sizeof code);
        orientations->each[k].example = path, orientations->kinds++;
    }
    orientations->each[k].count++;
}

/* A network sees voxels: bodies that are stored otherwise are mirrored or turned for it. */
static void judge_orientations(struct pack_job *job, const struct orientations *orientations) {
    struct names names = {0};
    char text[256];
    if (job->rules.orient) return;
    if (orientations->kinds == 1) memcpy(job->rules.orientation, orientations->each[0].code, ORIENTATION_BYTES);
    if (orientations->kinds < 2) return;
    for (int k = 0; k < orientations->kinds; k++) {
        snprintf(text, sizeof text, "%s (%lld, such as %s)", orientations->each[k].code, (long long)orientations->each[k].count,
                 orientations->each[k].example);
        names_add(&names, text);
    }
    log_line(
        job->context, COVER_LOG_WARNING,
        "pack: the images are stored in %d orientations, so a network sees some of them mirrored or turned: %s; orientation brings "
        "them to one, such as RAS",
        orientations->kinds, names.text);
}

/* Classes that some image has, a bit each. */
static void note_classes(const struct spool_sample *sample, uint64_t seen[SEEN_WORDS]) {
    const int index = sample->row.class_index;
    if (sample->label_max >= 0)
        for (int w = 0; w < SEEN_WORDS; w++) seen[w] |= sample->seen[w];
    else if (sample->row.multilabel) seen[0] |= sample->row.class_set;
    else if (index >= 0 && index < 64 * SEEN_WORDS) seen[index / 64] |= (uint64_t)1 << index % 64;
}

/* What is trained on this file cannot learn them. */
static void warn_of_empty_classes(const struct pack_job *job, const uint64_t seen[SEEN_WORDS]) {
    const struct pack_plan *plan = &job->plan;
    for (int c = 0; c < job->classes && c < 64 * SEEN_WORDS; c++) {
        const char *name = NULL;
        if (job->label_count == 0) name = plan->class_names[c];
        else if (c < plan->label_classes) name = plan->value_names[c];
        if (name && !has_bit(seen, c))
            log_line(job->context, COVER_LOG_WARNING, "pack: class %d (%s) is empty: no %s it", c, name,
                     job->label_count > 0 ? "label map holds" : "image has");
    }
}

/* Label maps that nobody named may hold any values, but each number up to the largest is a class.  Masks in black and white are an
 * error: whoever trains on them has 256 classes, 254 of them empty.  Others with gaps are a warning. */
static cover_status judge_values(const struct pack_job *job, const uint64_t seen[SEEN_WORDS], int label_max) {
    struct names values = {0};
    char number[8];
    int count = 0;
    if (job->plan.label_classes > 0 || job->plan.label_values.length || label_max >= 64 * SEEN_WORDS) return COVER_OK;
    for (int value = 0; value <= label_max; value++)
        if (has_bit(seen, value)) {
            snprintf(number, sizeof number, "%d", value);
            names_add(&values, number);
            count++;
        }
    if (label_max == UINT8_MAX && count == 1 + has_bit(seen, 0))
        return fail(COVER_ERROR_FORMAT,
                    "the label maps hold %s alone, as masks in black and white do, but classes are counted 0, 1, 2, ...; option "
                    "number_labels makes 255 class 1, or save the masks with 0 and 1",
                    values.text);
    if (2 * count <= label_max)
        log_line(
            job->context, COVER_LOG_WARNING,
            "pack: the label maps hold %d of the values 0 to %d (%s), and each of these is a class; number_labels counts those "
            "that occur",
            count, label_max, values.text);
    return COVER_OK;
}

/* How many classes there are: of the label maps, if there are any, else of the images; label_max is -1 without maps. */
static cover_status judge_classes(struct pack_job *job, int label_max) {
    const struct pack_plan *plan = &job->plan;
    job->classes = plan->classes;
    if (label_max < 0) return COVER_OK;
    if (plan->multilabel)
        return fail(COVER_ERROR_SHAPE,
                    "%lld images have label maps, and the labels file gives sets of classes; a dataset holds one of "
                    "them: leave labels out, or pack the folder of the images alone",
                    (long long)job->label_count);
    if (plan->ignore_label >= 0 && label_max > plan->ignore_label)
        return fail(COVER_ERROR_SHAPE,
                    "a label map holds %d, but %d is the label to ignore, above all classes; pack the sources apart", label_max,
                    plan->ignore_label);
    job->classes = plan->label_classes; /* of dataset.json */
    if (label_max >= job->classes && label_max != plan->ignore_label) job->classes = label_max + 1;
    return COVER_OK;
}

cover_status pack_judge_good(struct pack_job *job) {
    struct variety dims[VARIETIES], channels[VARIETIES];
    int dims_kinds = 0, channels_kinds = 0, label_max = -1;
    uint64_t seen[SEEN_WORDS] = {0};
    struct orientations orientations = {.kinds = 0};
    job->good = memory_alloc(job->context, (size_t)job->plan.count * sizeof *job->good);
    if (!job->good) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < job->plan.count; i++) {
        struct spool_sample sample;
        if (!pack_spool_has(&job->spool, i)) continue;
        TRY(pack_spool_sample(&job->spool, i, &sample));
        job->good[job->good_count++] = i;
        job->label_count += sample.label_max >= 0;
        count_value(dims, &dims_kinds, sample.dims, job->plan.items[i].path);
        count_value(channels, &channels_kinds, sample.channels, job->plan.items[i].path);
        if (sample.label_max > label_max) label_max = sample.label_max;
        note_classes(&sample, seen);
        count_orientation(&orientations, &sample.row, job->plan.items[i].path);
    }
    TRY(judge_variety(job, dims, dims_kinds, "dims",
                      "pack them apart, or ask for dims 3, for which a volume of a single slice is one, or for dims 2:"));
    TRY(judge_variety(job, channels, channels_kinds, "channels",
                      "ask for channels grey or rgb to convert them, or pack them apart:"));
    job->dims = dims[0].value, job->channels = channels[0].value;
    judge_orientations(job, &orientations);
    TRY(judge_classes(job, label_max));
    if (label_max >= 0) TRY(judge_values(job, seen, label_max));
    warn_of_empty_classes(job, seen);
    return COVER_OK;
}
