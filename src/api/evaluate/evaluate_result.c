/* What came out of label maps: means and intervals over the cases, as JSON and CSV (docs/evaluation.md).  Called by
 * evaluate_maps.c. */
#include "evaluate.h"

#include <math.h>

struct maps_result {
    struct evaluation *evaluation;
    const struct eval_cases *cases;
    const struct eval_classes *classes;
    const struct eval_judged *judged;
    bool spacing_known;
};

struct summary { /* of one class over the cases */
    struct interval dice;
    double hd95;
    int64_t missed; /* cases in which one map alone has it */
};

static cover_status summarise(struct summary *summary, const struct maps_result *result, int c, double *values) {
    const cover_evaluate_options *options = &result->evaluation->options;
    for (int64_t i = 0; i < result->cases->count; i++) values[i] = c ? result->judged[i].dice[c] : result->judged[i].mean_dice;
    TRY(bootstrap_interval(&summary->dice, result->evaluation->context, values, result->cases->count, options->resamples,
                           options->confidence, options->seed));
    summary->missed = 0;
    for (int64_t i = 0; i < result->cases->count; i++) {
        values[i] = c ? result->judged[i].hd95[c] : result->judged[i].mean_hd95;
        summary->missed += isinf(values[i]) != 0;
    }
    summary->hd95 = mean_known(values, result->cases->count);
    return COVER_OK;
}

/* {"lung": X, "heart": Y} with X = add(text, data, class). */
static void add_by_class(struct text *json, const struct eval_classes *classes,
                         void (*add)(struct text *json, const void *data, int c), const void *data) {
    text_add(json, "{");
    for (int c = 1; c < classes->count; c++) {
        text_add(json, c > 1 ? ", " : "");
        text_add_json(json, classes->name[c]);
        text_add(json, ": ");
        add(json, data, c);
    }
    text_add(json, "}");
}
static void add_dice(struct text *json, const void *data, int c) { eval_number(json, ((const struct summary *)data)[c].dice.mean); }
static void add_dice_interval(struct text *json, const void *data, int c) {
    eval_interval(json, &((const struct summary *)data)[c].dice);
}
static void add_hd95(struct text *json, const void *data, int c) { eval_number(json, ((const struct summary *)data)[c].hd95); }
static void add_missed(struct text *json, const void *data, int c) {
    text_add(json, "%lld", (long long)((const struct summary *)data)[c].missed);
}
static void add_value(struct text *json, const void *data, int c) { eval_number(json, ((const double *)data)[c]); }

static void add_case(struct text *json, const struct maps_result *result, int64_t i) {
    const struct eval_judged *judged = &result->judged[i];
    text_add(json, "%s{\"case\": ", i ? ",\n " : "\n ");
    text_add_json(json, result->cases->each[i].name);
    text_add(json, ", \"mean_dice\": ");
    eval_number(json, judged->mean_dice);
    text_add(json, ", \"dice\": ");
    add_by_class(json, result->classes, add_value, judged->dice);
    text_add(json, ", \"hd95\": ");
    add_by_class(json, result->classes, add_value, judged->hd95);
    text_add(json, "}");
}

static void write_json(struct text *json, const struct maps_result *result, const struct summary *summary) {
    const cover_evaluate_options *options = &result->evaluation->options;
    text_add(json, "{\"kind\": \"segmentation\", \"count\": %lld, \"mean_dice\": ", (long long)result->cases->count);
    eval_number(json, summary[0].dice.mean);
    text_add(json, ", \"mean_dice_interval\": ");
    eval_interval(json, &summary[0].dice);
    text_add(json, ", \"mean_hd95\": ");
    eval_number(json, summary[0].hd95);
    text_add(json, ", \"spacing_known\": %s", result->spacing_known ? "true" : "false");
    text_add(json, ",\n \"classes\": ");
    add_by_class(json, result->classes, add_dice, summary);
    text_add(json, ",\n \"class_intervals\": ");
    add_by_class(json, result->classes, add_dice_interval, summary);
    text_add(json, ",\n \"hd95\": ");
    add_by_class(json, result->classes, add_hd95, summary);
    text_add(json, ",\n \"hd95_missed\": ");
    add_by_class(json, result->classes, add_missed, summary);
    text_add(json, ",\n \"confidence\": %g, \"resamples\": %d, \"seed\": %llu,\n \"cases\": [", options->confidence,
             options->resamples, (unsigned long long)options->seed);
    for (int64_t i = 0; i < result->cases->count; i++) add_case(json, result, i);
    text_add(json, "]}\n");
}

static void write_csv(struct text *csv, const struct maps_result *result) {
    static const char *const figures[] = {"dice", "hd95"};
    struct text column = {.context = csv->context};
    text_add(csv, "case,mean_dice");
    for (int f = 0; f < 2; f++)
        for (int c = 1; c < result->classes->count; c++) {
            column.length = 0;
            text_add(&column, "%s %s", figures[f], result->classes->name[c]);
            text_add(csv, ",");
            if (column.failed) csv->failed = true;
            else csv_add(csv, column.data);
        }
    text_free(&column);
    for (int64_t i = 0; i < result->cases->count; i++) {
        text_add(csv, "\n");
        csv_add(csv, result->cases->each[i].name);
        text_add(csv, ",");
        eval_cell(csv, result->judged[i].mean_dice);
        for (int f = 0; f < 2; f++)
            for (int c = 1; c < result->classes->count; c++) {
                text_add(csv, ",");
                eval_cell(csv, (f ? result->judged[i].hd95 : result->judged[i].dice)[c]);
            }
    }
    text_add(csv, "\n");
}

/* What a reader of the figures should know. */
static void say_what_is_missing(const struct maps_result *result, const struct summary *summary) {
    cover_context *context = result->evaluation->context;
    for (int c = 1; c < result->classes->count; c++)
        if (summary[c].dice.count == 0)
            log_line(context, COVER_LOG_WARNING, "class '%s' is in none of the %lld cases: it has no Dice",
                     result->classes->name[c], (long long)result->cases->count);
    if (!result->spacing_known)
        log_line(context, COVER_LOG_INFO, "%s: the spacing is not known: HD95 counts 1 mm a pixel", result->evaluation->truth);
}

cover_status eval_maps_write(struct evaluation *evaluation, const struct eval_cases *cases, const struct eval_classes *classes,
                             const struct eval_judged *judged, bool spacing_known) {
    const struct maps_result result = {evaluation, cases, classes, judged, spacing_known};
    cover_context *context = evaluation->context;
    struct summary *summary = memory_alloc(context, (size_t)classes->count * sizeof *summary);
    double *values = memory_alloc(context, (size_t)cases->count * sizeof *values);
    cover_status status;
    GO(summary && values ? COVER_OK : COVER_ERROR_MEMORY);
    for (int c = 0; c < classes->count; c++) GO(summarise(&summary[c], &result, c, values));
    if (summary[0].dice.count == 0)
        GO(fail(COVER_ERROR_ARGUMENT, "%s: all maps are background alone, so no class has a Dice; are these the right labels?",
                evaluation->truth));
    say_what_is_missing(&result, summary);
    write_json(&evaluation->json, &result, summary);
    if (evaluation->options.csv) write_csv(&evaluation->csv, &result);
done:
    memory_free(context, summary);
    memory_free(context, values);
    return status;
}
