/* One file is one sample, whatever names links give it: the same image as two samples may be in training and in validation.
 * Called by pack_sources.c when all sources are listed. */
#include "pack.h"

#include <stdlib.h>
#include <sys/stat.h>

struct identity {
    dev_t device;
    ino_t node;
    int64_t item;
};

static int compare(const void *a, const void *b) {
    const struct identity *x = a, *y = b;
    if (x->device != y->device) return x->device < y->device ? -1 : 1;
    if (x->node != y->node) return x->node < y->node ? -1 : 1;
    return x->item < y->item ? -1 : x->item > y->item;
}

static bool same(const struct identity *a, const struct identity *b) { return a->device == b->device && a->node == b->node; }

/* Those that are not the first of their file have no files any more. */
static int64_t mark(struct pack_plan *plan, struct identity *found, int64_t count) {
    int64_t again = 0, first = 0;
    qsort(found, (size_t)count, sizeof *found, compare);
    for (int64_t i = 1; i < count; i++) {
        if (!same(&found[i], &found[first])) {
            first = i;
            continue;
        }
        struct pack_item *item = &plan->items[found[i].item];
        if (again++ == 0 && !plan->quiet)
            log_line(plan->context, COVER_LOG_WARNING,
                     "pack: %s is %s by another name; each file is taken once, by the first of its names", item->path,
                     plan->items[found[first].item].path);
        item->file_count = 0;
    }
    return again;
}

cover_status pack_once(struct pack_plan *plan) {
    int64_t count = 0, kept = 0;
    struct identity *found = memory_alloc(plan->context, (size_t)plan->count * sizeof *found);
    if (!found) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < plan->count; i++) {
        struct stat about;
        if (plan->items[i].files && stat(plan->items[i].path, &about) == 0)
            found[count++] = (struct identity){about.st_dev, about.st_ino, i};
    }
    const int64_t again = mark(plan, found, count);
    memory_free(plan->context, found);
    if (again == 0) return COVER_OK;
    for (int64_t i = 0; i < plan->count; i++)
        if (plan->items[i].file_count > 0 || !plan->items[i].files) plan->items[kept++] = plan->items[i];
    plan->count = kept;
    if (again > 1 && !plan->quiet)
        log_line(plan->context, COVER_LOG_WARNING, "pack: %lld images are others by another name and were left out",
                 (long long)again);
    return COVER_OK;
}
