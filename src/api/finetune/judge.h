/* How a kind of task is judged.  Its parts lie in four rooms, as core/method/task_kind.h knows neither files nor metrics nor pages; a row
 * of core/settings/task_kinds.def names them all.  Called by the files of task.h; filled by judge_seg.c and
 * judge_cls.c. */
#ifndef COVER_JUDGE_H
#define COVER_JUDGE_H

#include "report/task_section.h"
#include "task.h"

struct task_judge {
    const struct task_kind *kind;
    const struct task_section *section; /* of the report */

    /* May the data be such a task's?  suits: any settings; check_data: these. */
    cover_status (*suits)(const cover_dataset_info *info);
    cover_status (*check_data)(const struct task_settings *task, const cover_dataset_info *info);
    /* Is there something to learn from a sample? */
    bool (*usable)(const struct task_settings *task, const struct dataset_row *row);
    bool (*exclusive)(const struct task_settings *task); /* one class an image: shots are of each class; NULL = no */

    const char *figure[TASK_FIGURES]; /* names of what validation finds; `best` goes by the first */
    int figures;
    const char *class_figure; /* of a class */
    int first_class;          /* 1: class 0 is background and has none */
    bool scored;              /* cases keep their scores, else a figure of each class */

    /* Refuse validation cases that give no figure: checked before training, not after its first steps. */
    cover_status (*check_validation)(cover_task *task);
    /* With the weights of now: the row-th case, sample `index`, then all of them. */
    cover_status (*judge_case)(struct task_figures *figures, cover_task *task, int64_t index, int64_t row);
    cover_status (*summarise)(struct task_figures *figures, const cover_task *task);
    /* JSON members of a case: `, "name": ...`. */
    void (*write_case)(struct text *text, const cover_task *task, const struct task_figures *figures, int64_t row);
    /* A validation case with the weights of now: predicted and true label map on the case's own grid (memory_free both); NULL = there
     * is nothing to draw over an image. */
    cover_status (*labels)(cover_task *task, int64_t index, uint16_t **predicted, uint16_t **truth, struct grid *grid);
};

/* The one that the settings choose: the table's, or added to the context as "task.judge" (base/added.h).  Never NULL. */
const struct task_judge *task_judge_of(const cover_context *context, const struct task_settings *task);
/* By the name of its kind, "seg"; a name that is none is refused. */
cover_status task_judge_named(const struct task_judge **judge, const cover_context *context, const char *name);

/* ---- for rows (task_validate.c) */

/* Room for a validation's figures, unless there is some. */
cover_status task_figures_create(struct task_figures *figures, const cover_task *task);
/* Scores of a case on its working grid (memory_free). */
cover_status task_case_predict(cover_task *task, int64_t index, float **scores, struct grid *grid);
/* Values by class from `first` on, as JSON. */
void task_classes_write(struct text *text, const cover_task *task, const double *values, int first);

#endif
