/* Class scores of cases against their classes: AUC with an interval, accuracy, confusion.  Scores are a CSV (header
 * file,CLASS,CLASS,..., as prediction writes them); the truth is a folder of class folders, or a CSV file,label. Called
 * by evaluate.c. */
#include "evaluate.h"

#include "core/base/files.h"
#include "core/base/number.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CONFUSED = 4096 }; /* classes that a table of confusion is made of */

struct scores_job {
    struct evaluation *evaluation;
    struct csv table, labels;
    int classes;
    const char **name;   /* of the classes, in the order of their columns */
    int64_t *column;     /* of each class in the table */
    struct known *known; /* what the truth says, by name */
    int64_t known_count;
    const char **file; /* of each case */
    float *score;
    int *truth;
    uint8_t *label; /* multi-label, (cases, classes) */
    bool multilabel;
    int64_t cases;
};

/* ---- the table of scores */

static bool is_file_column(const char *name) { return same_word(name, "file") || same_word(name, "image"); }
/* Columns that are no classes: what prediction says beside its scores. */
static bool is_other_column(const char *name) {
    static const char *const others[] = {"prediction", "label", "labels", "class"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (same_word(name, others[i])) return true;
    return false;
}

static cover_status read_number(float *number, const struct csv *table, int64_t row, int64_t column) {
    const char *text = csv_cell(table, row, column);
    char *end;
    *number = number_read_float(text, &end);
    if (!*text || *end)
        return fail(COVER_ERROR_FORMAT, "%s: line %lld: '%s' is no score of class '%s'", table->path, (long long)table->line[row],
                    text, csv_cell(table, 0, column));
    if (isnan(*number))
        return fail(COVER_ERROR_NUMERIC, "%s: line %lld: the score of class '%s' is NaN; look at what made the scores", table->path,
                    (long long)table->line[row], csv_cell(table, 0, column));
    return COVER_OK;
}

static cover_status read_scores(struct scores_job *job) {
    struct csv *table = &job->table;
    struct arena *arena = job->evaluation->arena;
    TRY(csv_read(table, job->evaluation->context, job->evaluation->prediction, true));
    if (!is_file_column(csv_cell(table, 0, 0)))
        return fail(COVER_ERROR_FORMAT, "%s: the first column is '%s'; it should be 'file', then a column a class", table->path,
                    csv_cell(table, 0, 0));
    job->name = arena_alloc(arena, (size_t)table->columns * sizeof *job->name);
    job->column = arena_alloc(arena, (size_t)table->columns * sizeof *job->column);
    if (!job->name || !job->column) return COVER_ERROR_MEMORY;
    for (int64_t c = 1; c < table->columns; c++) {
        if (is_other_column(csv_cell(table, 0, c))) continue;
        for (int i = 0; i < job->classes; i++)
            if (strcmp(job->name[i], csv_cell(table, 0, c)) == 0)
                return fail(COVER_ERROR_FORMAT, "%s: two columns are named '%s'", table->path, job->name[i]);
        const char *name = csv_cell(table, 0, c); /* outlives the table */
        if (!(name = arena_text(arena, name, strlen(name)))) return COVER_ERROR_MEMORY;
        job->column[job->classes] = c, job->name[job->classes++] = name;
    }
    if (job->classes < 1) return fail(COVER_ERROR_FORMAT, "%s: no column holds the scores of a class", table->path);
    const int64_t most = table->rows - 1;
    job->score = arena_alloc(arena, (size_t)(most * job->classes) * sizeof *job->score);
    job->label = arena_alloc(arena, (size_t)(most * job->classes));
    job->truth = arena_alloc(arena, (size_t)most * sizeof *job->truth);
    job->file = arena_alloc(arena, (size_t)most * sizeof *job->file);
    if (!job->score || !job->label || !job->truth || !job->file) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < most; i++) {
        const char *file = csv_cell(table, i + 1, 0);
        if (!(job->file[i] = arena_text(arena, file, strlen(file)))) return COVER_ERROR_MEMORY;
        for (int c = 0; c < job->classes; c++) TRY(read_number(&job->score[i * job->classes + c], table, i + 1, job->column[c]));
    }
    job->cases = most;
    return COVER_OK;
}

/* ---- the truth, in the order of names: path or file name without extension */

struct known {
    const char *name;     /* relative to the folder, or as the CSV has it */
    const char *labels;   /* class names joined by | */
    bool used, ambiguous; /* ambiguous: another file has this file name */
};

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct known *)a)->name, ((const struct known *)b)->name);
}

static int class_index(const struct scores_job *job, const char *name, size_t length) {
    for (int c = 0; c < job->classes; c++)
        if (strlen(job->name[c]) == length && memcmp(job->name[c], name, length) == 0) return c;
    return -1;
}

