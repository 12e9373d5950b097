/* A stored network, ready to match images.  Called by match.c and run_report.c. */
#include "matcher.h"

#include "io/weights/checkpoint.h"
#include "io/weights/weights.h"

#include <string.h>

/* Weights without the head that finds the field: why, and what has one. */
static cover_status refuse_headless(const struct tensor_file *file) {
    const char *objective = weights_origin(file).objective;
    if (objective && strcmp(objective, "cover") != 0 && strcmp(objective, OBJECTIVE_OF_TASKS) != 0)
        return fail(
            COVER_ERROR_MISMATCH,
            "%s: pretrained with objective=%s, which has no head that finds the field between two images; match with weights of "
            "objective=cover (its pretraining may start from these: option init)",
            file->source.name, objective);
    return fail(
        COVER_ERROR_MISMATCH,
        "%s: has no head that finds the field between two images, the backbone alone%s; match with the pretrained network that "
        "it was made of",
        file->source.name, objective && strcmp(objective, OBJECTIVE_OF_TASKS) == 0 ? " under a task" : "");
}

cover_status matcher_open(struct matcher *matcher, cover_context *context, const char *path) {
    struct tensor_file *file;
    struct weights_about about;
    *matcher = (struct matcher){.context = context};
    TRY(weights_open(&file, context, path));
    cover_status status;
    GO(config_of_weights(&matcher->config, &about, context, file));
    if (!about.head) GO(refuse_headless(file));
    matcher->settings = *config_settings(matcher->config);
    GO(pair_parameters(&matcher->parameters, context, &matcher->settings));
    GO(weights_read(&matcher->weights, &matcher->parameters, file, NULL));
done:
    tensor_file_close(file);
    if (status != COVER_OK) matcher_close(matcher);
    return status;
}

static void free_session(struct matcher *matcher) {
    session_end(&matcher->session, &matcher->run);
    session_close(&matcher->session);
    memory_free(matcher->context, matcher->views);
    pair_graph_free(&matcher->pair);
    matcher->run = (struct run){0}, matcher->views = NULL;
}

static cover_status prepare(struct matcher *matcher, const struct grid *grid) {
    cover_context *context = matcher->context;
    TRY(pair_graph_build(&matcher->pair, context, &matcher->parameters, &matcher->settings, grid, PAIR_KEEP));
    TRY(session_open(&matcher->session, context, &matcher->pair.graph, matcher->weights, context->threads));
    matcher->views = memory_zero(context, (size_t)(2 * grid_pixels(grid) * matcher->settings.network.channels) * sizeof(float));
    matcher->run = (struct run){.input = {matcher->views}, .parameters = matcher->weights};
    return matcher->views ? session_begin(&matcher->session, &matcher->run) : COVER_ERROR_MEMORY;
}

cover_status matcher_prepare(struct matcher *matcher, const struct grid *grid) {
    if (matcher->session.program && grid_same(grid, &matcher->grid)) return COVER_OK;
    free_session(matcher);
    matcher->grid = *grid;
    cover_status status = prepare(matcher, grid);
    if (status != COVER_OK) free_session(matcher);
    return status;
}

cover_status matcher_run(struct matcher *matcher) {
    if (cancelled(matcher->context)) return fail(COVER_ERROR_CANCELLED, "cancelled");
    return session_run(&matcher->session, &matcher->run);
}

const float *matcher_field(const struct matcher *matcher) {
    return session_result(&matcher->session, &matcher->run, matcher->pair.field);
}

const float *matcher_level_field(const struct matcher *matcher, int level, struct grid *grid) {
    int result = matcher->pair.level_field[level];
    if (result == ABSENT) return NULL;
    *grid = matcher->pair.field_grid[level];
    return session_result(&matcher->session, &matcher->run, result);
}

void matcher_close(struct matcher *matcher) {
    if (!matcher->context) return;
    free_session(matcher);
    memory_free(matcher->context, matcher->weights);
    parameters_free(&matcher->parameters);
    cover_config_destroy(matcher->config);
    *matcher = (struct matcher){0};
}
