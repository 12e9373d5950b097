/* A labelled dataset as a task reads it: images, labels or classes, names of classes, patients.  Called by both trainers. */
#ifndef COVER_TASK_DATA_H
#define COVER_TASK_DATA_H

#include "core/train/reader.h"
#include "core/train/split.h"
#include "io/dataset/dataset.h"

/* The dataset behind the reader's calls. */
struct sample_reader dataset_reader(const cover_dataset *dataset);
/* Names of the first `classes` classes, "class K" where the dataset has none; free them with task_names_free(). */
cover_status task_names(char ***names, const cover_dataset *dataset, int classes);
void task_names_free(cover_context *context, char **names, int classes);
/* Which samples train and which validate, as the settings say. */
cover_status task_split(struct split *split, const cover_dataset *dataset, const struct settings *settings, char *const *names);

#endif
