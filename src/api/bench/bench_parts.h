/* Inside of bench: bench.c reads options and runs a part, bench_parts.c has the parts, bench_figures.c makes figures of
 * what they measured, bench_results.c tells them.  Included by these. */
#ifndef COVER_BENCH_PARTS_H
#define COVER_BENCH_PARTS_H

#include "core/graph/graph.h"
#include "core/settings/settings.h"
#include "report/bench_page.h"

#include <libcover/bench.h>

enum { ROUNDS_MAX = 64, ROUNDS_MIN = 3 };

struct cover_bench {
    cover_context *context;
    cover_bench_options options; /* its texts belong to who called */
    struct settings settings;
    char precision[16];
    struct grid grid;
    double seconds[ROUNDS_MAX]; /* of each round */
    struct bench_figures figures;
};

/* bench.c: warm up once, then measure rounds until there is enough. */
cover_status bench_measure(cover_bench *bench, cover_status (*part)(void *data), void *data);
double bench_median(const double *values, int count);

struct bench_part {
    const char *name;
    cover_status (*run)(cover_bench *bench);
};
enum { BENCH_PARTS = 4 };
extern const struct bench_part bench_parts[BENCH_PARTS];

/* bench_figures.c: the seconds of each node from a few passes of time(data, node_seconds), then rows by node and by
 * operation.  Nothing when the options say brief. */
cover_status bench_nodes(cover_bench *bench, const struct graph *graph, cover_status (*time)(void *data, double *node_seconds),
                         void *data);
/* One row for a part that is no graph. */
cover_status bench_alone_row(cover_bench *bench, const char *op, double seconds, double bytes);
/* Peak rates, floors and sums, once rows are there. */
cover_status bench_floors(cover_bench *bench);

#endif
