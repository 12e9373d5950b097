/* The CSV of labels (docs/dataset.md, "Labels files"): the classes of each image, one or several joined by |.  The list
 * of classes is that of the whole file, so that parts of a collection packed apart number them alike.
 * Called by pack_sources.c. */
#include "pack_csv.h"

#include <stdlib.h>
#include <string.h>

/* One word of a list "a | b|c", without the spaces around it; *list moves behind it.  NULL at the end. */
static const char *next_word(const char **list, size_t *length) {
    const char *at = *list;
    for (;;) {
        at += strspn(at, " |");
        if (!*at) return NULL;
        *length = strcspn(at, "|");
        *list = at + *length;
        while (at[*length - 1] == ' ') (*length)--;
        return at;
    }
}

static bool is_word(const char *word, size_t length, const char *text) {
    return text && strlen(text) == length && memcmp(word, text, length) == 0;
}

struct labels {
    struct pack_plan *plan;
    struct pack_csv csv;
    const char *negative; /* the word for "none of them"; NULL = no such word */
};

/* Several classes in one row, or a word for none: then each sample has a set of classes. */
static cover_status look_through(struct labels *labels, int64_t *words) {
    const struct pack_csv *csv = &labels->csv;
    bool negative_seen = false;
    *words = 0;
    for (int64_t i = 0; i < csv->count; i++) {
        const char *list = csv->rows[i].value[CSV_LABEL], *word;
        size_t length;
        int64_t here = 0;
        bool negative = false;
        while ((word = next_word(&list, &length))) here++, negative |= is_word(word, length, labels->negative);
        if (negative && here > 1)
            return fail(COVER_ERROR_FORMAT, "%s: line %lld: '%s' means none of the classes, but it stands beside others: %s",
                        csv->path, (long long)csv->rows[i].line, labels->negative, csv->rows[i].value[CSV_LABEL]);
        if (here > 1) labels->plan->multilabel = true;
        negative_seen |= negative;
        *words += here;
    }
    if (labels->negative && !negative_seen)
        return fail(COVER_ERROR_ARGUMENT, "%s: no line has the label '%s', which negative names", csv->path, labels->negative);
    labels->plan->multilabel |= labels->negative != NULL;
    return COVER_OK;
}

static cover_status collect(struct labels *labels, int64_t words) {
    struct pack_plan *plan = labels->plan;
    const char **names = arena_alloc(&plan->arena, (size_t)(words + 1) * sizeof *names);
    int64_t count = 0;
    if (!names) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < labels->csv.count; i++) {
        const char *list = labels->csv.rows[i].value[CSV_LABEL], *word;
        size_t length;
        while ((word = next_word(&list, &length))) {
            if (is_word(word, length, labels->negative)) continue;
            names[count] = arena_text(&plan->arena, word, length);
            if (!names[count++]) return COVER_ERROR_MEMORY;
        }
    }
    TRY(pack_plan_classes(plan, names, count));
    if (plan->classes == 0) return fail(COVER_ERROR_FORMAT, "%s: names no class", labels->csv.path);
    if (plan->multilabel && plan->classes > 64)
        return fail(COVER_ERROR_UNSUPPORTED, "%s: %d classes; a set of labels has at most 64", labels->csv.path, plan->classes);
    return COVER_OK;
}

static cover_status apply(struct labels *labels, struct pack_item *item) {
    const struct csv_row *row;
    const char *word;
    size_t length;
    TRY(pack_csv_match(&labels->csv, item, &row));
    item->class_name = NULL, item->multilabel = labels->plan->multilabel;
    if (!row) {
        if (!item->unusable) item->unusable = "not listed in the labels file";
        return COVER_OK;
    }
    if (*row->value[CSV_PATIENT]) item->patient = row->value[CSV_PATIENT];
    for (const char *list = row->value[CSV_LABEL]; (word = next_word(&list, &length));) {
        if (is_word(word, length, labels->negative)) continue;
        const char *name = arena_text(&labels->plan->arena, word, length);
        if (!name) return COVER_ERROR_MEMORY;
        if (labels->plan->multilabel) item->class_set |= (uint64_t)1 << pack_plan_class(labels->plan, name);
        else item->class_name = name;
    }
    return COVER_OK;
}

cover_status pack_labels_read(struct pack_plan *plan, const char *path, const char *negative, bool *splits) {
    cover_status status = COVER_OK;
    struct labels labels = {.plan = plan, .negative = negative};
    int64_t words;
    TRY(pack_csv_read(&labels.csv, plan, path, "label"));
    if (!pack_csv_has(&labels.csv, CSV_LABEL)) GO(fail(COVER_ERROR_FORMAT, "%s: the first line names no column \"label\"", path));
    GO(look_through(&labels, &words));
    GO(collect(&labels, words));
    for (int64_t i = 0; i < plan->count; i++) GO(apply(&labels, &plan->items[i]));
    pack_csv_log_unused(&labels.csv);
    *splits = pack_csv_has(&labels.csv, CSV_SPLIT);
done:
    pack_csv_free(&labels.csv);
    return status;
}
