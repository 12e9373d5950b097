/* libcover: vector contrastive pixel-wise pretraining.  This header includes all others. */
#ifndef LIBCOVER_COVER_H
#define LIBCOVER_COVER_H

#include <libcover/status.h>
#include <libcover/context.h>
#include <libcover/config.h>
#include <libcover/tensor.h>
#include <libcover/dataset.h>
#include <libcover/sevr.h>
#include <libcover/backbone.h>
#include <libcover/head.h>
#include <libcover/loss.h>
#include <libcover/trainer.h>
#include <libcover/plan.h>
#include <libcover/task.h>
#include <libcover/weights.h>
#include <libcover/match.h>
#include <libcover/predictor.h>
#include <libcover/ranks.h>
#include <libcover/metrics.h>
#include <libcover/evaluate.h>
#include <libcover/report.h>
#include <libcover/bench.h>
#include <libcover/analysis.h>

#endif