/* The class of a file is the folder on its way that is named like a class, the deepest one. */
static cover_status read_tree(struct scores_job *job) {
    struct eval_cases files;
    struct evaluation *evaluation = job->evaluation;
    TRY(eval_files(&files, evaluation, evaluation->truth));
    job->known = arena_alloc(evaluation->arena, (size_t)files.count * sizeof *job->known);
    if (!job->known) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < files.count; i++) {
        const char *name = files.each[i].name, *found = NULL, *part = name;
        for (size_t length; (length = strcspn(part, "/")), part[length]; part += length + 1) {
            const int index = class_index(job, part, length);
            if (index >= 0) found = job->name[index];
        }
        if (!found)
            return fail(COVER_ERROR_MISMATCH,
                        "%s: lies in no folder that is named like a class of %s ('%s'%s%s%s, ...); rename the folder "
                        "or the column",
                        files.each[i].prediction, job->table.path, job->name[0], job->classes > 1 ? ", '" : "",
                        job->classes > 1 ? job->name[1] : "", job->classes > 1 ? "'" : "");
        job->known[job->known_count++] = (struct known){.name = name, .labels = found};
    }
    return COVER_OK;
}

static const char *stem(struct evaluation *evaluation, const char *path) {
    size_t length = strlen(path) - (has_suffix(path, ".gz") ? 3 : 0);
    const char *name = path_name(path);
    for (size_t at = length; path + at > name + 1; at--)
        if (path[at - 1] == '.') {
            length = at - 1;
            break;
        }
    return arena_text(evaluation->arena, path, length);
}

static cover_status read_label_csv(struct scores_job *job) {
    struct evaluation *evaluation = job->evaluation;
    struct csv *labels = &job->labels;
    int64_t file = -1, label = -1;
    TRY(csv_read(labels, evaluation->context, evaluation->truth, true));
    for (int64_t c = 0; c < labels->columns; c++) {
        const char *name = csv_cell(labels, 0, c);
        if (file < 0 && is_file_column(name)) file = c;
        if (label < 0 && is_other_column(name) && !same_word(name, "prediction")) label = c;
    }
    if (file < 0 || label < 0)
        return fail(COVER_ERROR_FORMAT, "%s: the first line names no column \"%s\"; it should be like file,label", labels->path,
                    file < 0 ? "file" : "label");
    job->known = arena_alloc(evaluation->arena, (size_t)labels->rows * sizeof *job->known);
    if (!job->known) return COVER_ERROR_MEMORY;
    for (int64_t i = 1; i < labels->rows; i++) {
        const char *text = csv_cell(labels, i, label);
        job->multilabel |= evaluation->options.negative || !*text || strchr(text, '|') != NULL;
        job->known[job->known_count] = (struct known){.name = stem(evaluation, csv_cell(labels, i, file)), .labels = text};
        if (!job->known[job->known_count++].name) return COVER_ERROR_MEMORY;
    }
    qsort(job->known, (size_t)job->known_count, sizeof *job->known, by_name);
    for (int64_t i = 1; i < job->known_count; i++)
        if (strcmp(job->known[i].name, job->known[i - 1].name) == 0)
            return fail(COVER_ERROR_FORMAT, "%s: two lines are about '%s'", labels->path, job->known[i].name);
    return COVER_OK;
}

/* The truth about a file: by its path, else by its file name when only one file has that. */
static cover_status find(struct known **found, struct scores_job *job, const char *file) {
    const char *name = stem(job->evaluation, file);
    if (!name) return COVER_ERROR_MEMORY;
    while (strncmp(name, "./", 2) == 0) name += 2;
    const struct known wanted = {.name = name};
    *found = bsearch(&wanted, job->known, (size_t)job->known_count, sizeof wanted, by_name);
    for (int64_t i = 0; !*found && i < job->known_count; i++) {
        if (strcmp(path_name(job->known[i].name), path_name(name)) != 0) continue;
        for (int64_t k = i + 1; k < job->known_count; k++)
            if (strcmp(path_name(job->known[k].name), path_name(name)) == 0)
                return fail(COVER_ERROR_MISMATCH, "%s: '%s' may be %s or %s of %s; write more of the path", job->table.path, file,
                            job->known[i].name, job->known[k].name, job->evaluation->truth);
        *found = &job->known[i];
    }
    if (!*found)
        return fail(COVER_ERROR_MISMATCH, "%s: '%s' is not in %s; evaluate against the labels of these files", job->table.path,
                    file, job->evaluation->truth);
    if ((*found)->used) return fail(COVER_ERROR_MISMATCH, "%s: '%s' is there twice", job->table.path, file);
    (*found)->used = true;
    return COVER_OK;
}

/* "a|c": the labels of case i. */
static cover_status set_labels(struct scores_job *job, int64_t i, const struct known *known) {
    const char *negative = job->evaluation->options.negative;
    for (const char *from = known->labels; *(from += strspn(from, " |"));) {
        size_t length = strcspn(from, "|");
        while (from[length - 1] == ' ') length--;
        const int c = class_index(job, from, length);
        if (c < 0 && negative && strlen(negative) == length && memcmp(from, negative, length) == 0) {
            from += length;
            continue;
        }
        if (c < 0)
            return fail(COVER_ERROR_MISMATCH, "%s: '%s' is of class '%.*s', which no column of %s is named after",
                        job->evaluation->truth, known->name, (int)length, from, job->table.path);
        job->label[i * job->classes + c] = 1;
        job->truth[i] = c;
        from += length;
    }
    return COVER_OK;
}

