/* Measuring what this machine does: the command's `bench`.
 *
 * Owner:      the caller releases the JSON with cover_text_release()
 * Lifetime:   nothing is lent
 * Threads:    alone on the machine, or the figures tell of the others, too
 * Callbacks:  none but the log and the allocator of the context (context.h)
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  stable */
#ifndef LIBCOVER_BENCH_H
#define LIBCOVER_BENCH_H

#include <libcover/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Options of cover_bench().  Full widths, heads 4,4,4,1,1, radius 2, exact coordinates. */
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
    int layers;            /**< 1: the JSON has a row a node of the graph, too */
    const char *html;      /**< write a page with a roofline and the table here; NULL = none */
} cover_bench_options;
#define COVER_BENCH_OPTIONS_INIT COVER_SIZED(cover_bench_options)

/** Time one part of the work on random data: one unmeasured round, then several measured ones; then each node of its graph on
 *  one thread, and what the machine can do at best.
 *
 *  Bytes of an operation: every input tensor read once, every output written once, parameters among them.  FLOPs: the
 *  multiplications and additions of convolutions (counted as direct convolutions, whatever form runs) and of MoV; 0 for the
 *  rest.  The floor of a node is the larger of flops / peak rate and bytes / bandwidth of one thread; that of an operation is
 *  the sum over its nodes.  A fast algorithm, or data that is still in the cache, may lie below its floor.
 *
 *  @param options   NULL for defaults
 *  @param[out] json {part, dims, size, pairs, precision, threads, lanes, team (threads a lane), rounds, seconds (median of the
 *                   rounds), seconds_min, peak_bytes (resident, read before anything else is measured), flops, floor_seconds
 *                   (the step's convolutions alone, in the same lanes; else 0), ratio (seconds / floor_seconds),
 *                   create_seconds (of infer and mov: preparing the network and packing its weights, once a shape),
 *                   update_seconds (of a step: gradient norm, Adam, packing the weights), ops {NAME: seconds}, and unless
 *                   brief: ops_seconds and ops_floor_seconds (sums), peak {one_thread, all_threads: {fp32_flops_per_s,
 *                   bf16_flops_per_s (0 = no such instruction), bytes_per_s}}, operations [{op, count, seconds, share, flops,
 *                   bytes, flops_per_s, bytes_per_s, floor_seconds, distance (seconds / floor_seconds), bound ("memory",
 *                   "arithmetic"), products ("fp32", "bf16", "none")}], and with `layers` layers [the same with layer and
 *                   size for count, as they run]}; released with cover_text_release()
 *  @return COVER_OK; COVER_ERROR_ARGUMENT (unknown part or precision, a size that the network does not take, brief with html or layers);
 *  COVER_ERROR_IO (the page cannot be written); COVER_ERROR_MEMORY; COVER_ERROR_CANCELLED */
COVER_API cover_status cover_bench(char **json, cover_context *context, const cover_bench_options *options);

#ifdef __cplusplus
}
#endif
#endif
