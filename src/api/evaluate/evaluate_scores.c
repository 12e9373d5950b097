/* Class scores of cases against their classes: AUC with an interval, accuracy, confusion.  Scores are a CSV (header
 * file,CLASS,CLASS,..., as prediction writes them); the truth is a folder of class folders, or a CSV file,label. Called
 * by cover_evaluate(). */
#include "evaluate.h"

#include "core/base/files.h"
#include "core/base/number.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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
    struct arena *arena = &job->evaluation->arena;
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
        job->column[job->classes] = c, job->name[job->classes++] = csv_cell(table, 0, c);
    }
    if (job->classes < 1) return fail(COVER_ERROR_FORMAT, "%s: no column holds the scores of a class", table->path);
    const int64_t most = table->rows - 1;
    job->score = arena_alloc(arena, (size_t)(most * job->classes) * sizeof *job->score);
    job->label = arena_alloc(arena, (size_t)(most * job->classes));
    job->truth = arena_alloc(arena, (size_t)most * sizeof *job->truth);
    job->file = arena_alloc(arena, (size_t)most * sizeof *job->file);
    if (!job->score || !job->label || !job->truth || !job->file) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < most; i++) {
        job->file[i] = csv_cell(table, i + 1, 0);
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
    job->known = arena_alloc(&evaluation->arena, (size_t)files.count * sizeof *job->known);
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
    return arena_text(&evaluation->arena, path, length);
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
    job->known = arena_alloc(&evaluation->arena, (size_t)labels->rows * sizeof *job->known);
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

struct findings {
    double *auc; /* [classes] */
    struct interval mean_auc, accuracy;
    int64_t *confusion; /* NULL: multi-label */
    double *right;      /* of each case: 1, or of multi-label the share of labels */
};

static cover_status measure(struct findings *findings, const struct scores_job *job, const struct scored_cases *cases) {
    struct evaluation *evaluation = job->evaluation;
    const cover_evaluate_options *options = &evaluation->options;
    const size_t classes = (size_t)job->classes;
    double mean;
    findings->auc = arena_alloc(&evaluation->arena, classes * sizeof *findings->auc);
    findings->right = arena_alloc(&evaluation->arena, (size_t)job->cases * sizeof *findings->right);
    if (!job->multilabel && classes <= 4096)
        findings->confusion = arena_alloc(&evaluation->arena, classes * classes * sizeof *findings->confusion);
    if (!findings->auc || !findings->right || (!job->multilabel && classes <= 4096 && !findings->confusion))
        return COVER_ERROR_MEMORY;
    TRY(ranking_auc_all(findings->auc, &mean, evaluation->context, cases));
    TRY(ranking_auc_interval(&findings->mean_auc, evaluation->context, cases, options->resamples, options->confidence,
                             options->seed));
    TRY(ranking_confusion(findings->confusion, &mean, cases));
    for (int64_t i = 0; i < job->cases; i++) {
        struct scored_cases one = *cases;
        one.count = 1, one.score += i * job->classes;
        if (one.truth) one.truth += i;
        if (one.label) one.label += i * job->classes;
        TRY(ranking_confusion(NULL, &findings->right[i], &one));
    }
    return bootstrap_interval(&findings->accuracy, evaluation->context, findings->right, job->cases, options->resamples,
                              options->confidence, options->seed);
}

static void add_labels(struct text *json, const struct scores_job *job, int64_t i) {
    int given = 0;
    if (!job->multilabel) {
        text_add_json(json, job->name[job->truth[i]]);
        return;
    }
    text_add(json, "[");
    for (int c = 0; c < job->classes; c++) {
        if (!job->label[i * job->classes + c]) continue;
        text_add(json, given++ ? ", " : "");
        text_add_json(json, job->name[c]);
    }
    text_add(json, "]");
}

static void write_json(struct text *json, const struct scores_job *job, const struct findings *findings) {
    const cover_evaluate_options *options = &job->evaluation->options;
    text_add(json, "{\"kind\": \"%s\", \"count\": %lld, \"auc\": ", job->multilabel ? "multi-label" : "classification",
             (long long)job->cases);
    eval_number(json, findings->mean_auc.mean);
    text_add(json, ", \"auc_interval\": ");
    eval_interval(json, &findings->mean_auc);
    text_add(json, ", \"accuracy\": ");
    eval_number(json, findings->accuracy.mean);
    text_add(json, ", \"accuracy_interval\": ");
    eval_interval(json, &findings->accuracy);
    text_add(json, ",\n \"classes\": {");
    for (int c = 0; c < job->classes; c++) {
        text_add(json, c ? ", " : "");
        text_add_json(json, job->name[c]);
        text_add(json, ": ");
        eval_number(json, findings->auc[c]);
    }
    text_add(json, "}");
    for (int64_t t = 0; findings->confusion && t < job->classes; t++) {
        text_add(json, t ? ", [" : ",\n \"confusion\": [[");
        for (int64_t p = 0; p < job->classes; p++)
            text_add(json, "%s%lld", p ? ", " : "", (long long)findings->confusion[t * job->classes + p]);
        text_add(json, t == job->classes - 1 ? "]]" : "]");
    }
    text_add(json, ",\n \"confidence\": %g, \"resamples\": %d, \"seed\": %llu,\n \"cases\": [", options->confidence,
             options->resamples, (unsigned long long)options->seed);
    for (int64_t i = 0; i < job->cases; i++) {
        text_add(json, i ? ",\n {\"case\": " : "\n {\"case\": ");
        text_add_json(json, job->file[i]);
        text_add(json, ", \"label\": ");
        add_labels(json, job, i);
        text_add(json, ", \"right\": ");
        eval_number(json, findings->right[i]);
        text_add(json, ", \"scores\": [");
        for (int c = 0; c < job->classes; c++) {
            text_add(json, c ? ", " : "");
            eval_number(json, (double)job->score[i * job->classes + c]);
        }
        text_add(json, "]}");
    }
    text_add(json, "]}\n");
}

static void write_csv(struct text *csv, const struct scores_job *job, const struct findings *findings) {
    text_add(csv, "file,label,right");
    for (int c = 0; c < job->classes; c++) {
        text_add(csv, ",");
        csv_add(csv, job->name[c]);
    }
    for (int64_t i = 0; i < job->cases; i++) {
        int given = 0;
        text_add(csv, "\n");
        csv_add(csv, job->file[i]);
        text_add(csv, ",");
        for (int c = 0; c < job->classes; c++)
            if (job->label[i * job->classes + c]) {
                text_add(csv, given++ ? "|" : "");
                csv_add(csv, job->name[c]);
            }
        text_add(csv, ",");
        eval_cell(csv, findings->right[i]);
        for (int c = 0; c < job->classes; c++) {
            text_add(csv, ",");
            eval_cell(csv, (double)job->score[i * job->classes + c]);
        }
    }
    text_add(csv, "\n");
}

cover_status evaluate_scores(struct evaluation *evaluation) {
    struct scores_job job = {.evaluation = evaluation};
    struct findings findings = {0};
    struct scored_cases cases;
    cover_status status;
    GO(read_scores(&job));
    GO(folder_exists(evaluation->truth) ? read_tree(&job) : read_label_csv(&job));
    GO(join_truth(&job));
    cases = (struct scored_cases){.score = job.score, .count = job.cases, .classes = job.classes, .names = job.name};
    if (job.multilabel) cases.label = job.label;
    else cases.truth = job.truth;
    status = measure(&findings, &job, &cases);
    if (status != COVER_OK) {
        fail_in(status, "%s", evaluation->truth);
        goto done;
    }
    write_json(&evaluation->json, &job, &findings);
    if (evaluation->options.csv) write_csv(&evaluation->csv, &job, &findings);
done:
    csv_free(&job.table);
    csv_free(&job.labels);
    return status;
}
