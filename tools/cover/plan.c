/* cover plan: what a training run takes, before anything runs. */
#include "command.h"

#include <libcover/dataset.h>
#include <libcover/plan.h>

static int run(struct session *session) {
    static const struct field fields[] = {
        {"ranks", "ranks", UNIT_COUNT},
        {"pairs_per_rank", "pairs of a rank, at most", UNIT_COUNT},
        {"same_bits", "same bits as with one"},
        {"reduction_bytes", "sent by a rank a step", UNIT_BYTES},
        {"parameters", "parameters", UNIT_COUNT},
        {"flops_per_step", "work a step", UNIT_FLOPS},
        {"bytes.weights", "weights", UNIT_BYTES},
        {"bytes.gradients", "gradients", UNIT_BYTES},
        {"bytes.optimiser", "optimiser", UNIT_BYTES},
        {"bytes.arena_per_lane", "arena a lane", UNIT_BYTES},
        {"bytes.lanes", "lanes", UNIT_COUNT},
        {"bytes.packed_weights", "packed weights", UNIT_BYTES},
        {"bytes.views", "views", UNIT_BYTES},
        {"bytes.batch_graph", "batch graph", UNIT_BYTES},
        {"bytes.per_image", "beside it, each image", UNIT_BYTES},
        {"bytes.total", "total", UNIT_BYTES},
        {0},
    };
    if (cover_config_validate(session->config) != COVER_OK) return usage_error(session->verb, "%s", library_words(session->verb));
    char *json = NULL;
    int ranks = given(session, OPTION_RANKS) ? (int)session->arguments.option[OPTION_RANKS].integer[0] : 1;
    cover_plan plan = COVER_PLAN_INIT;
    cover_status result = cover_plan_compute(&plan, session->context, session->config, ranks);
    if (result == COVER_OK) result = cover_plan_json(&json, session->context, &plan);
    if (result != COVER_OK) return failed(session, result);
    int status = print_result(session, json, fields);
    cover_text_release(session->context, json);
    return status;
}

const struct verb verb_plan = {
    .name = "plan",
    .summary = "parameters, work and memory of a run, before it runs",
    .operands = "",
    .detail = "Tells how many parameters the network has, how many floating-point operations a step takes, and how many "
              "bytes go to weights, gradients, optimiser and the arenas of the lanes (a lane is one pair in work). With "
              "--memory-limit, a plan above it is an error, as it is in pretrain. With --ranks it tells what one rank takes of "
              "a batch that is shared, and what it sends to the others in a step.",
    .examples = {"cover plan", "cover plan --ranks 8", "cover plan --preset paper-3d --crop 96x96x96 --json"},
    .preset = "paper-2d",
    .run = run,
    .options = {{OPTION_PRESET},
                {OPTION_OBJECTIVE},
                {OPTION_BATCH},
                {OPTION_CROP},
                {OPTION_STEPS},
                {OPTION_SET},
                {OPTION_RANKS, NULL, "processes that share a batch"}},
};
