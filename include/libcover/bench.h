/* Measuring what this machine does: the command's `bench`. */
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
                                and backward, 8 channels, one head, one pair; "infer": both images of a pair to a field;
                                "sevr": drawing one pair of views with every augmentation, on one thread.
                                NULL = "step" */
    const char *precision; /**< "fp32"; NULL = "fp32" */
} cover_bench_options;
#define COVER_BENCH_OPTIONS_INIT {sizeof(cover_bench_options), 0, 0, 0, 0, 0}

/** Time one part of the work on random data: one unmeasured round, then several measured ones.
 *
 *  @param options   NULL for defaults
 *  @param[out] json {part, dims, size, pairs, precision, threads, seconds (median of the rounds), seconds_min,
 *                   peak_bytes (resident, read before the floor is measured), flops, floor_seconds (the step's
 *                   convolutions alone, in the same lanes), create_seconds (of infer and mov: preparing the network and
 *                   packing its weights, once a shape), ops {NAME: seconds, on one thread}}; released with
 *                   cover_text_release()
 *  @return COVER_OK; COVER_ERROR_ARGUMENT (unknown part or precision, size no multiple of 16); COVER_ERROR_MEMORY;
 *  COVER_ERROR_CANCELLED */
COVER_API cover_status cover_bench(cover_context *context, const cover_bench_options *options, char **json);

#ifdef __cplusplus
}
#endif
#endif
