/* An evaluation as text: JSON, and CSV with a row a case (docs/evaluation.md).  Called by evaluate.c and by programs. */
#include "evaluate.h"

#include "core/base/json.h"

#include <math.h>

static void add_number(struct text *text, double value) { text_add_number(text, value, 10); }

static void add_cell(struct text *csv, double value) {
    if (isfinite(value)) text_add(csv, "%.10g", value);
}

static void add_interval(struct text *json, const double interval[2]) {
    text_add(json, "[");
    add_number(json, interval[0]);
    text_add(json, ", ");
    add_number(json, interval[1]);
    text_add(json, "]");
}

/* "KEY": value, behind what stands there. */
static void add_figure(struct text *json, const char *key, double value) {
    text_add(json, ", \"%s\": ", key);
    add_number(json, value);
}
static void add_figure_interval(struct text *json, const char *key, const double interval[2]) {
    text_add(json, ", \"%s\": ", key);
    add_interval(json, interval);
}

/* {"lung": X, "heart": Y} with X = add(json, evaluation, data, class). */
typedef void add_class(struct text *json, const cover_evaluation *evaluation, const void *data, int c);
static void add_classes(struct text *json, const cover_evaluation *evaluation, add_class *add, const void *data) {
    text_add(json, "{");
    for (int c = 0; c < evaluation->info.classes; c++) {
        text_add(json, c ? ", " : "");
        text_add_json(json, evaluation->classes[c].name);
        text_add(json, ": ");
        add(json, evaluation, data, c);
    }
    text_add(json, "}");
}
static void add_dice(struct text *json, const cover_evaluation *evaluation, const void *data, int c) {
    (void)data, add_number(json, evaluation->classes[c].dice);
}
static void add_dice_interval(struct text *json, const cover_evaluation *evaluation, const void *data, int c) {
    (void)data, add_interval(json, evaluation->classes[c].dice_interval);
}
static void add_hd95(struct text *json, const cover_evaluation *evaluation, const void *data, int c) {
    (void)data, add_number(json, evaluation->classes[c].hd95);
}
static void add_missed(struct text *json, const cover_evaluation *evaluation, const void *data, int c) {
    (void)data, text_add(json, "%lld", (long long)evaluation->classes[c].hd95_missed);
}
static void add_auc(struct text *json, const cover_evaluation *evaluation, const void *data, int c) {
    (void)data, add_number(json, evaluation->classes[c].auc);
}
static void add_value(struct text *json, const cover_evaluation *evaluation, const void *data, int c) {
    (void)evaluation, add_number(json, ((const double *)data)[c]);
}

/* ---- label maps */

static void write_maps(struct text *json, const cover_evaluation *evaluation) {
    const cover_evaluation_info *info = &evaluation->info;
    add_figure(json, "mean_dice", info->mean_dice);
    add_figure_interval(json, "mean_dice_interval", info->mean_dice_interval);
    add_figure(json, "mean_hd95", info->mean_hd95);
    text_add(json, ", \"spacing_known\": %s", info->spacing_known ? "true" : "false");
    static const struct {
        const char *key;
        add_class *add;
    } members[] = {{"classes", add_dice}, {"class_intervals", add_dice_interval}, {"hd95", add_hd95}, {"hd95_missed", add_missed}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        text_add(json, ",\n \"%s\": ", members[i].key);
        add_classes(json, evaluation, members[i].add, NULL);
    }
}

static void write_map_case(struct text *json, const cover_evaluation *evaluation, const cover_evaluation_case *one) {
    add_figure(json, "mean_dice", one->mean_dice);
    text_add(json, ", \"dice\": ");
    add_classes(json, evaluation, add_value, one->dice);
    text_add(json, ", \"hd95\": ");
    add_classes(json, evaluation, add_value, one->hd95);
}

static void map_columns(struct text *csv, const cover_evaluation *evaluation) {
    static const char *const figures[] = {"dice", "hd95"};
    struct text column = {.context = csv->context};
    text_add(csv, "case,mean_dice");
    for (int f = 0; f < 2; f++)
        for (int c = 0; c < evaluation->info.classes; c++) {
            column.length = 0;
            text_add(&column, "%s %s", figures[f], evaluation->classes[c].name);
            text_add(csv, ",");
            if (column.failed) csv->failed = true;
            else csv_add(csv, column.data);
        }
    text_free(&column);
}

static void map_row(struct text *csv, const cover_evaluation *evaluation, const cover_evaluation_case *one) {
    add_cell(csv, one->mean_dice);
    for (int f = 0; f < 2; f++)
        for (int c = 0; c < evaluation->info.classes; c++) {
            text_add(csv, ",");
            add_cell(csv, (f ? one->hd95 : one->dice)[c]);
        }
}

/* ---- class scores */

