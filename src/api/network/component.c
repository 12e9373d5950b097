/* Programs by shape, weights and gradients behind the public components.  Called by backbone.c, head.c and loss.c. */
#include "component.h"

#include <string.h>

enum { KEPT_PROGRAMS = 4 };

cover_status component_create(struct component *component, cover_context *context, const cover_config *config) {
    component->context = context;
    pthread_mutex_init(&component->lock, NULL);
    if (!config) return COVER_OK; /* without parameters */
    TRY(cover_config_copy(&component->config, config));
    component->settings = *config_settings(component->config);
    return COVER_OK;
}

cover_status component_allocate(struct component *component, bool fresh) {
    size_t flat = (size_t)component->parameters.floats * sizeof(float);
    component->weights = memory_zero(component->context, flat);
    if (!component->weights) return COVER_ERROR_MEMORY;
    if (fresh) parameters_initialise(&component->parameters, component->weights, (uint64_t)component->settings.common.seed);
    return COVER_OK;
}

static void free_prepared(struct component *component, struct prepared *prepared) {
    session_close(&prepared->session);
    graph_free(&prepared->graph);
    memory_free(component->context, prepared);
}

void component_free(struct component *component) {
    if (!component->context) return;
    for (struct prepared *next, *prepared = component->programs; prepared; prepared = next) {
        next = prepared->next;
        free_prepared(component, prepared);
    }
    memory_free(component->context, component->weights);
    memory_free(component->context, component->gradient);
    parameters_free(&component->parameters);
    cover_config_destroy(component->config);
    pthread_mutex_destroy(&component->lock);
}

cover_status component_weights_changed(struct component *component) {
    cover_status status = COVER_OK;
    pthread_mutex_lock(&component->lock);
    for (struct prepared *prepared = component->programs; prepared && status == COVER_OK; prepared = prepared->next)
        status = session_weights(&prepared->session, component->weights);
    pthread_mutex_unlock(&component->lock);
    return status;
}

/* Keep the newest few; programs at work are never dropped.  With the lock held. */
static void drop_old(struct component *component) {
    int kept = 0;
    for (struct prepared **link = &component->programs; *link;) {
        struct prepared *prepared = *link;
        if (++kept <= KEPT_PROGRAMS || prepared->users > 0) {
            link = &prepared->next;
            continue;
        }
        *link = prepared->next;
        free_prepared(component, prepared);
    }
}

static cover_status build(struct prepared **made, struct component *component, prepared_builder *builder, const struct grid *grid,
                          unsigned detail) {
    struct prepared *prepared = memory_zero(component->context, sizeof *prepared);
    if (!prepared) return COVER_ERROR_MEMORY;
    *prepared = (struct prepared){.kind = (const void *)builder, .grid = *grid, .detail = detail};
    for (int i = 0; i < COMPONENT_RESULTS; i++) prepared->result[i] = ABSENT;
    cover_status status;
    graph_begin(&prepared->graph, component->context, &component->parameters);
    builder(prepared, component);
    GO(session_open(&prepared->session, component->context, &prepared->graph, component->weights, component->context->threads));
    *made = prepared;
done:
    if (status != COVER_OK) free_prepared(component, prepared);
    return status;
}

cover_status component_prepare(struct prepared **out, struct component *component, prepared_builder *builder,
                               const struct grid *grid, unsigned detail) {
    cover_status status = COVER_OK;
    pthread_mutex_lock(&component->lock);
    struct prepared **link = &component->programs;
    while (*link && !((*link)->kind == (const void *)builder && (*link)->detail == detail && grid_same(&(*link)->grid, grid)))
        link = &(*link)->next;
    struct prepared *prepared = *link;
    if (prepared) *link = prepared->next; /* to the front */
    else status = build(&prepared, component, builder, grid, detail);
    if (status == COVER_OK) {
        prepared->next = component->programs;
        component->programs = prepared;
        prepared->users++;
        drop_old(component);
        *out = prepared;
    }
    pthread_mutex_unlock(&component->lock);
    return status;
}

void component_done(struct component *component, struct prepared *prepared) {
    pthread_mutex_lock(&component->lock);
    prepared->users--;
    pthread_mutex_unlock(&component->lock);
}

cover_status component_run(struct component *component, struct prepared *prepared, struct run *run, bool gradient) {
    cover_context *context = component->context;
    size_t flat = (size_t)component->parameters.floats * sizeof(float);
    float *own = NULL;
    cover_status status = COVER_ERROR_MEMORY;
    run->parameters = component->weights;
    run->arena = NULL;
    if (gradient && flat && !(own = run->gradient = memory_zero(context, flat))) goto done;
    GO(session_begin(&prepared->session, run));
    GO(session_run(&prepared->session, run));
    if (own) {
        pthread_mutex_lock(&component->lock);
        if (component->gradient)
            context->executor->add(prepared->session.program, component->gradient, component->gradient, own,
                                   component->parameters.floats);
        else component->gradient = own, own = NULL;
        pthread_mutex_unlock(&component->lock);
    }
done:
    memory_free(context, own);
    if (status != COVER_OK) session_end(&prepared->session, run);
    return status;
}

const float *component_result(const struct prepared *prepared, const struct run *run, int result) {
    return session_result(&prepared->session, run, prepared->result[result]);
}

static cover_status find(const struct component *component, const char *name, const struct parameter **row) {
    int found = name ? parameters_find(&component->parameters, name) : -1;
    if (found < 0) return fail(COVER_ERROR_ARGUMENT, "'%s' is not a parameter of this network", name ? name : "(null)");
    *row = &component->parameters.rows[found];
    return COVER_OK;
}

cover_status component_get(cover_tensor **value, const struct component *component, enum component_part part, const char *name) {
    pthread_mutex_t *lock =
        (pthread_mutex_t *)&component->lock; /* who only looks waits, too: a backward pass may add its gradient */
    const struct parameter *row;
    if (!value) return fail(COVER_ERROR_ARGUMENT, "the out-parameter is NULL");
    TRY(find(component, name, &row));
    TRY(cover_tensor_create(value, component->context, COVER_F32, row->rank, row->shape));
    float *values = cover_tensor_data(*value);
    pthread_mutex_lock(lock);
    const float *flat = part == COMPONENT_GRADIENT ? component->gradient : component->weights;
    if (flat) memcpy(values, flat + row->offset, (size_t)row->count * sizeof *flat);
    else memset(values, 0, (size_t)row->count * sizeof *values);
    pthread_mutex_unlock(lock);
    return COVER_OK;
}

void component_zero_gradient(struct component *component) {
    pthread_mutex_lock(&component->lock);
    memory_free(component->context, component->gradient);
    component->gradient = NULL;
    pthread_mutex_unlock(&component->lock);
}

cover_status component_set(struct component *component, const char *name, const cover_tensor *value) {
    const struct parameter *row;
    cover_tensor *target;
    if (!name || !value) return fail(COVER_ERROR_ARGUMENT, "the name or the value is NULL");
    TRY(find(component, name, &row));
    TRY(cover_tensor_wrap(&target, component->context, COVER_F32, row->rank, row->shape, NULL, component->weights + row->offset));
    cover_status status = cover_tensor_copy(target, value);
    cover_tensor_destroy(target);
    return status == COVER_OK ? component_weights_changed(component) : fail_in(status, "%s", name);
}
