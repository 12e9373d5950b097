/* Names of classes, and who trains and who validates (task_data.h). */
#include "task_data.h"

#include "judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cover_status task_names(char ***out, const cover_dataset *dataset, int classes) {
    cover_context *context = dataset->context;
    char **names = memory_zero(context, (size_t)classes * sizeof *names);
    if (!names) return COVER_ERROR_MEMORY;
    for (int k = 0; k < classes; k++) {
        char number[32];
        const char *name = cover_dataset_class_name(dataset, k);
        snprintf(number, sizeof number, "class %d", k);
        if (!(names[k] = memory_text(context, name ? name : number))) {
            task_names_free(context, names, classes);
            return COVER_ERROR_MEMORY;
        }
    }
    *out = names;
    return COVER_OK;
}

void task_names_free(cover_context *context, char **names, int classes) {
    for (int k = 0; names && k < classes; k++) memory_free(context, names[k]);
    memory_free(context, names);
}

/* ---- the split */

struct patient { /* a name's hash, and the sample that has it */
    uint8_t digest[SHA256_BYTES];
    int64_t sample;
};

static int by_digest(const void *a, const void *b) {
    const struct patient *x = a, *y = b;
    int order = memcmp(x->digest, y->digest, sizeof x->digest);
    return order ? order : x->sample < y->sample ? -1 : x->sample > y->sample;
}

/* Equal patients get the number of their first sample; samples without a patient are their own. */
static void number_patients(int64_t *patient, struct patient *named, int64_t count) {
    qsort(named, (size_t)count, sizeof *named, by_digest);
    for (int64_t i = 0; i < count; i++) {
        bool same = i > 0 && memcmp(named[i].digest, named[i - 1].digest, sizeof named->digest) == 0;
        patient[named[i].sample] = same ? patient[named[i - 1].sample] : named[i].sample;
    }
}

static cover_status read_rows(uint8_t *split, int64_t *patient, int *class_index, struct patient *named,
                              const cover_dataset *dataset, const struct settings *settings) {
    char name[DATASET_NAME_MAX + 1], who[DATASET_NAME_MAX + 1];
    int64_t known = 0;
    const struct task_judge *judge = task_judge_of(dataset->context, &settings->task);
    for (int64_t i = 0; i < dataset->directory.samples; i++) {
        struct dataset_row row;
        TRY(dataset_row(dataset, i, &row));
        TRY(dataset_names(dataset, &row, name, who));
        split[i] = row.split, class_index[i] = row.class_index, patient[i] = -1;
        if (!judge->usable(&settings->task, &row)) split[i] = COVER_SPLIT_TEST;
        if (!*who) continue;
        sha256(who, strlen(who), named[known].digest);
        named[known++].sample = i;
    }
    number_patients(patient, named, known);
    return COVER_OK;
}

cover_status task_split(struct split *split, const cover_dataset *dataset, const struct settings *settings, char *const *names) {
    cover_context *context = dataset->context;
    size_t samples = (size_t)dataset->directory.samples;
    uint8_t *own = memory_alloc(context, samples * sizeof *own);
    int64_t *patient = memory_alloc(context, samples * sizeof *patient);
    int *class_index = memory_alloc(context, samples * sizeof *class_index);
    struct patient *named = memory_alloc(context, samples * sizeof *named);
    cover_status status = COVER_ERROR_MEMORY;
    if (!own || !patient || !class_index || !named) goto done;
    GO(read_rows(own, patient, class_index, named, dataset, settings));
    const struct task_judge *judge = task_judge_of(dataset->context, &settings->task);
    status = split_create(
        split, context, settings,
        &(struct split_input){.samples = (int64_t)samples,
                              .split = own,
                              .patient = patient,
                              .class_index = judge->exclusive && judge->exclusive(&settings->task) ? class_index : NULL,
                              .classes = (int)settings->task.classes,
                              .class_names = (const char *const *)names});
done:
    memory_free(context, own);
    memory_free(context, patient);
    memory_free(context, class_index);
    memory_free(context, named);
    return status;
}
