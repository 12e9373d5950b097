/* Measuring what this machine does: the command's `bench`.
 *
 * Owner:      the caller destroys what was measured, and releases JSON with cover_text_release()
 * Lifetime:   names and arrays that it shows: as long as it; the context: longer
 * Threads:    alone on the machine, or the figures tell of the others, too; several may ask what was measured, destroy alone
 * Callbacks:  none but the log and the allocator of the context (context.h)
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"; destroy takes NULL
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  stable */
#ifndef LIBCOVER_BENCH_H
#define LIBCOVER_BENCH_H

#include <libcover/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Options of cover_bench_run().  Full widths, heads 4,4,4,1,1, radius 2, exact coordinates. */
typedef struct cover_bench_options {
    size_t struct_size;
    int dims;              /**< 2 or 3; 0 = 2 */
    int64_t size;          /**< pixels an axis; 0 = 384 in 2D, 64 in 3D */
    int64_t pairs;         /**< view pairs a step; 0 = 2 in 2D, 1 in 3D */
    const char *part;      /**< "step": forward, backward and update, without drawing views; "mov": MoV alone, forward
                                and backward, 8 channels, one head, one pair; "infer": the U-Net on one image; "sevr":
                                drawing one pair of views with every augmentation, on one thread.  NULL = "step" */
    const char *precision; /**< as the setting of that name; NULL = "fp32" */
    int rounds;            /**< measured rounds, up to 64; 0 = at least 3, and as many as fit into two seconds */
    int brief;             /**< 1: the time of the rounds alone, without operations, floors and peak rates */
    int layers;            /**< 1: also a row a node of the graph */
    const char *html;      /**< write a page with a roofline and the table here; NULL = none */
    const char *objective; /**< of part "step": the setting of that name, with the method's own settings; NULL = "cover" */
} cover_bench_options;
#define COVER_BENCH_OPTIONS_INIT COVER_SIZED(cover_bench_options)

typedef struct cover_bench cover_bench;

/** Time one part of the work on random data: one unmeasured round, then several measured ones; then each node of its graph on
 *  one thread, and what the machine can do at best.
 *
 *  Bytes of an operation: every input tensor read once, every output written once, parameters among them.  FLOPs: the
 *  multiplications and additions of convolutions (counted as direct convolutions, whatever form runs) and of MoV; 0 for the
 *  rest.  The floor of a node is the larger of flops / peak rate and bytes / bandwidth of one thread; that of an operation is
 *  the sum over its nodes.  A fast algorithm, or data that is still in the cache, may lie below its floor.
 *
 *  @param options   NULL for defaults
 *  @return COVER_OK; COVER_ERROR_ARGUMENT (unknown part or precision, size no multiple of 16, brief with html or layers);
 *  COVER_ERROR_IO (the page cannot be written); COVER_ERROR_MEMORY; COVER_ERROR_CANCELLED */
COVER_API cover_status cover_bench_run(cover_bench **bench, cover_context *context, const cover_bench_options *options);
COVER_API void cover_bench_destroy(cover_bench *bench); /**< takes NULL */

/** What a machine can do at best. */
typedef struct cover_bench_peak {
    double fp32_flops_per_s;
    double bf16_flops_per_s; /**< 0 = no such instruction */
    double bytes_per_s;      /**< of memory */
} cover_bench_peak;

/** All rounds.  What was not measured, as with `brief`, is 0. */
typedef struct cover_bench_info {
    size_t struct_size;
    const char *part;
    const char *precision;
    int dims;
    int64_t size; /**< pixels an axis */
    int64_t pairs;
    int threads;
    int lanes;
    int team; /**< threads a lane */
    int rounds;
    const double *round_seconds; /**< [rounds], as they ran */
    double seconds;              /**< median of the rounds */
    double seconds_min;
    double floor_seconds;      /**< of a step: its convolutions alone, in the same lanes */
    double create_seconds;     /**< of infer and mov: preparing the network and packing its weights, once a shape */
    double update_seconds;     /**< of a step: gradient norm, Adam, packing the weights */
    double flops;              /**< of a round */
    uint64_t peak_bytes;       /**< resident, read before anything else is measured */
    int operations;            /**< rows of cover_bench_operation_at() */
    int layers;                /**< rows of cover_bench_layer_at() */
    double operations_seconds; /**< sums over the operations */
    double operations_floor_seconds;
    cover_bench_peak one_thread;
    cover_bench_peak all_threads;
} cover_bench_info;
#define COVER_BENCH_INFO_INIT COVER_SIZED(cover_bench_info)
COVER_API cover_status cover_bench_get_info(cover_bench_info *info, const cover_bench *bench);

/** An operation, or one node of the graph, for one pair on one thread. */
typedef struct cover_bench_row {
    size_t struct_size;
    const char *op;
    const char *layer; /**< of a node: its parameter, or where in the model it stands; "" of an operation */
    const char *size;  /**< of a node: pixels and channels, "64x64, 8"; "" of an operation */
    int count;         /**< of nodes */
    double seconds;    /**< the least of a few passes */
    double flops;
    double bytes;
    double floor_seconds;
    int memory_bound; /**< 1: the floor is the memory's, 0: the arithmetic's */
    int bf16;         /**< 1: its products are of bfloat16 */
} cover_bench_row;
#define COVER_BENCH_ROW_INIT COVER_SIZED(cover_bench_row)
/** Operations, the longest first; nodes, as they run. */
COVER_API cover_status cover_bench_operation_at(cover_bench_row *row, const cover_bench *bench, int index);
COVER_API cover_status cover_bench_layer_at(cover_bench_row *row, const cover_bench *bench, int index);

/** All of it as a text.
 *  @param[out] json {part, dims, size, pairs, precision, threads, lanes, team, rounds, seconds, seconds_min, peak_bytes, flops,
 *                   floor_seconds, ratio (seconds / floor_seconds), create_seconds, update_seconds, ops {NAME: seconds}, and unless
 *                   brief: ops_seconds and ops_floor_seconds (sums), peak {one_thread, all_threads: {fp32_flops_per_s,
 *                   bf16_flops_per_s, bytes_per_s}}, operations [{op, count, seconds, share, flops, bytes, flops_per_s, bytes_per_s,
 *                   floor_seconds, distance (seconds / floor_seconds), bound ("memory", "arithmetic"), products ("fp32", "bf16",
 *                   "none")}], and with `layers` layers [the same with layer and size for count]}; released with
 *                   cover_text_release() */
COVER_API cover_status cover_bench_json(char **json, const cover_bench *bench);

#ifdef __cplusplus
}
#endif
#endif
