/* cover_evaluate(): predictions against labels (include/libcover/evaluate.h, docs/evaluation.md).  Called by the
 * command's `eval` and by studies. */
#include "evaluate.h"

#include "core/base/files.h"
#include "core/base/json.h"

#include <math.h>

void eval_number(struct text *text, double value) { text_add_number(text, value, 10); }

void eval_cell(struct text *text, double value) {
    if (isfinite(value)) text_add(text, "%.10g", value);
}

void eval_interval(struct text *text, const struct interval *interval) {
    text_add(text, "[");
    eval_number(text, interval->low);
    text_add(text, ", ");
    eval_number(text, interval->high);
    text_add(text, "]");
}

/* What predictions may be, by the ends of their names; the first that fits. */
static const struct {
    const char *suffix;
    cover_status (*evaluate)(struct evaluation *evaluation);
} kinds[] = {{".csv", evaluate_scores}, {"", evaluate_maps}};

static cover_status evaluate(struct evaluation *evaluation) {
    int k = 0;
    while (!has_suffix(evaluation->prediction, kinds[k].suffix)) k++;
    return kinds[k].evaluate(evaluation);
}

static cover_status read_options(cover_evaluate_options *options, const cover_evaluate_options *given) {
    TRY(options_read(options, sizeof *options, given, "cover_evaluate_options"));
    if (options->resamples == 0) options->resamples = BOOTSTRAP_RESAMPLES;
    if (options->confidence == 0) options->confidence = 0.95;
    if (options->resamples < 1) return fail(COVER_ERROR_ARGUMENT, "resamples is %d; use 1 or more", options->resamples);
    if (!(options->confidence > 0 && options->confidence < 1))
        return fail(COVER_ERROR_ARGUMENT, "confidence is %g; it must be between 0 and 1", options->confidence);
    return COVER_OK;
}

cover_status cover_evaluate(char **json, cover_context *context, const char *prediction, const char *truth,
                            const cover_evaluate_options *options) {
    if (!context || !prediction || !truth || !json) return fail(COVER_ERROR_ARGUMENT, "cover_evaluate: an argument is NULL");
    const char *const operands[] = {prediction, truth};
    for (int i = 0; i < 2; i++)
        if (!file_exists(operands[i]) && !folder_exists(operands[i]))
            return fail(COVER_ERROR_IO, "%s: no such file or folder", operands[i]);
    struct evaluation evaluation = {.context = context,
                                    .options = COVER_EVALUATE_OPTIONS_INIT,
                                    .prediction = prediction,
                                    .truth = truth,
                                    .arena = {.context = context},
                                    .json = {.context = context},
                                    .csv = {.context = context}};
    cover_status status;
    GO(read_options(&evaluation.options, options));
    GO(evaluate(&evaluation));
    if (evaluation.json.failed || evaluation.csv.failed) GO(COVER_ERROR_MEMORY);
    if (evaluation.options.csv) GO(file_replace(context, evaluation.options.csv, evaluation.csv.data, evaluation.csv.length));
    GO(text_take(&evaluation.json, json));
done:
    text_free(&evaluation.json);
    text_free(&evaluation.csv);
    arena_free(&evaluation.arena);
    return status;
}
