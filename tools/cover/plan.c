/* cover plan: what a training run takes, before anything runs. */
#include "command.h"

#include <libcover/dataset.h>
#include <libcover/trainer.h>

static int run(struct session *session) {
    static const struct field fields[] = {
        {"parameters", "parameters", UNIT_COUNT},
        {"flops_per_step", "work a step", UNIT_FLOPS},
        {"bytes.weights", "weights", UNIT_BYTES},
        {"bytes.gradients", "gradients", UNIT_BYTES},
        {"bytes.optimiser", "optimiser", UNIT_BYTES},
        {"bytes.arena_per_lane", "arena a lane", UNIT_BYTES},
        {"bytes.lanes", "lanes", UNIT_COUNT},
        {"bytes.packed_weights", "packed weights", UNIT_BYTES},
        {"bytes.views", "views", UNIT_BYTES},
        {"bytes.total", "total", UNIT_BYTES},
        {0},
    };
    if (cover_config_validate(session->config) != COVER_OK) return usage_error(session->verb, "%s", cover_error_text());
    char *json = NULL;
    cover_status result = cover_plan(session->context, session->config, &json);
    if (result != COVER_OK) return failed(session, result);
    int status = print_result(session, json, fields);
    cover_text_release(session->context, json);
    return status;
}

const struct verb verb_plan = {
    .name = "plan",
    .summary = "parameters, work and memory of a run, before it runs",
    .operands = "",
    .detail =
        "Tells how many parameters the network has, how many floating-point operations a step takes, and how many "
        "bytes go to weights, gradients, optimiser and the arenas of the lanes (a lane is one pair in work). With "
        "--memory-limit, a plan above it is an error, as it is in pretrain.",
    .examples = {"cover plan", "cover plan --preset paper-3d --crop 96x96x96 --json"},
    .preset = "paper-2d",
    .run = run,
    .options = {{OPTION_PRESET}, {OPTION_BATCH}, {OPTION_CROP}, {OPTION_STEPS}, {OPTION_SET}},
};
