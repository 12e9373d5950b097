/* Every image below a folder, in an order that depends on names alone (docs/dataset.md, "Packing").  Each folder is walked once,
 * whatever links lead to it: those that are there come first, then where links lead, in the order of their names.
 * Called by the layouts of pack, evaluation and prediction. */
#include "pack.h"

#include "core/base/descriptor.h"
#include "core/base/files.h"
#include "io/image/dicom.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
    struct pack_files *files;
    struct pack_plan *plan;
    const char *folder;
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

/* Links that lead out of the folder are what the user has put there, or what a stranger's archive has: they are followed, and told. */
static void note_link(struct walk *walk, const char *path) {
    char *folder = realpath(walk->folder, NULL), *target = folder ? realpath(path, NULL) : NULL;
    const size_t length = folder ? strlen(folder) : 0;
    if (target && (strncmp(target, folder, length) != 0 || (target[length] != '/' && length > 1)) && walk->files->outside++ == 0)
        walk->files->first_outside = arena_text(&walk->plan->arena, target, strlen(target));
    free(folder);
    free(target);
}

static cover_status tell(struct walk *walk) {
    struct pack_plan *plan = walk->plan;
    if (cancelled(plan->context)) return fail(COVER_ERROR_CANCELLED, "%s: cancelled while its files were looked for", walk->folder);
    if (++walk->entries > MOST_ENTRIES)
        return fail(COVER_ERROR_UNSUPPORTED, "%s: more than %lld files and folders; give smaller ones", walk->folder,
                    (long long)MOST_ENTRIES);
    if (walk->entries % TELL_EVERY) return COVER_OK;
    return progress_call(plan->context, plan->progress, plan->user, walk->entries, 0, "looking for images");
}

/* One entry of a folder, `relative` to the one that is walked. */
static cover_status take(struct walk *walk, struct list *folders, const char *relative) {
    cover_context *context = walk->plan->context;
    struct stat own, about;
    char *path = path_join(context, walk->folder, relative);
    cover_status status = path ? tell(walk) : COVER_ERROR_MEMORY;
    if (status != COVER_OK) goto done;
    const bool linked = lstat(path, &own) == 0 && S_ISLNK(own.st_mode);
    const bool known = stat(path, &about) == 0; /* what a broken link leads to is said when it is read */
    const bool image = image_format_of(path) != NULL;
    if (linked && known && (image || S_ISDIR(about.st_mode))) note_link(walk, path);
    if (known && S_ISDIR(about.st_mode)) {
        status = add(linked ? &walk->links : folders, context, relative);
    } else if (image) {
        struct list images = {walk->files->paths, walk->files->count, walk->files->capacity};
        status = add(&images, context, relative);
        walk->files->paths = images.paths, walk->files->count = images.count, walk->files->capacity = images.capacity;
    } else {
        walk->files->others++;
        if (known && S_ISREG(about.st_mode)) walk->files->dicom += dicom_is_file(path);
    }
done:
    memory_free(context, path);
    return status;
}

/* All entries of a folder: images to the files, folders to a list. */
static cover_status list_folder(struct walk *walk, struct list *folders, const char *full, const char *relative) {
    struct arena *arena = &walk->plan->arena;
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
    cover_context *context = walk->plan->context;
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
        memory_free(walk->plan->context, links.paths);
    }
    return status;
}

cover_status pack_walk(struct pack_files *files, struct pack_plan *plan, const char *folder) {
    struct walk walk = {.files = files, .plan = plan, .folder = folder};
    *files = (struct pack_files){0};
    cover_status status = walk_folder(&walk, "", 0);
    if (status == COVER_OK) status = walk_links(&walk);
    memory_free(plan->context, walk.links.paths);
    memory_free(plan->context, walk.places.slots);
    if (status != COVER_OK) {
        pack_files_free(files, plan);
        return status;
    }
    if (files->count > 0) qsort(files->paths, (size_t)files->count, sizeof *files->paths, compare);
    if (files->outside > 0 && !plan->quiet)
        log_line(plan->context, COVER_LOG_INFO, "%s: %lld %s out of this folder; the first leads to %s", folder,
                 (long long)files->outside, files->outside == 1 ? "link leads" : "links lead",
                 files->first_outside ? files->first_outside : "?");
    return COVER_OK;
}

void pack_files_free(struct pack_files *files, struct pack_plan *plan) {
    memory_free(plan->context, files->paths);
    *files = (struct pack_files){0};
}
