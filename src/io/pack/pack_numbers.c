/* Classes are counted 0, 1, 2, ..., but label maps may hold any values (0 and 255 in most masks of 2D collections): on request the
 * values that occur in any map of the plan are numbered in their order, and 0 stays 0.  Called by pack.c before any image is packed. */
#include "pack_job.h"

#include "core/base/threads.h"

#include <string.h>

enum { LABELS = UINT16_MAX + 1 };

struct survey {
    struct pack_job *job;
    pthread_mutex_t lock; /* of `occurs` */
    bool occurs[LABELS];
    atomic_bool short_of_memory;
};

static void look_at(void *data, int64_t index) {
    struct survey *survey = data;
    const struct pack_item *item = &survey->job->plan.items[index];
    struct image label;
    if (item->unusable || !item->label || cancelled(survey->job->context)) return;
    const cover_status status = label_map_read(&label, survey->job->context, item->label);
    if (status == COVER_ERROR_MEMORY) atomic_store(&survey->short_of_memory, true);
    if (status != COVER_OK) return; /* what cannot be read is reported when it is packed */
    const int64_t count = label.size[0] * label.size[1] * label.size[2];
    pthread_mutex_lock(&survey->lock);
    for (int64_t i = 0; i < count; i++)
        survey->occurs[label.dtype == COVER_U8 ? ((const uint8_t *)label.data)[i] : ((const uint16_t *)label.data)[i]] = true;
    pthread_mutex_unlock(&survey->lock);
    image_free(&label, survey->job->context);
}

/* The table that pack_image() goes by, and the values as they are recorded. */
static cover_status make_table(struct pack_plan *plan, const bool occurs[LABELS]) {
    uint16_t *number = arena_alloc(&plan->arena, LABELS * sizeof *number), next = 1;
    if (!number) return COVER_ERROR_MEMORY;
    number[0] = 0;
    text_add(&plan->label_values, "[0");
    for (int value = 1; value < LABELS; value++) {
        number[value] = occurs[value] ? next++ : 0;
        if (occurs[value]) text_add(&plan->label_values, ", %d", value);
    }
    text_add(&plan->label_values, "]");
    for (int64_t i = 0; i < plan->count; i++) plan->items[i].label_number = number;
    return plan->label_values.failed ? COVER_ERROR_MEMORY : COVER_OK;
}

cover_status pack_number_labels(struct pack_job *job) {
    struct pool *pool;
    if (job->plan.label_names)
        return fail(COVER_ERROR_ARGUMENT, "pack: dataset.json numbers the labels already; leave option number_labels out");
    TRY(context_pool(job->context, &pool));
    struct survey *survey = memory_zero(job->context, sizeof *survey);
    if (!survey) return COVER_ERROR_MEMORY;
    survey->job = job;
    pthread_mutex_init(&survey->lock, NULL);
    pool_each(pool, job->plan.count, look_at, survey);
    pthread_mutex_destroy(&survey->lock);
    cover_status status = COVER_OK;
    if (cancelled(job->context)) status = fail(COVER_ERROR_CANCELLED, "%s: cancelled before anything was packed", job->output);
    else if (atomic_load(&survey->short_of_memory))
        status = fail(COVER_ERROR_MEMORY, "%s: out of memory while looking for the values of the label maps", job->output);
    else status = make_table(&job->plan, survey->occurs);
    memory_free(job->context, survey);
    return status;
}
