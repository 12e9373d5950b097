/* See walk.h. */
#include "walk.h"

#include "core/base/descriptor.h"
#include "core/base/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 64, TELL_EVERY = 1024 };
static const int64_t MOST_ENTRIES = (int64_t)1 << 26;

/* Folders that were walked: a hash table with open addresses, at most half full. */
struct place {
    dev_t device;
    ino_t node;
    bool used;
};
struct places {
    struct place *slots;
    int64_t count, capacity; /* a power of two */
};

struct list {
    const char **paths; /* relative to the folder that is walked */
    int64_t count, capacity;
};

struct walk {
    cover_context *context;
    struct arena *arena;
    const char *folder;
    const struct walk_visitor *visitor;
    struct places places;
    struct list links; /* to folders: walked when all that is not a link is done */
    int64_t entries;
};

static struct place *find(const struct places *places, dev_t device, ino_t node) {
    const uint64_t mask = (uint64_t)places->capacity - 1;
    uint64_t at = ((uint64_t)node * 0x9e3779b97f4a7c15u ^ (uint64_t)device) >> 7;
    while (places->slots[at & mask].used && (places->slots[at & mask].node != node || places->slots[at & mask].device != device))
        at++;
    return &places->slots[at & mask];
}

/* *fresh: it was not walked before. */
static cover_status enter(struct places *places, cover_context *context, const struct stat *about, bool *fresh) {
    if (2 * places->count >= places->capacity) {
        struct places larger = {.count = places->count, .capacity = places->capacity ? 2 * places->capacity : 64};
        larger.slots = memory_zero(context, (size_t)larger.capacity * sizeof *larger.slots);
        if (!larger.slots) return COVER_ERROR_MEMORY;
        for (int64_t i = 0; i < places->capacity; i++)
            if (places->slots[i].used) *find(&larger, places->slots[i].device, places->slots[i].node) = places->slots[i];
        memory_free(context, places->slots);
        *places = larger;
    }
    struct place *place = find(places, about->st_dev, about->st_ino);
    *fresh = !place->used;
    if (*fresh) *place = (struct place){about->st_dev, about->st_ino, true}, places->count++;
    return COVER_OK;
}

static cover_status add(struct list *list, cover_context *context, const char *path) {
    if (!array_grow(context, &list->paths, &list->capacity, list->count + 1, sizeof *list->paths)) return COVER_ERROR_MEMORY;
    list->paths[list->count++] = path;
    return COVER_OK;
}

static int compare(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }
static void sort(struct list *list) {
    if (list->count > 0) qsort(list->paths, (size_t)list->count, sizeof *list->paths, compare);
}

static cover_status tell(struct walk *walk) {
    const struct walk_visitor *visitor = walk->visitor;
    if (cancelled(walk->context)) return fail(COVER_ERROR_CANCELLED, "%s: cancelled while its files were looked for", walk->folder);
    if (++walk->entries > MOST_ENTRIES)
        return fail(COVER_ERROR_UNSUPPORTED, "%s: more than %lld files and folders; give smaller ones", walk->folder,
                    (long long)MOST_ENTRIES);
    if (walk->entries % TELL_EVERY) return COVER_OK;
    return progress_call(walk->context, visitor->progress, visitor->progress_user, walk->entries, 0, visitor->doing);
}

/* One entry of a folder, `relative` to the one that is walked. */
static cover_status take(struct walk *walk, struct list *folders, const char *relative) {
    cover_context *context = walk->context;
    struct stat own, about;
    char *path = path_join(context, walk->folder, relative);
    cover_status status = path ? tell(walk) : COVER_ERROR_MEMORY;
    if (status != COVER_OK) goto done;
    const bool linked = lstat(path, &own) == 0 && S_ISLNK(own.st_mode);
    const bool known = stat(path, &about) == 0; /* what a broken link leads to is said when it is read */
    const bool folder = known && S_ISDIR(about.st_mode);
    if (folder) GO(add(linked ? &walk->links : folders, context, relative));
    if (!folder || linked) status = walk->visitor->visit(walk->visitor->user, relative, path, linked, known ? &about : NULL);
done:
    memory_free(context, path);
    return status;
}

/* All entries of a folder: files to the visitor, folders to a list. */
static cover_status list_folder(struct walk *walk, struct list *folders, const char *full, const char *relative) {
    struct arena *arena = walk->arena;
    cover_status status = COVER_OK;
    DIR *directory = path_list(full);
    if (!directory) return fail_system(full, "cannot be listed");
    errno = 0;
    for (struct dirent *entry; (entry = readdir(directory)); errno = 0) {
        if (entry->d_name[0] == '.') continue;
        const char *below = *relative ? arena_print(arena, "%s/%s", relative, entry->d_name)
                                      : arena_text(arena, entry->d_name, strlen(entry->d_name));
        GO(below ? take(walk, folders, below) : COVER_ERROR_MEMORY);
    }
    if (errno != 0) status = fail_system(full, "cannot be listed");
done:
    closedir(directory);
    return status;
}

/* `relative` is "" for the folder itself. */
static cover_status walk_folder(struct walk *walk, const char *relative, int depth) {
    cover_context *context = walk->context;
    struct list folders = {0};
    struct stat about;
    bool fresh;
    cover_status status = COVER_OK;
    char *full = *relative ? path_join(context, walk->folder, relative) : memory_text(context, walk->folder);
    if (!full) return COVER_ERROR_MEMORY;
    if (stat(full, &about) != 0) GO(fail_system(full, "cannot be listed"));
    GO(enter(&walk->places, context, &about, &fresh));
    if (!fresh) goto done;
    if (depth > DEEPEST) GO(fail(COVER_ERROR_IO, "%s: more than %d folders deep", full, DEEPEST));
    GO(list_folder(walk, &folders, full, relative));
    sort(&folders);
    for (int64_t i = 0; i < folders.count; i++) GO(walk_folder(walk, folders.paths[i], depth + 1));
done:
    memory_free(context, folders.paths);
    memory_free(context, full);
    return status;
}

/* Where links lead, with the links that are found there, until none is left. */
static cover_status walk_links(struct walk *walk) {
    cover_status status = COVER_OK;
    while (status == COVER_OK && walk->links.count > 0) {
        struct list links = walk->links;
        walk->links = (struct list){0};
        sort(&links);
        for (int64_t i = 0; i < links.count && status == COVER_OK; i++) status = walk_folder(walk, links.paths[i], 1);
        memory_free(walk->context, links.paths);
    }
    return status;
}

cover_status walk(cover_context *context, struct arena *arena, const char *folder, const struct walk_visitor *visitor) {
    struct walk walk = {.context = context, .arena = arena, .folder = folder, .visitor = visitor};
    cover_status status = walk_folder(&walk, "", 0);
    if (status == COVER_OK) status = walk_links(&walk);
    memory_free(context, walk.links.paths);
    memory_free(context, walk.places.slots);
    return status;
}
