/* What a task takes of a labelled dataset beside its images: names of classes, and the split.  Called by task.c. */
#ifndef COVER_TASK_DATA_H
#define COVER_TASK_DATA_H

#include "core/train/split.h"
#include "io/dataset/dataset.h"

/* Names of the first `classes` classes, "class K" where the dataset has none; free them with task_names_free(). */
cover_status task_names(char ***names, const cover_dataset *dataset, int classes);
void task_names_free(cover_context *context, char **names, int classes);
/* Which samples train and which validate, as the settings say. */
cover_status task_split(struct split *split, const cover_dataset *dataset, const struct settings *settings, char *const *names);

#endif
