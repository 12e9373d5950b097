/* Names of tensors as networks use them: those of the authors' current model.  Wrappers put prefixes before all names,
 * and the authors' first release called the head's parts otherwise.  See weights.h. */
#include "weights.h"

#include <stdlib.h>
#include <string.h>

/* Taken off while every name begins with it: torch.nn.DataParallel, torch.compile(), modules that hold the model. */
static const char *const wrappers[] = {"module.", "_orig_mod.", "model.", "net.", "network."};

/* The first release counts levels from full size; a NULL name is left out (buffers: the template of VEU's vectors). */
static const struct {
    const char *from, *to;
} replaced[] = {
    {"projblock1.", "proj.4."}, {"projblock2.", "proj.3."}, {"projblock3.", "proj.2."}, {"projblock4.", "proj.1."},
    {"projblock5.", "proj.0."}, {"mov.grid", NULL},         {"mov1.grid", NULL},        {"mov2.grid", NULL},
    {"mov3.grid", NULL},        {"mov4.grid", NULL},        {"mov5.grid", NULL},
};

static bool begins(const char *name, const char *prefix) { return strncmp(name, prefix, strlen(prefix)) == 0; }

/* Length of the wrappers' prefixes that all names share. */
static size_t shared_prefix(const struct tensor_file *file) {
    size_t length = 0;
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers && file->count > 0; i++) {
        int64_t with = 0;
        while (with < file->count && begins(file->sorted[with]->name + length, wrappers[i])) with++;
        if (with < file->count) continue;
        length += strlen(wrappers[i]);
        i = (size_t)-1;
    }
    return length;
}

/* *used: the name in networks; NULL = left out. */
static cover_status replace(struct tensor_file *file, const char *name, const char **used) {
    *used = name;
    for (size_t i = 0; i < sizeof replaced / sizeof *replaced; i++) {
        if (!begins(name, replaced[i].from)) continue;
        *used = NULL;
        if (!replaced[i].to) return COVER_OK;
        *used = arena_print(&file->arena, "%s%s", replaced[i].to, name + strlen(replaced[i].from));
        return *used ? COVER_OK : COVER_ERROR_MEMORY;
    }
    return COVER_OK;
}

static int by_name(const void *a, const void *b) {
    const struct weights_name *left = a, *right = b;
    return strcmp(left->name, right->name);
}

cover_status weights_names(struct tensor_file *file, struct weights_name **out, int64_t *out_count) {
    int64_t count = 0;
    size_t prefix = shared_prefix(file);
    struct weights_name *names = arena_alloc(&file->arena, (size_t)file->count * sizeof *names);
    if (!names) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < file->count; i++) {
        const char *name;
        TRY(replace(file, file->entries[i].name + prefix, &name));
        if (name) names[count++] = (struct weights_name){name, &file->entries[i]};
    }
    qsort(names, (size_t)count, sizeof *names, by_name);
    for (int64_t i = 1; i < count; i++)
        if (strcmp(names[i - 1].name, names[i].name) == 0)
            return fail(COVER_ERROR_FORMAT, "%s: tensors %.100s and %.100s are both %.100s", file->source.name,
                        names[i - 1].entry->name, names[i].entry->name, names[i].name);
    *out = names, *out_count = count;
    return COVER_OK;
}
