/* Training and validation samples (split.h): the samples that may train lie in one list, patient by patient in random order;
 * validation is taken out of it, then shots are counted from its start.  Called by the fine-tuning trainer. */
#include "split.h"

#include "core/base/philox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct member {
    int64_t sample, patient, first; /* first: the patient's first sample */
    uint64_t key;                   /* of the patient, random */
    double turn;                    /* when the patient is asked for validation: its rank within its class, 0..1 */
    int class, role;                /* class 0 for tasks without; role a cover_split */
};

struct choice {
    cover_context *context;
    const struct settings *settings;
    const struct split_input *input;
    struct member *members; /* TRAIN and VAL, and TEST as well until patients were compared */
    int64_t count;
    int64_t *counts, *seen; /* one a class */
    int classes;
};

#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

static int by_patient(const void *left, const void *right) {
    const struct member *a = left, *b = right;
    return a->patient != b->patient ? ORDER(a->patient, b->patient) : ORDER(a->sample, b->sample);
}
static int by_key(const void *left, const void *right) {
    const struct member *a = left, *b = right;
    if (a->key != b->key) return ORDER(a->key, b->key);
    return a->first != b->first ? ORDER(a->first, b->first) : ORDER(a->sample, b->sample);
}
/* Beside the order by key: patients in turn, those of one turn by class. */
static int by_turn(const void *left, const void *right) {
    const struct member *a = left, *b = right;
    if (a->turn != b->turn) return ORDER(a->turn, b->turn);
    return by_key(left, right);
}
static int by_sample(const void *left, const void *right) { return ORDER(*(const int64_t *)left, *(const int64_t *)right); }

static const char *class_text(char text[80], const struct choice *choice, int class) {
    if (choice->input->class_names) snprintf(text, 80, "'%.70s'", choice->input->class_names[class]);
    else snprintf(text, 80, "%d", class);
    return text;
}

/* ---- who is there */

static cover_status take_members(struct choice *choice) {
    const struct split_input *input = choice->input;
    bool has_train = false;
    for (int64_t i = 0; i < input->samples; i++) has_train |= input->split[i] == COVER_SPLIT_TRAIN;
    for (int64_t i = 0; i < input->samples; i++) {
        int role = input->split[i];
        if (role == COVER_SPLIT_NONE) {
            if (has_train) continue;
            role = COVER_SPLIT_TRAIN;
        }
        int64_t patient = input->patient ? input->patient[i] : -1;
        int class = input->class_index ? input->class_index[i] : 0;
        if (role != COVER_SPLIT_TEST && (class < 0 || class >= choice->classes))
            return fail(COVER_ERROR_ARGUMENT, "sample %lld has %s, but the task needs one of %d; pack it with its class",
                        (long long)i, class < 0 ? "no class" : "an unknown class", choice->classes);
        choice->members[choice->count++] =
            (struct member){.sample = i, .patient = patient, .first = i, .class = class, .role = role};
    }
    return COVER_OK;
}

/* Give each patient its first sample and its key; refuse one that is on two sides. */
static cover_status find_patients(struct choice *choice) {
    static const char *const names[] = {"none", "train", "val", "test"};
    struct member *m = choice->members;
    qsort(m, (size_t)choice->count, sizeof *m, by_patient);
    for (int64_t i = 0; i < choice->count; i++) {
        if (i && m[i].patient >= 0 && m[i].patient == m[i - 1].patient) {
            if (m[i].role != m[i - 1].role)
                return fail(COVER_ERROR_ARGUMENT,
                            "samples %lld (%s) and %lld (%s) are of one patient; put all of a patient's samples into one split",
                            (long long)m[i - 1].sample, names[m[i - 1].role], (long long)m[i].sample, names[m[i].role]);
            m[i].first = m[i - 1].first;
        }
        struct random4 r = philox((uint64_t)choice->settings->task.split_seed, (uint32_t)m[i].first, RANDOM_TASK_SPLIT,
                                  (uint32_t)((uint64_t)m[i].first >> 32), 0);
        m[i].key = (uint64_t)r.word[0] << 32 | r.word[1];
    }
    int64_t kept = 0;
    for (int64_t i = 0; i < choice->count; i++)
        if (m[i].role != COVER_SPLIT_TEST) m[kept++] = m[i];
    choice->count = kept;
    qsort(m, (size_t)kept, sizeof *m, by_key);
    return COVER_OK;
}

