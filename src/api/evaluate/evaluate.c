/* Evaluations: predictions against labels (include/libcover/evaluate.h, docs/evaluation.md), and what is asked of them.  Called by the
 * command's `eval` and by programs. */
#include "evaluate.h"

#include "core/base/files.h"

#include <math.h>

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
    if (options->resamples < 1 || options->resamples > BOOTSTRAP_MOST)
        return fail(COVER_ERROR_ARGUMENT, "resamples is %d; use 1..%d", options->resamples, BOOTSTRAP_MOST);
    if (!(options->confidence > 0 && options->confidence < 1))
        return fail(COVER_ERROR_ARGUMENT, "confidence is %g; it must be between 0 and 1", options->confidence);
    return COVER_OK;
}

cover_status eval_result_room(struct evaluation *evaluation, int classes, int64_t cases) {
    cover_evaluation *result = evaluation->result;
    const cover_evaluate_options *options = &evaluation->options;
    result->classes = arena_alloc(evaluation->arena, (size_t)classes * sizeof *result->classes);
    result->cases = arena_alloc(evaluation->arena, (size_t)cases * sizeof *result->cases);
    if (!result->classes || !result->cases) return COVER_ERROR_MEMORY;
    result->info = (cover_evaluation_info){.classes = classes,
                                           .cases = cases,
                                           .confidence = options->confidence,
                                           .resamples = options->resamples,
                                           .seed = options->seed,
                                           .mean_dice = NAN,
                                           .mean_dice_interval = {NAN, NAN},
                                           .mean_hd95 = NAN,
                                           .auc = NAN,
                                           .auc_interval = {NAN, NAN},
                                           .accuracy = NAN,
                                           .accuracy_interval = {NAN, NAN}};
    for (int c = 0; c < classes; c++)
        result->classes[c] = (cover_evaluation_class){.dice = NAN, .dice_interval = {NAN, NAN}, .hd95 = NAN, .auc = NAN};
    for (int64_t i = 0; i < cases; i++)
        result->cases[i] = (cover_evaluation_case){.mean_dice = NAN, .mean_hd95 = NAN, .right = NAN, .class_index = -1};
    return COVER_OK;
}

static cover_status write_csv(const cover_evaluation *result, const char *path) {
    struct text csv = {.context = result->context};
    eval_csv(&csv, result);
    cover_status status = csv.failed ? COVER_ERROR_MEMORY : file_replace(result->context, path, csv.data, csv.length);
    text_free(&csv);
    return status;
}

cover_status cover_evaluation_compute(cover_evaluation **out, cover_context *context, const char *prediction, const char *truth,
                                      const cover_evaluate_options *options) {
    if (!context || !prediction || !truth || !out)
        return fail(COVER_ERROR_ARGUMENT, "cover_evaluation_compute: an argument is NULL");
    const char *const operands[] = {prediction, truth};
    for (int i = 0; i < 2; i++)
        if (!file_exists(operands[i]) && !folder_exists(operands[i]))
            return fail(COVER_ERROR_IO, "%s: no such file or folder", operands[i]);
    struct evaluation evaluation = {
        .context = context, .options = COVER_EVALUATE_OPTIONS_INIT, .prediction = prediction, .truth = truth};
    cover_evaluation *result = handle_make(context, sizeof *result);
    if (!result) return COVER_ERROR_MEMORY;
    result->context = context, result->arena.context = context;
    evaluation.result = result, evaluation.arena = &result->arena;
    cover_status status;
    GO(read_options(&evaluation.options, options));
    for (int i = 0; evaluation.options.csv && i < 2; i++) GO(output_is_not(evaluation.options.csv, operands[i]));
    GO(evaluate(&evaluation));
    if (evaluation.options.csv) GO(write_csv(result, evaluation.options.csv));
    *out = result;
done:
    if (status != COVER_OK) cover_evaluation_destroy(result);
    return status;
}

void cover_evaluation_destroy(cover_evaluation *evaluation) {
    if (!evaluation) return;
    arena_free(&evaluation->arena);
    handle_free(evaluation->context, evaluation);
}

cover_status cover_evaluation_get_info(cover_evaluation_info *info, const cover_evaluation *evaluation) {
    if (!info || !evaluation) return fail(COVER_ERROR_ARGUMENT, "cover_evaluation_get_info: an argument is NULL");
    report_write(info, &evaluation->info, sizeof evaluation->info);
    return COVER_OK;
}

cover_status cover_evaluation_class_at(cover_evaluation_class *one, const cover_evaluation *evaluation, int index) {
    if (!one || !evaluation) return fail(COVER_ERROR_ARGUMENT, "cover_evaluation_class_at: an argument is NULL");
    if (index < 0 || index >= evaluation->info.classes)
        return fail(COVER_ERROR_ARGUMENT, "class %d: there are %d", index, evaluation->info.classes);
    report_write(one, &evaluation->classes[index], sizeof evaluation->classes[index]);
    return COVER_OK;
}

cover_status cover_evaluation_case_at(cover_evaluation_case *one, const cover_evaluation *evaluation, int64_t index) {
    if (!one || !evaluation) return fail(COVER_ERROR_ARGUMENT, "cover_evaluation_case_at: an argument is NULL");
    if (index < 0 || index >= evaluation->info.cases)
        return fail(COVER_ERROR_ARGUMENT, "case %lld: there are %lld", (long long)index, (long long)evaluation->info.cases);
    report_write(one, &evaluation->cases[index], sizeof evaluation->cases[index]);
    return COVER_OK;
}
