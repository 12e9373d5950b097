/* See dicomdir.h. */
#include "dicomdir.h"
#include "tree.h"

#include "core/base/files.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char MEDIA_CLASS[] = "1.2.840.10008.1.3.10"; /* Media Storage Directory Storage */
enum { HEAD = 1 << 10 };

cover_status dicomdir_is_one(const char *path, bool *is) {
    uint8_t head[HEAD];
    struct source source;
    TRY(source_open(&source, path));
    const size_t bytes = source.bytes < sizeof head ? (size_t)source.bytes : sizeof head;
    const cover_status status = source_read(&source, 0, head, bytes);
    source_close(&source);
    TRY(status);
    const uint8_t class[] = {2, 0, 2, 0, 'U', 'I'}; /* (0002,0002) */
    const size_t length = sizeof MEDIA_CLASS - 1;
    const bool file = bytes > 132 && memcmp(head + 128, "DICM", 4) == 0;
    const uint8_t *found = file ? memmem(head, bytes, class, sizeof class) : NULL;
    *is = false;
    if (!found || (size_t)(head + bytes - found) < sizeof class + 2 + length + 1) return COVER_OK;
    const uint8_t *value = found + sizeof class + 2; /* padded, by some to more than it needs */
    *is = memcmp(value, MEDIA_CLASS, length) == 0 && (found[sizeof class] == length || value[length] == 0 || value[length] == ' ');
    return COVER_OK;
}

/* Records are items, named by where their item begins in the file. */
struct directory {
    cover_context *context;
    struct dicom_tree tree;
    const char *folder; /* canonical */
    const struct dicom_node **records;
    bool *visited;
    int64_t count;
    cover_status (*take)(void *user, const char *path);
    void *user;
};

static int64_t record_at(const struct directory *directory, uint32_t offset) {
    int64_t low = 0, high = directory->count;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (directory->records[middle]->at - 8 < offset) low = middle + 1;
        else high = middle;
    }
    return low < directory->count && directory->records[low]->at - 8 == offset ? low : -1;
}

static uint32_t read_offset(const struct directory *directory, const struct dicom_node *record, uint32_t tag) {
    size_t count;
    const uint8_t *bytes = dicom_bytes(&directory->tree, dicom_find(&directory->tree, record, tag), &count);
    return bytes && count == 4 ? dicom_u32(&directory->tree, bytes) : 0;
}

/* Components of at most 8 characters of PS3.10, 8.5; more are taken, but none that leads elsewhere. */
static cover_status path_of(const struct directory *directory, const struct dicom_node *record, char path[PATH_MAX], bool *any) {
    char file[1024];
    size_t used = 0;
    *any = dicom_text(&directory->tree, dicom_find(&directory->tree, record, TAG_RECORD_FILE), file, sizeof file) > 0;
    if (!*any) return COVER_OK;
    used = (size_t)snprintf(path, PATH_MAX, "%s", directory->folder);
    for (char *part = file, *next; part; part = next) {
        char *end = strchr(part, '\\');
        next = end ? end + 1 : NULL;
        size_t length = end ? (size_t)(end - part) : strlen(part);
        while (length > 0 && part[length - 1] == ' ') length--;
        part[length] = 0;
        if (length == 0 || strchr(part, '/') || strcmp(part, "..") == 0 || strcmp(part, ".") == 0)
            return fail(COVER_ERROR_FORMAT, "a record of the DICOMDIR names a file outside of its folder");
        if (used + 1 + length >= PATH_MAX)
            return fail(COVER_ERROR_FORMAT, "a record of the DICOMDIR names a file that is too long");
        used += (size_t)snprintf(path + used, PATH_MAX - used, "/%s", part);
    }
    return COVER_OK;
}

static cover_status take_record(struct directory *directory, const struct dicom_node *record) {
    char path[PATH_MAX], *real;
    bool any;
    TRY(path_of(directory, record, path, &any));
    if (!any || !file_exists(path)) return COVER_OK;
    real = realpath(path, NULL); /* no link leads out */
    const size_t length = strlen(directory->folder);
    const bool inside = real && strncmp(real, directory->folder, length) == 0 && real[length] == '/';
    free(real);
    if (!inside) return fail(COVER_ERROR_FORMAT, "a record of the DICOMDIR names a link out of its folder");
    return directory->take(directory->user, path);
}

/* Records by their offsets, from the root: next ones and lower ones, none twice. */
static cover_status follow(struct directory *directory, uint32_t root) {
    uint32_t *stack = memory_alloc(directory->context, (2 * (size_t)directory->count + 1) * sizeof *stack);
    int64_t depth = 0;
    cover_status status = stack ? COVER_OK : COVER_ERROR_MEMORY;
    if (stack && root) stack[depth++] = root;
    while (status == COVER_OK && depth > 0) {
        const int64_t at = record_at(directory, stack[--depth]);
        if (at < 0) GO(fail(COVER_ERROR_FORMAT, "a record of the DICOMDIR points to where no record is"));
        if (directory->visited[at]) GO(fail(COVER_ERROR_FORMAT, "the records of the DICOMDIR go in a circle"));
        directory->visited[at] = true;
        const uint32_t next = read_offset(directory, directory->records[at], TAG_RECORD_NEXT);
        const uint32_t lower = read_offset(directory, directory->records[at], TAG_RECORD_LOWER);
        GO(take_record(directory, directory->records[at]));
        if (next) stack[depth++] = next;
        if (lower) stack[depth++] = lower;
    }
done:
    memory_free(directory->context, stack);
    return status;
}

static cover_status list(struct directory *directory) {
    const struct dicom_tree *tree = &directory->tree;
    const struct dicom_node *records = dicom_find(tree, NULL, TAG_DIRECTORY_RECORDS);
    for (const struct dicom_node *item = dicom_first(tree, records); item; item = dicom_next(tree, records, item))
        directory->count++;
    directory->records = memory_alloc(directory->context, ((size_t)directory->count + 1) * sizeof *directory->records);
    directory->visited = memory_zero(directory->context, (size_t)directory->count + 1);
    if (!directory->records || !directory->visited) return COVER_ERROR_MEMORY;
    directory->count = 0;
    for (const struct dicom_node *item = dicom_first(tree, records); item; item = dicom_next(tree, records, item))
        directory->records[directory->count++] = item;
    return follow(directory, read_offset(directory, NULL, TAG_DIRECTORY_FIRST));
}

cover_status dicomdir_read(cover_context *context, const struct source *source, const char *folder,
                           cover_status (*take)(void *user, const char *path), void *user) {
    struct directory directory = {.context = context, .folder = folder, .take = take, .user = user};
    cover_status status = dicom_parse(&directory.tree, context, source);
    if (status == COVER_OK) status = list(&directory);
    memory_free(context, directory.records);
    memory_free(context, directory.visited);
    dicom_tree_free(&directory.tree);
    return status;
}

cover_status dicomdir_list(cover_context *context, const char *path, cover_status (*take)(void *user, const char *path),
                           void *user) {
    struct source source;
    char folder[PATH_MAX], *real;
    const int length = (int)(path_name(path) - path);
    if (snprintf(folder, sizeof folder, "%.*s", length ? length : 1, length ? path : ".") >= PATH_MAX ||
        !(real = realpath(folder, NULL)))
        return fail(COVER_ERROR_IO, "the folder of the DICOMDIR cannot be found");
    cover_status status = source_open(&source, path);
    if (status == COVER_OK) {
        source.name = "DICOMDIR";
        status = dicomdir_read(context, &source, real, take, user);
        source_close(&source);
    }
    free(real);
    return status;
}
