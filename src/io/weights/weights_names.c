/* Names of tensors as networks use them: those of the authors' current model.  Wrappers put prefixes before their names,
 * and the authors' first release called the head's parts otherwise.  See weights.h. */
#include "weights.h"

#include <stdlib.h>
#include <string.h>

/* Taken off those that have it: torch.nn.DataParallel, torch.compile(), modules that hold the model (and a loss beside it). */
static const char *const wrappers[] = {"module.", "_orig_mod.", "model.", "net.", "network."};

/* What a network's own names begin with: nothing in front of them is left to take off. */
static const char *const own[] = {"backbone.", "proj.", "projblock", "mov", "head."};

/* The first release counts levels from full size; a NULL name is left out (buffers: the template of VEU's vectors). */
static const struct {
    const char *from, *to;
} replaced[] = {
    {"projblock1.", "proj.4."}, {"projblock2.", "proj.3."}, {"projblock3.", "proj.2."}, {"projblock4.", "proj.1."},
    {"projblock5.", "proj.0."}, {"mov.grid", NULL},         {"mov1.grid", NULL},        {"mov2.grid", NULL},
    {"mov3.grid", NULL},        {"mov4.grid", NULL},        {"mov5.grid", NULL},
};

static bool begins(const char *name, const char *prefix) { return strncmp(name, prefix, strlen(prefix)) == 0; }

struct prefix {
    const char *text; /* a name that begins with it */
    size_t length;
};

static bool has_prefix(const char *name, const struct prefix *prefix) { return strncmp(name, prefix->text, prefix->length) == 0; }

static bool is_own(const char *name) {
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (begins(name, own[i])) return true;
    return false;
}

/* One wrapper more: the one that most of the names with this prefix have.  False at the network's own names, and where none has one. */
static bool lengthen(struct prefix *prefix, const struct tensor_file *file) {
    enum { WRAPPERS = sizeof wrappers / sizeof *wrappers };
    struct prefix longer[WRAPPERS] = {{0}};
    int64_t with[WRAPPERS] = {0};
    size_t best = 0;
    for (int64_t i = 0; i < file->count; i++) {
        const char *name = file->sorted[i]->name;
        if (!has_prefix(name, prefix)) continue;
        if (is_own(name + prefix->length)) return false;
        for (size_t w = 0; w < WRAPPERS; w++)
            if (begins(name + prefix->length, wrappers[w]) && with[w]++ == 0)
                longer[w] = (struct prefix){name, prefix->length + strlen(wrappers[w])};
    }
    for (size_t w = 1; w < WRAPPERS; w++)
        if (with[w] > with[best]) best = w;
    if (with[best] == 0) return false;
    *prefix = longer[best];
    return true;
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
    struct prefix prefix = {.text = ""};
    struct weights_name *names = arena_alloc(&file->arena, (size_t)file->count * sizeof *names);
    if (!names) return COVER_ERROR_MEMORY;
    while (lengthen(&prefix, file)) {}
    for (int64_t i = 0; i < file->count; i++) {
        const char *name = file->entries[i].name;
        TRY(replace(file, name + (has_prefix(name, &prefix) ? prefix.length : 0), &name));
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
