/* What bench found out, and the page that shows it: a roofline, the traffic of each operation, the table.  Filled in by
 * src/api/bench*.c. */
#ifndef COVER_BENCH_PAGE_H
#define COVER_BENCH_PAGE_H

#include "core/base/base.h"
#include "core/base/peak.h"

/* All nodes of one operation, or one node; on one thread, one pair. */
struct bench_row {
    const char *op;
    char layer[160], size[40]; /* of one node: its parameter, or where in the model it stands; pixels and channels */
    int count;                 /* of nodes */
    double seconds;            /* the least of a few passes */
    double flops;              /* multiplications and additions, of convolutions (as direct ones) and MoV; else 0 */
    double bytes;              /* every input read once, every output written once */
    double floor_seconds;      /* what neither arithmetic nor memory of this machine can undercut */
    bool bf16, memory_bound;   /* its products are of bfloat16; its floor is the memory's */
};

struct bench_figures {
    const char *part, *precision;
    int dims, threads, lanes, team, rounds;
    int64_t size, pairs;
    double seconds, seconds_min; /* a round: median, least */
    double floor_seconds;        /* of a step: its convolutions alone, in the same lanes */
    double create_seconds;       /* of infer and mov: preparing, once a shape */
    double update_seconds;       /* of a step: norm, Adam and packing the weights, by all threads */
    double flops;                /* a round */
    uint64_t peak_bytes;
    struct peak peak;               /* zero when nothing below was measured */
    struct bench_row *ops, *layers; /* ops: the longest first; layers: as they run */
    int op_count, layer_count;
    bool layer_rows;                       /* layers were asked for */
    double ops_seconds, ops_floor_seconds; /* sums */
};

/* FLOP/s of the roof over this row. */
double bench_roof(const struct bench_figures *figures, const struct bench_row *row);
/* Write the page: path is replaced in one move. */
cover_status bench_page_write(cover_context *context, const char *path, const struct bench_figures *figures);
/* A section: FLOP/s over FLOP a byte, both logarithmic (Williams, Waterman and Patterson, 2009).  Nothing without FLOPs. */
void roofline_add(struct text *html, const struct bench_figures *figures);

#endif
