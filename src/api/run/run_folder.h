/* What every run folder shares, pretraining's and fine-tuning's (docs/run-folder.md).  Called by driver.c, finetune.c, run_report.c and
 * run_figures.c, and by analysis_curves.c. */
#ifndef COVER_RUN_FOLDER_H
#define COVER_RUN_FOLDER_H

#include "core/objective/objective.h"

/* COVER_ERROR_IO when the folder holds a run already. */
cover_status run_folder_unused(cover_context *context, const char *run);
/* The objective that the run's config.json names: the table's first where it names none, NULL where it is no pretraining or the name is
 * not known here. */
cover_status run_folder_objective(const struct objective **objective, cover_context *context, const char *run);
/* Replace a text file of the folder; NULL text = memory ran out. */
cover_status run_folder_write(cover_context *context, const char *run, const char *name, const char *text);

#endif
