/* libcover: vector contrastive pixel-wise pretraining.  This header includes all others.
 *
 * Owner:      what a call creates belongs to the caller, and has a destroy or release of its own; what a call shows belongs to
 *             what was asked
 * Lifetime:   what is shown lives as long as its owner, or as its header says
 * Threads:    its header says; different handles are independent
 * Callbacks:  context.h
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"; destroy and release
 *             take NULL
 * Errors:     every call that can fail returns a cover_status (status.h)
 * Stability:  docs/api.md */
#ifndef LIBCOVER_COVER_H
#define LIBCOVER_COVER_H

#include <libcover/analysis.h>
#include <libcover/backbone.h>
#include <libcover/bench.h>
#include <libcover/config.h>
#include <libcover/context.h>
#include <libcover/dataset.h>
#include <libcover/dicom.h>
#include <libcover/evaluate.h>
#include <libcover/figure.h>
#include <libcover/head.h>
#include <libcover/loss.h>
#include <libcover/match.h>
#include <libcover/metrics.h>
#include <libcover/objective.h>
#include <libcover/plan.h>
#include <libcover/predictor.h>
#include <libcover/ranks.h>
#include <libcover/report.h>
#include <libcover/sevr.h>
#include <libcover/status.h>
#include <libcover/task.h>
#include <libcover/tensor.h>
#include <libcover/trainer.h>
#include <libcover/weights.h>

#endif
