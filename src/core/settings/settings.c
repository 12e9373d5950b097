/* cover_config: settings by name from the one table in settings.def, presets from presets.def.  Called by the command,
 * the trainer and the sampler. */
#include "settings.h"

#include "core/base/added.h"
#include "core/base/json.h"
#include "core/base/number.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { KIND_INTEGER, KIND_NUMBER, KIND_CHOICE, KIND_LIST, KIND_SIZE };
static const char *const kind_names[] = {"integer", "number", "choice", "list", "size"};

enum scope { SCOPE_PRETRAIN = 1, SCOPE_TASK = 2, SCOPE_BOTH = 3 }; /* bits: the kinds of config that know a row */
static const char *const scope_names[] = {[SCOPE_PRETRAIN] = "pretrain", [SCOPE_TASK] = "task", [SCOPE_BOTH] = "both"};

struct row {
    cover_config_key key;
    enum kind kind;
    enum scope scope;
    size_t offset;
    double low, high;
};

/* Choices of settings that choose a table's row: the names, each behind a bar. */
#define BACKBONE(name) "|" #name
static const char backbone_names[] =
#include "backbones.def"
    ;
#undef BACKBONE
#define BACKBONE_NAMES (backbone_names + 1)

#define TEXT_INTEGER(fallback) #fallback
#define TEXT_NUMBER(fallback) #fallback
#define TEXT_CHOICE(fallback) fallback
#define TEXT_LIST(fallback) fallback
#define TEXT_SIZE(fallback) fallback
/* The choices of `task`: the names of its kinds, as the other rows write theirs. */
static const char task_kind_names[] =
#define TASK_KIND(name, fewest, multilabel) "|" #name
#include "task_kinds.def"
#undef TASK_KIND
    ;
#define TASK_KINDS (task_kind_names + 1)
/* The choices of `objective`, as the other rows write theirs. */
static const char objective_names[] =
#define OBJECTIVE(name) "|" #name
#include "objectives.def"
#undef OBJECTIVE
    ;