/* ---- validation */

static bool begins_patient(const struct choice *choice, int64_t i) {
    return i == 0 || choice->members[i].first != choice->members[i - 1].first;
}

/* Deal patients out class by class: number them so that those of a class follow each other; every folds-th is of one fold. */
static void take_fold(struct choice *choice) {
    struct member *m = choice->members;
    int64_t before = 0, folds = choice->settings->task.folds, fold = choice->settings->task.fold - 1;
    for (int c = 0; c < choice->classes; c++) choice->seen[c] = before, before += choice->counts[c];
    bool chosen = false;
    for (int64_t i = 0; i < choice->count; i++) {
        if (begins_patient(choice, i)) chosen = choice->seen[m[i].class]++ % folds == fold;
        if (chosen) m[i].role = COVER_SPLIT_VAL;
    }
}

/* Patients in turn until there are enough samples: the r-th of n patients of a class has its turn at (r + 1/2) / n. */
static void take_number(struct choice *choice) {
    struct member *m = choice->members;
    double turn = 0;
    memset(choice->seen, 0, (size_t)choice->classes * sizeof *choice->seen);
    for (int64_t i = 0; i < choice->count; i++) {
        if (begins_patient(choice, i)) {
            int c = m[i].class;
            turn = ((double)choice->seen[c]++ + 0.5) / (double)choice->counts[c];
        }
        m[i].turn = turn;
    }
    qsort(m, (size_t)choice->count, sizeof *m, by_turn);
    for (int64_t i = 0, taken = 0; i < choice->count; i++, taken++) {
        if (begins_patient(choice, i) && taken >= choice->settings->task.val) break;
        m[i].role = COVER_SPLIT_VAL;
    }
    qsort(m, (size_t)choice->count, sizeof *m, by_key);
}

static cover_status take_validation(struct choice *choice, bool *own) {
    const struct settings *s = choice->settings;
    int64_t patients = 0, validate = 0;
    for (int64_t i = 0; i < choice->count; i++) validate += choice->members[i].role == COVER_SPLIT_VAL;
    *own = validate > 0;
    if (*own) return COVER_OK;
    memset(choice->counts, 0, (size_t)choice->classes * sizeof *choice->counts);
    for (int64_t i = 0; i < choice->count; i++)
        if (begins_patient(choice, i)) choice->counts[choice->members[i].class]++, patients++;
    if (s->task.val > 0) take_number(choice);
    else take_fold(choice);
    for (int64_t i = 0; i < choice->count; i++) validate += choice->members[i].role == COVER_SPLIT_VAL;
    if (validate > 0 && validate < choice->count) return COVER_OK;
    if (s->task.val > 0)
        return fail(COVER_ERROR_ARGUMENT,
                    "val=%lld takes all samples that may train (samples: %lld, patients: %lld); use fewer, or more data",
                    (long long)s->task.val, (long long)choice->count, (long long)patients);
    return fail(COVER_ERROR_ARGUMENT, "fold %lld of %lld is %s (patients that may train: %lld); use fewer folds, or val=N",
                (long long)s->task.fold, (long long)s->task.folds, validate ? "everything" : "empty", (long long)patients);
}

/* ---- training */

