/* The newest figures of a pretraining run (include/libcover/trainer.h): its log, by the words of its objective. */
#include "api/run/run_folder.h"
#include "core/base/files.h"
#include "report/report.h"

#include <libcover/trainer.h>

#include <math.h>

/* Those of the newest line alone. */
static int figures_of(cover_figure *figures, const struct report_log *log, const struct objective *objective) {
    int count = 0;
    for (const struct figure_words *words = objective->figure; words->name && count < COVER_FIGURES_MAX; words++) {
        const struct report_series *series = report_find(log, words->name);
        if (!series || series->count == 0 || series->step[series->count - 1] < report_last_step(log)) continue;
        figures[count++] = (cover_figure){.name = words->name, .value = series->value[series->count - 1], .over = words->over};
    }
    return count;
}

cover_status cover_run_figures(cover_figure *figures, int *count, int64_t *step, cover_context *context, const char *run) {
    if (!figures || !count || !context || !run) return fail(COVER_ERROR_ARGUMENT, "cover_run_figures: an argument is NULL");
    const struct objective *objective;
    struct report_log log = {0};
    cover_status status;
    char *path = path_join(context, run, "log.jsonl");
    if (!path) return COVER_ERROR_MEMORY;
    GO(run_folder_objective(&objective, context, run));
    GO(report_log_read(&log, context, path));
    *count = objective ? figures_of(figures, &log, objective) : 0;
    if (step) *step = log.lines.count ? (int64_t)report_last_step(&log) : 0;
done:
    report_log_free(&log, context);
    memory_free(context, path);
    return status;
}