#define OBJECTIVES (objective_names + 1)
static const struct row rows[] = {
#define PART(part)
#define END(part)
#define SETTING(kind_, scope_, part, field, fallback, low_, high_, choices_, help_)                                   \
    {.key = {.name = #field, .choices = choices_, .help = help_},                                                     \
     .kind = KIND_##kind_,                                                                                            \
     .scope = SCOPE_##scope_,                                                                                         \
     .offset = offsetof(struct settings, part.field),                                                                      \
     .low = low_,                                                                                                     \
     .high = high_},
#include "settings.def"
#undef SETTING
};
static const char *const fallbacks[] = {
#define SETTING(kind, scope, part, field, fallback, low, high, choices, help) TEXT_##kind(fallback),
#include "settings.def"
#undef SETTING
#undef PART
#undef END
};
enum { ROWS = sizeof rows / sizeof *rows };

/* A preset row without a field starts a preset. */
static const struct preset_row {
    enum scope scope;
    const char *preset, *field, *value;
} preset_rows[] = {
#define PRESET(scope, name) {SCOPE_##scope, name, NULL, NULL},
#define SET(field, value) {0, NULL, #field, value},
#include "presets.def"

#undef PRESET
#undef SET
};
enum { PRESET_ROWS = sizeof preset_rows / sizeof *preset_rows };

struct cover_config {
    cover_context *context;
    enum scope scope; /* pretrain or task */
    struct settings settings;
    char *json;
    char value[256]; /* what cover_config_get() handed out last */
};

static const struct row *find_row(const cover_config *config, const char *name) {
    for (int i = 0; i < ROWS; i++)
        if (strcmp(rows[i].key.name, name) == 0) return rows[i].scope & config->scope ? &rows[i] : NULL;
    return NULL;
}

/* ---- text to value */

static bool read_number(const char *text, double *value) {
    char *end;
    errno = 0;
    *value = number_read(text, &end);
    return end != text && *end == 0 && errno == 0 && isfinite(*value);
}

static bool read_integer(const char *text, int64_t *value) {
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    *value = number;
    return end != text && *end == 0 && errno == 0;
}

static bool read_list(const char *text, char separator, struct setting_list *list) {
    *list = (struct setting_list){0};
    for (;;) {
        char *end;
        errno = 0;
        long long number = strtoll(text, &end, 10);
        if (end == text || errno || list->count == SETTING_LIST_MAX) return false;
        list->value[list->count++] = number;
        if (*end == 0) return true;
        if (*end != separator) return false;
        text = end + 1;
    }
}

/* The index-th choice of a row, which ends at a bar or at its end; those of added rows follow the table's.  NULL past the end. */
static const char *choice_at(const cover_context *context, const struct row *row, int index) {
    const char *choice = row->key.choices;
    for (; index > 0; index--) {
        choice += strcspn(choice, "|");
        if (*choice++ == 0) break;
    }
    if (index == 0) return choice;
    const struct added_row *added = added_row(context, row->key.name, index - 1);
    return added ? added->name : NULL;
}

static bool read_choice(const cover_context *context, const struct row *row, const char *text, int *value) {
    size_t length = strlen(text);
    const char *choice;
    for (int index = 0; (choice = choice_at(context, row, index)); index++) {
        if (strcspn(choice, "|") != length || strncmp(choice, text, length) != 0) continue;
        *value = index;
        return true;
    }
    return false;
}

static cover_status out_of_range(const struct row *row, const char *value) {
    return fail(COVER_ERROR_ARGUMENT, "%s=%s: out of range; use %.15g..%.15g", row->key.name, value, row->low, row->high);
}

static cover_status set_list(const struct row *row, void *field, const char *value) {
    struct setting_list list;
    bool size = row->kind == KIND_SIZE;
    if (!read_list(value, size ? 'x' : ',', &list) || (size && list.count != 2 && list.count != 3))
        return fail(COVER_ERROR_ARGUMENT, "%s=%s: %s", row->key.name, value,
                    size ? "give a size as HxW or DxHxW, 384x384 for example" : "give whole numbers joined by commas");
    for (int i = 0; i < list.count; i++)
        if ((double)list.value[i] < row->low || (double)list.value[i] > row->high) return out_of_range(row, value);
    memcpy(field, &list, sizeof list);
    return COVER_OK;
}

static cover_status set_value(struct settings *settings, const cover_context *context, const struct row *row, const char *value) {
    void *field = (char *)settings + row->offset;
    double number;
    int64_t integer;
    switch (row->kind) {
    case KIND_INTEGER:
        if (!read_integer(value, &integer))
            return fail(COVER_ERROR_ARGUMENT, "%s=%s: give a whole number", row->key.name, value);
        if ((double)integer < row->low || (double)integer > row->high) return out_of_range(row, value);
        *(int64_t *)field = integer;
        return COVER_OK;
    case KIND_NUMBER:
        if (!read_number(value, &number)) return fail(COVER_ERROR_ARGUMENT, "%s=%s: give a number", row->key.name, value);
        if (number < row->low || number > row->high) return out_of_range(row, value);
        *(double *)field = number;
        return COVER_OK;
    case KIND_CHOICE:
        if (!read_choice(context, row, value, field))
            return fail(COVER_ERROR_ARGUMENT, "%s=%s: use one of %s", row->key.name, value, row->key.choices);
        return COVER_OK;
    case KIND_LIST:
    case KIND_SIZE: return set_list(row, field, value);
    }
    return fail(COVER_ERROR_INTERNAL, "%s: a row of unknown kind", row->key.name);
}

/* ---- value to text */

static void write_value(char *text, size_t bytes, const cover_config *config, const struct row *row) {
    const void *field = (const char *)&config->settings + row->offset;
    if (row->kind == KIND_INTEGER) snprintf(text, bytes, "%lld", (long long)*(const int64_t *)field);
    else if (row->kind == KIND_NUMBER) {
        for (int digits = 6; digits <= 17; digits++) { /* the shortest text that reads back the same */
            number_print(text, bytes, "%.*g", digits, *(const double *)field);
            if (number_read(text, NULL) == *(const double *)field) break;
        }
    } else if (row->kind == KIND_CHOICE) {
        const char *choice = choice_at(config->context, row, *(const int *)field);
        snprintf(text, bytes, "%.*s", (int)strcspn(choice, "|"), choice);
    } else {
        const struct setting_list *list = field;
        size_t used = 0;
        for (int i = 0; i < list->count && used < bytes; i++)
            used += (size_t)snprintf(text + used, bytes - used, "%s%lld", !i ? "" : row->kind == KIND_SIZE ? "x" : ",",
                                     (long long)list->value[i]);
    }
}

/* ---- the public handle */

cover_status cover_config_create(cover_config **out, cover_context *context, const char *preset) {
    if (!out || !context) return fail(COVER_ERROR_ARGUMENT, "cover_config_create: an argument is NULL");
    if (!preset) preset = "paper-2d";
    int start = 0;
    while (start < PRESET_ROWS && !(preset_rows[start].preset && strcmp(preset_rows[start].preset, preset) == 0)) start++;
    if (start == PRESET_ROWS) {
        char names[256] = "";
        for (int i = 0, used = 0; i < PRESET_ROWS; i++)
            if (preset_rows[i].preset)
                used += snprintf(names + used, sizeof names - (size_t)used, "%s%s", used ? " " : "", preset_rows[i].preset);
        return fail(COVER_ERROR_ARGUMENT, "preset '%s' is not known; use one of %s", preset, names);
    }
    cover_config *config = memory_zero(context, sizeof *config);
    if (!config) return COVER_ERROR_MEMORY;
    config->context = context, config->scope = preset_rows[start].scope;
    cover_status status = COVER_OK;
    for (int i = 0; i < ROWS && status == COVER_OK; i++) status = set_value(&config->settings, context, &rows[i], fallbacks[i]);
    for (int i = start + 1; i < PRESET_ROWS && preset_rows[i].field && status == COVER_OK; i++)
        status = cover_config_set(config, preset_rows[i].field, preset_rows[i].value);
    if (status != COVER_OK) {
        cover_config_destroy(config);
        return status;
    }
    *out = config;
    return COVER_OK;
}

cover_status cover_config_copy(cover_config **copy, const cover_config *config) {
    if (!copy || !config) return fail(COVER_ERROR_ARGUMENT, "cover_config_copy: an argument is NULL");
    cover_config *fresh = memory_zero(config->context, sizeof *fresh);
    if (!fresh) return COVER_ERROR_MEMORY;
    fresh->context = config->context, fresh->scope = config->scope, fresh->settings = config->settings;
    *copy = fresh;
    return COVER_OK;
}

void cover_config_destroy(cover_config *config) {
    if (!config) return;
    memory_free(config->context, config->json);
    memory_free(config->context, config);
}

static cover_status unknown_setting(const cover_config *config, const char *name) {
    bool task = config->scope == SCOPE_TASK;
    for (int i = 0; i < ROWS; i++)
        if (strcmp(rows[i].key.name, name) == 0)
            return fail(COVER_ERROR_ARGUMENT, "'%s' is a setting of %s; `cover %s -h` lists those that are known here", name,
                        task ? "pretraining" : "fine-tuning", task ? "finetune" : "pretrain");
    return fail(COVER_ERROR_ARGUMENT, "'%s' is not a setting; `cover %s -h` lists them", name, task ? "finetune" : "pretrain");
}

cover_status cover_config_set(cover_config *config, const char *name, const char *value) {
    if (!config || !name || !value) return fail(COVER_ERROR_ARGUMENT, "cover_config_set: an argument is NULL");
    const struct row *row = find_row(config, name);
    return row ? set_value(&config->settings, config->context, row, value) : unknown_setting(config, name);
}

const char *cover_config_get(const cover_config *config, const char *name) {
    const struct row *row = config && name ? find_row(config, name) : NULL;
    if (!row) return NULL;
    char *value = ((cover_config *)config)->value;
    write_value(value, sizeof config->value, config, row);
    return value;
}

const char *cover_config_json(const cover_config *config) {
    if (!config) return NULL;
    cover_config *self = (cover_config *)config;
    struct text text = {.context = config->context};
    const char *before = "{\n";
    for (int i = 0; i < ROWS; i++) {
        char value[256];
        if (!(rows[i].scope & config->scope)) continue;
        write_value(value, sizeof value, config, &rows[i]);
        bool bare = rows[i].kind == KIND_INTEGER || rows[i].kind == KIND_NUMBER;
        text_add(&text, "%s  \"%s\": %s%s%s", before, rows[i].key.name, bare ? "" : "\"", value, bare ? "" : "\"");
        before = ",\n";
    }
    text_add(&text, "\n}\n");
    char *json;
    if (text_take(&text, &json) != COVER_OK) return NULL;
    memory_free(config->context, self->json);
    return self->json = json;
}

/* Lists may also come as JSON arrays, integers and numbers as JSON numbers. */
static cover_status json_value_text(char *out, size_t bytes, const struct row *row, const json_t *value) {
    if (json_is_string(value)) {
        if (strlen(json_string_value(value)) >= bytes)
            return fail(COVER_ERROR_ARGUMENT, "%s: the value is too long", row->key.name);
        snprintf(out, bytes, "%s", json_string_value(value));
    } else if (json_is_integer(value)) snprintf(out, bytes, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value)) number_print(out, bytes, "%.17g", json_real_value(value));
    else if (json_is_array(value)) {
        size_t used = 0;
        *out = 0;
        for (size_t i = 0; i < json_array_size(value) && used < bytes; i++)
            used += (size_t)snprintf(out + used, bytes - used, "%s%lld", !i ? "" : row->kind == KIND_SIZE ? "x" : ",",
                                     (long long)json_integer_value(json_array_get(value, i)));
    } else return fail(COVER_ERROR_ARGUMENT, "%s: give text, a number or an array", row->key.name);
    return COVER_OK;
}