/* How many of `count` training samples (of a class, or of all) are used. */
static cover_status samples_used(int64_t *used, const struct choice *choice, int class, int64_t count) {
    const struct settings *s = choice->settings;
    char of[100] = "", name[80];
    if (choice->input->class_index) snprintf(of, sizeof of, " of class %s", class_text(name, choice, class));
    if (count == 0)
        return fail(COVER_ERROR_ARGUMENT, "no training sample%s is left; pack more, or set another fold or split_seed", of);
    if (s->task.shots > count)
        return fail(COVER_ERROR_ARGUMENT, "shots=%lld, but there are %lld training samples%s beside validation; use fewer",
                    (long long)s->task.shots, (long long)count, of);
    *used = s->task.shots ? s->task.shots : (int64_t)(s->task.fraction * (double)count + 0.5);
    if (*used < 1) *used = 1;
    return COVER_OK;
}

static cover_status keep_training(struct choice *choice) {
    memset(choice->counts, 0, (size_t)choice->classes * sizeof *choice->counts);
    for (int64_t i = 0; i < choice->count; i++)
        if (choice->members[i].role == COVER_SPLIT_TRAIN) choice->counts[choice->members[i].class]++;
    for (int c = 0; c < choice->classes; c++) TRY(samples_used(&choice->seen[c], choice, c, choice->counts[c]));
    for (int64_t i = 0; i < choice->count; i++) {
        struct member *m = &choice->members[i];
        if (m->role == COVER_SPLIT_TRAIN && --choice->seen[m->class] < 0) m->role = COVER_SPLIT_NONE;
    }
    return COVER_OK;
}

/* ---- both */

static cover_status list_of(int64_t **list, int64_t *count, const struct choice *choice, int role) {
    for (int64_t i = 0; i < choice->count; i++) *count += choice->members[i].role == role;
    int64_t *samples = memory_alloc(choice->context, (size_t)*count * sizeof *samples), at = 0;
    if (!samples) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < choice->count; i++)
        if (choice->members[i].role == role) samples[at++] = choice->members[i].sample;
    qsort(samples, (size_t)*count, sizeof *samples, by_sample);
    *list = samples;
    return COVER_OK;
}

cover_status split_create(struct split *split, cover_context *context, const struct settings *settings,
                          const struct split_input *input) {
    cover_status status = COVER_OK;
    int64_t bytes;
    struct choice choice = {.context = context, .settings = settings, .input = input};
    choice.classes = input->class_index ? input->classes : 1;
    *split = (struct split){.context = context};
    if (settings->task.shots && settings->task.fraction < 1)
        return fail(COVER_ERROR_ARGUMENT, "shots=%lld and fraction=%g: choose one of them", (long long)settings->task.shots,
                    settings->task.fraction);
    if (input->samples < 1 || choice.classes < 1)
        return fail(COVER_ERROR_ARGUMENT, "the data has no %s", input->samples < 1 ? "samples" : "classes");
    if (!multiply(input->samples, sizeof(struct member), &bytes)) return fail(COVER_ERROR_MEMORY, "too many samples");
    choice.members = memory_alloc(context, (size_t)bytes);
    choice.counts = memory_zero(context, (size_t)choice.classes * sizeof *choice.counts);
    choice.seen = memory_zero(context, (size_t)choice.classes * sizeof *choice.seen);
    if (!choice.members || !choice.counts || !choice.seen) status = COVER_ERROR_MEMORY;
    if (status != COVER_OK) goto done;

    GO(take_members(&choice));
    GO(find_patients(&choice));
    if (choice.count == 0)
        GO(fail(COVER_ERROR_ARGUMENT, "all %lld samples are test samples; pack some for training", (long long)input->samples));
    GO(take_validation(&choice, &split->own));
    GO(keep_training(&choice));
    GO(list_of(&split->train, &split->train_count, &choice, COVER_SPLIT_TRAIN));
    GO(list_of(&split->val, &split->val_count, &choice, COVER_SPLIT_VAL));
done:
    memory_free(context, choice.members), memory_free(context, choice.counts), memory_free(context, choice.seen);
    if (status != COVER_OK) split_free(split);
    return status;
}

void split_free(struct split *split) {
    memory_free(split->context, split->train), memory_free(split->context, split->val);
    *split = (struct split){0};
}
