/* What came out of label maps: means and intervals over the cases (docs/evaluation.md).  Called by evaluate_maps.c. */
#include "evaluate.h"

#include <math.h>

struct summary { /* of a figure over the cases */
    struct interval dice;
    double hd95;
    int64_t missed; /* cases in which one map alone has it */
};

/* Of class c, or with -1 of the cases' means. */
static cover_status summarise(struct summary *summary, const cover_evaluation *result, int c, double *values) {
    const cover_evaluation_info *info = &result->info;
    for (int64_t i = 0; i < info->cases; i++) values[i] = c < 0 ? result->cases[i].mean_dice : result->cases[i].dice[c];
    TRY(bootstrap_interval(&summary->dice, result->context, values, info->cases, info->resamples, info->confidence, info->seed));
    summary->missed = 0;
    for (int64_t i = 0; i < info->cases; i++) {
        values[i] = c < 0 ? result->cases[i].mean_hd95 : result->cases[i].hd95[c];
        summary->missed += isinf(values[i]) != 0;
    }
    summary->hd95 = mean_known(values, info->cases);
    return COVER_OK;
}

static cover_status fill(cover_evaluation *result, const char *truth, double *values) {
    cover_evaluation_info *info = &result->info;
    struct summary summary;
    TRY(summarise(&summary, result, -1, values));
    if (summary.dice.count == 0)
        return fail(COVER_ERROR_ARGUMENT, "%s: all maps are background alone, so no class has a Dice; are these the right labels?",
                    truth);
    info->mean_dice = summary.dice.mean, info->mean_hd95 = summary.hd95;
    info->mean_dice_interval[0] = summary.dice.low, info->mean_dice_interval[1] = summary.dice.high;
    for (int c = 0; c < info->classes; c++) {
        cover_evaluation_class *one = &result->classes[c];
        TRY(summarise(&summary, result, c, values));
        one->dice = summary.dice.mean, one->hd95 = summary.hd95, one->hd95_missed = summary.missed;
        one->dice_interval[0] = summary.dice.low, one->dice_interval[1] = summary.dice.high;
        if (summary.dice.count == 0)
            log_line(result->context, COVER_LOG_WARNING, "class '%s' is in none of the %lld cases: it has no Dice", one->name,
                     (long long)info->cases);
    }
    if (!info->spacing_known)
        log_line(result->context, COVER_LOG_INFO, "%s: the spacing is not known: HD95 counts 1 mm a pixel", truth);
    return COVER_OK;
}

cover_status eval_maps_summarise(struct evaluation *evaluation) {
    double *values = memory_alloc(evaluation->context, (size_t)evaluation->result->info.cases * sizeof *values);
    if (!values) return COVER_ERROR_MEMORY;
    const cover_status status = fill(evaluation->result, evaluation->truth, values);
    memory_free(evaluation->context, values);
    return status;
}