cover_status cover_config_read_json(cover_config *config, const char *json) {
    if (!config || !json) return fail(COVER_ERROR_ARGUMENT, "cover_config_read_json: an argument is NULL");
    json_error_t error;
    json_t *object = json_read(json, strlen(json), JSON_REJECT_DUPLICATES, &error);
    if (!object) return fail(COVER_ERROR_FORMAT, "settings: line %d: %s", error.line, error.text);
    struct settings settings = config->settings; /* all or nothing */
    cover_status status = COVER_OK;
    if (!json_is_object(object)) status = fail(COVER_ERROR_FORMAT, "settings: a JSON object is expected");
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value) {
        const struct row *row = find_row(config, name);
        char text[256];
        if (status == COVER_OK && !row) status = unknown_setting(config, name);
        if (status == COVER_OK) status = json_value_text(text, sizeof text, row, value);
        if (status == COVER_OK) status = set_value(&settings, config->context, row, text);
    }
    json_decref(object);
    if (status == COVER_OK) config->settings = settings;
    return status;
}

const cover_config_key *cover_config_key_at(int index) {
    /* the names of kind and scope are filled here, so that the table stays one macro a row */
    static _Thread_local cover_config_key key;
    if (index < 0 || index >= ROWS) return NULL;
    key = rows[index].key;
    key.kind = kind_names[rows[index].kind];
    key.scope = scope_names[rows[index].scope];
    return &key;
}