static cover_status join_truth(struct scores_job *job) {
    for (int64_t i = 0; i < job->cases; i++) {
        struct known *known;
        TRY(find(&known, job, job->file[i]));
        TRY(set_labels(job, i, known));
    }
    if (job->evaluation->options.subset) return COVER_OK;
    for (int64_t k = 0; k < job->known_count; k++)
        if (!job->known[k].used)
            return fail(COVER_ERROR_MISMATCH,
                        "%s: '%s' of %s has no scores (%lld files have labels, %lld have scores); predict it, or ask for the "
                        "subset that is there",
                        job->table.path, job->known[k].name, job->evaluation->truth, (long long)job->known_count,
                        (long long)job->cases);
    return COVER_OK;
}

/* ---- the result */

/* Whether each case is right: 1 or 0, or of labels the share of them; its mean and interval. */
static cover_status judge_cases(struct interval *accuracy, const struct scores_job *job, const struct scored_cases *cases) {
    cover_evaluation *result = job->evaluation->result;
    const cover_evaluation_info *info = &result->info;
    cover_context *context = result->context;
    double *right = memory_alloc(context, (size_t)job->cases * sizeof *right);
    cover_status status = right ? COVER_OK : COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < job->cases && status == COVER_OK; i++) {
        struct scored_cases one = *cases;
        one.count = 1, one.score += i * job->classes;
        if (one.truth) one.truth += i;
        if (one.label) one.label += i * job->classes;
        status = ranking_confusion(NULL, &right[i], &one);
        result->cases[i].right = right[i];
    }
    if (status == COVER_OK)
        status = bootstrap_interval(accuracy, context, right, job->cases, info->resamples, info->confidence, info->seed);
    memory_free(context, right);
    return status;
}

static cover_status judge_classes(struct interval *mean, const struct scores_job *job, const struct scored_cases *cases) {
    cover_evaluation *result = job->evaluation->result;
    const cover_evaluation_info *info = &result->info;
    double *auc = memory_alloc(result->context, (size_t)job->classes * sizeof *auc), plain;
    cover_status status = auc ? ranking_auc_all(auc, &plain, result->context, cases) : COVER_ERROR_MEMORY;
    for (int c = 0; c < job->classes && status == COVER_OK; c++) result->classes[c].auc = auc[c];
    memory_free(result->context, auc);
    TRY(status);
    return ranking_auc_interval(mean, result->context, cases, info->resamples, info->confidence, info->seed);
}

static cover_status judge(const struct scores_job *job, const struct scored_cases *cases) {
    struct evaluation *evaluation = job->evaluation;
    cover_evaluation_info *info = &evaluation->result->info;
    const size_t classes = (size_t)job->classes;
    struct interval auc, accuracy;
    int64_t *confusion = NULL;
    double plain;
    if (!job->multilabel && classes <= MOST_CONFUSED) {
        confusion = arena_alloc(evaluation->arena, classes * classes * sizeof *confusion);
        if (!confusion) return COVER_ERROR_MEMORY;
    }
    TRY(judge_classes(&auc, job, cases));
    TRY(ranking_confusion(confusion, &plain, cases));
    TRY(judge_cases(&accuracy, job, cases));
    info->confusion = confusion;
    info->auc = auc.mean, info->auc_interval[0] = auc.low, info->auc_interval[1] = auc.high;
    info->accuracy = accuracy.mean, info->accuracy_interval[0] = accuracy.low, info->accuracy_interval[1] = accuracy.high;
    return COVER_OK;
}

static cover_status name_all(const struct scores_job *job) {
    cover_evaluation *result = job->evaluation->result;
    TRY(eval_result_room(job->evaluation, job->classes, job->cases));
    result->info.kind = job->multilabel ? COVER_EVALUATION_LABELS : COVER_EVALUATION_CLASSES;
    for (int c = 0; c < job->classes; c++) result->classes[c].name = job->name[c];
    for (int64_t i = 0; i < job->cases; i++) {
        cover_evaluation_case *one = &result->cases[i];
        one->name = job->file[i];
        one->class_index = job->multilabel ? -1 : job->truth[i];
        one->labels = job->label + i * job->classes, one->scores = job->score + i * job->classes;
    }
    return COVER_OK;
}

cover_status evaluate_scores(struct evaluation *evaluation) {
    struct scores_job job = {.evaluation = evaluation};
    struct scored_cases cases;
    cover_status status;
    GO(read_scores(&job));
    GO(folder_exists(evaluation->truth) ? read_tree(&job) : read_label_csv(&job));
    GO(join_truth(&job));
    cases = (struct scored_cases){.score = job.score, .count = job.cases, .classes = job.classes, .names = job.name};
    if (job.multilabel) cases.label = job.label;
    else cases.truth = job.truth;
    GO(name_all(&job));
    status = judge(&job, &cases);
    if (status != COVER_OK) fail_in(status, "%s", evaluation->truth);
done:
    csv_free(&job.table);
    csv_free(&job.labels);
    return status;
}