static void write_scores(struct text *json, const cover_evaluation *evaluation) {
    const cover_evaluation_info *info = &evaluation->info;
    add_figure(json, "auc", info->auc);
    add_figure_interval(json, "auc_interval", info->auc_interval);
    add_figure(json, "accuracy", info->accuracy);
    add_figure_interval(json, "accuracy_interval", info->accuracy_interval);
    text_add(json, ",\n \"classes\": ");
    add_classes(json, evaluation, add_auc, NULL);
    for (int64_t t = 0; info->confusion && t < info->classes; t++) {
        text_add(json, t ? ", [" : ",\n \"confusion\": [[");
        for (int64_t p = 0; p < info->classes; p++)
            text_add(json, "%s%lld", p ? ", " : "", (long long)info->confusion[t * info->classes + p]);
        text_add(json, t == info->classes - 1 ? "]]" : "]");
    }
}

static void write_score_case(struct text *json, const cover_evaluation *evaluation, const cover_evaluation_case *one) {
    int given = 0;
    text_add(json, ", \"label\": ");
    if (one->class_index >= 0) text_add_json(json, evaluation->classes[one->class_index].name);
    else text_add(json, "[");
    for (int c = 0; one->class_index < 0 && c < evaluation->info.classes; c++) {
        if (!one->labels[c]) continue;
        text_add(json, given++ ? ", " : "");
        text_add_json(json, evaluation->classes[c].name);
    }
    if (one->class_index < 0) text_add(json, "]");
    add_figure(json, "right", one->right);
    for (int c = 0; c < evaluation->info.classes; c++) {
        text_add(json, c ? ", " : ", \"scores\": [");
        add_number(json, (double)one->scores[c]);
    }
    text_add(json, "]");
}

static void score_columns(struct text *csv, const cover_evaluation *evaluation) {
    text_add(csv, "file,label,right");
    for (int c = 0; c < evaluation->info.classes; c++) {
        text_add(csv, ",");
        csv_add(csv, evaluation->classes[c].name);
    }
}

static void score_row(struct text *csv, const cover_evaluation *evaluation, const cover_evaluation_case *one) {
    struct text labels = {.context = csv->context};
    for (int c = 0; c < evaluation->info.classes; c++)
        if (one->labels[c]) text_add(&labels, "%s%s", labels.length ? "|" : "", evaluation->classes[c].name);
    if (labels.data) csv_add(csv, labels.data);
    csv->failed |= labels.failed;
    text_free(&labels);
    text_add(csv, ",");
    add_cell(csv, one->right);
    for (int c = 0; c < evaluation->info.classes; c++) {
        text_add(csv, ",");
        add_cell(csv, (double)one->scores[c]);
    }
}

/* ---- both */

static const struct writer {
    const char *kind;
    void (*write)(struct text *json, const cover_evaluation *evaluation);
    void (*write_case)(struct text *json, const cover_evaluation *evaluation, const cover_evaluation_case *one);
    void (*columns)(struct text *csv, const cover_evaluation *evaluation);
    void (*row)(struct text *csv, const cover_evaluation *evaluation, const cover_evaluation_case *one);
} writers[] = {
    [COVER_EVALUATION_MAPS] = {"segmentation", write_maps, write_map_case, map_columns, map_row},
    [COVER_EVALUATION_CLASSES] = {"classification", write_scores, write_score_case, score_columns, score_row},
    [COVER_EVALUATION_LABELS] = {"multi-label", write_scores, write_score_case, score_columns, score_row},
};

cover_status cover_evaluation_json(char **out, const cover_evaluation *evaluation) {
    if (!out || !evaluation) return fail(COVER_ERROR_ARGUMENT, "cover_evaluation_json: an argument is NULL");
    const cover_evaluation_info *info = &evaluation->info;
    const struct writer *writer = &writers[info->kind];
    struct text json = {.context = evaluation->context};
    text_add(&json, "{\"kind\": \"%s\", \"count\": %lld", writer->kind, (long long)info->cases);
    writer->write(&json, evaluation);
    text_add(&json, ",\n \"confidence\": %g, \"resamples\": %d, \"seed\": %llu,\n \"cases\": [", info->confidence, info->resamples,
             (unsigned long long)info->seed);
    for (int64_t i = 0; i < info->cases; i++) {
        text_add(&json, i ? ",\n {\"case\": " : "\n {\"case\": ");
        text_add_json(&json, evaluation->cases[i].name);
        writer->write_case(&json, evaluation, &evaluation->cases[i]);
        text_add(&json, "}");
    }
    text_add(&json, "]}\n");
    return text_take(&json, out);
}

void eval_csv(struct text *csv, const cover_evaluation *evaluation) {
    const struct writer *writer = &writers[evaluation->info.kind];
    writer->columns(csv, evaluation);
    for (int64_t i = 0; i < evaluation->info.cases; i++) {
        text_add(csv, "\n");
        csv_add(csv, evaluation->cases[i].name);
        text_add(csv, ",");
        writer->row(csv, evaluation, &evaluation->cases[i]);
    }
    text_add(csv, "\n");
}