static const struct preset_row *preset_at(int index) {
    for (int i = 0; i < PRESET_ROWS; i++)
        if (preset_rows[i].preset && index-- == 0) return &preset_rows[i];
    return NULL;
}
const char *cover_config_preset_at(int index) {
    const struct preset_row *row = preset_at(index);
    return row ? row->preset : NULL;
}
const char *cover_config_preset_scope(int index) {
    const struct preset_row *row = preset_at(index);
    return row ? scope_names[row->scope] : NULL;
}

cover_status config_expect(const cover_config *config, bool task) {
    if ((config->scope == SCOPE_TASK) == task) return COVER_OK;
    return fail(COVER_ERROR_ARGUMENT, "these settings are for %s; start from a preset for %s: %s",
                task ? "pretraining" : "fine-tuning", task ? "fine-tuning" : "pretraining",
                task ? "seg-2d, seg-3d, cls-2d or cls-3d" : "paper-2d, paper-3d, released-2d, released-3d or demo");
}

const struct settings *config_settings(const cover_config *config) { return &config->settings; }
cover_context *config_context(const cover_config *config) { return config->context; }
bool config_is_task(const cover_config *config) { return config->scope == SCOPE_TASK; }

struct grid settings_grid(const struct setting_list *size, int dims) {
    struct grid grid = {.ndim = dims, .size = {1, 1, 1}};
    for (int i = 0; i < dims; i++) grid.size[3 - dims + i] = size->value[i];
    return grid;
}

bool setting_may_change(const char *name) {
    static const char *const free_names[] = {"steps", "lanes", "checkpoint_every", "save_every", "log_every",
                                             "overlap", "mirror", "keep_component"};
    for (size_t i = 0; i < sizeof free_names / sizeof *free_names; i++)
        if (strcmp(name, free_names[i]) == 0) return true;
    return false;
}

cover_status config_resumes(const cover_config *config, const char *path, const char *json) {
    cover_config *stored;
    TRY(cover_config_copy(&stored, config));
    cover_status status = cover_config_read_json(stored, json);
    if (status != COVER_OK) fail_in(status, "%s", path);
    for (int i = 0; i < ROWS && status == COVER_OK; i++) {
        const char *name = rows[i].key.name;
        char was[256], is[256];
        if (!(rows[i].scope & config->scope)) continue;
        write_value(was, sizeof was, stored, &rows[i]);
        write_value(is, sizeof is, config, &rows[i]);
        bool free_steps = strcmp(name, "steps") != 0 || config->settings.common.schedule == SCHEDULE_CONSTANT;
        if (strcmp(was, is) != 0 && !(setting_may_change(name) && free_steps))
            status = fail(COVER_ERROR_MISMATCH, "%s: the run was made with %s=%s, not %s; resume it with the same settings, or start a "
                          "new run", path, name, was, is);
    }
    cover_config_destroy(stored);
    return status;
}

double schedule_rate(const struct common_settings *settings, int64_t step) {
    double warm = settings->warmup > 0 && step < settings->warmup ? (double)(step + 1) / (double)settings->warmup : 1;
    if (settings->schedule == SCHEDULE_CONSTANT || step < settings->warmup) return settings->lr * warm;
    double span = (double)(settings->steps - settings->warmup), done = (double)(step - settings->warmup);
    if (done >= span) return 0;
    return settings->lr * 0.5 * (1 + cos(3.14159265358979323846 * done / span));
}
