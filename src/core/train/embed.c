/* Samples are read ahead and run batch by batch, as in training; of each batch a rank runs its share. */
#include "embed.h"

#include "core/base/memory.h"
#include "ranks.h"

#include <string.h>

/* A whole batch, to `rows`. */
static cover_status embed_batch(float *rows, struct engine *engine, struct prefetch *prefetch, int64_t step, int result,
                                int64_t floats) {
    const struct sample_source source = prefetch_source(prefetch, step);
    TRY(collective_agree(engine->share.with, engine_forward(engine, &source, result, rows + engine->share.first * floats)));
    return ranks_gather(engine, rows, (size_t)floats * sizeof *rows);
}

cover_status embed_samples(float *rows, struct engine *engine, const struct sample_maker *maker, int64_t count, int result) {
    const int64_t batch = engine->share.batch, steps = (count + batch - 1) / batch;
    const int64_t floats = tensor_elements(graph_tensor(&engine->model.graph, STORAGE_RESULT, result));
    float *last = memory_within(engine->context, (size_t)(batch * floats) * sizeof *last); /* of which not all are wanted */
    struct prefetch *prefetch = NULL;
    cover_status status = last ? prefetch_create(&prefetch, engine, maker, 0, steps) : COVER_ERROR_MEMORY;
    GO(collective_agree(engine->share.with, status));
    for (int64_t step = 0; step < steps; step++) {
        const bool whole = (step + 1) * batch <= count;
        GO(embed_batch(whole ? rows + step * batch * floats : last, engine, prefetch, step, result, floats));
        if (!whole) memcpy(rows + step * batch * floats, last, (size_t)((count - step * batch) * floats) * sizeof *rows);
    }
done:
    prefetch_destroy(prefetch);
    memory_free(engine->context, last);
    return status;
}
