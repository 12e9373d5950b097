/* What pretraining takes in work and memory, told before anything runs: the command's `plan`.
 *
 * Owner:      the caller releases the JSON with cover_text_release()
 * Lifetime:   plain values
 * Threads:    all at once; cover_trainer_plan() as the trainer
 * Callbacks:  none but the log and the allocator of the context (context.h)
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  stable */
#ifndef LIBCOVER_PLAN_H
#define LIBCOVER_PLAN_H

#include <libcover/trainer.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Work and memory of one process, of several ranks the one with the largest share. */
typedef struct cover_plan {
    size_t struct_size;
    int64_t parameters;
    double flops_per_step;
    uint64_t weight_bytes;
    uint64_t gradient_bytes;
    uint64_t optimiser_bytes;
    uint64_t arena_bytes;         /**< of one lane: one sample in work */
    int lanes;                    /**< samples in work at once */
    uint64_t packed_weight_bytes; /**< weights once more, as the kernels read them */
    uint64_t sample_bytes;        /**< samples drawn ahead */
    uint64_t total_bytes;
    int ranks;                /**< as asked for; 1 of a trainer, which tells its own share */
    int same_bits;            /**< 1: losses and weights are those of one rank, bit for bit */
    int64_t samples_per_rank; /**< of a batch, at most; 0 of a trainer */
    uint64_t reduction_bytes; /**< that a rank sends a step; 0 without others */
    uint64_t batch_bytes;     /**< of the graph in which a batch's samples meet; 0: the objective has none */
    uint64_t
        image_bytes; /**< of each image of the dataset, where the objective looks at all of them now and then; of a trainer in the
                                   total, if that is of this memory */
} cover_plan;
#define COVER_PLAN_INIT COVER_SIZED(cover_plan)

/** The plan of pretraining with these settings; needs no dataset.  @param ranks processes that share a batch, 1 = none but this
 *  @return COVER_OK; COVER_ERROR_ARGUMENT or COVER_ERROR_SHAPE as cover_config_validate(); COVER_ERROR_MEMORY when the total is over
 *  the context's limit */
COVER_API cover_status cover_plan_compute(cover_plan *plan, cover_context *context, const cover_config *config, int ranks);

/** The same of a trainer that stands. */
COVER_API cover_status cover_trainer_plan(cover_plan *plan, const cover_trainer *trainer);

/** @param[out] json {parameters, flops_per_step, bytes {weights, gradients, optimiser, arena_per_lane, lanes, packed_weights, views,
 *                   total}}, with a batch graph {bytes {batch_graph}}, with image_bytes {bytes {per_image}}, and with several ranks {ranks, pairs_per_rank, same_bits,
 *                   reduction_bytes}; released with cover_text_release() */
COVER_API cover_status cover_plan_json(char **json, cover_context *context, const cover_plan *plan);

#ifdef __cplusplus
}
#endif
#endif
