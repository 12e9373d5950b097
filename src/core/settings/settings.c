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
#define NAME_INTEGER "integer"
#define NAME_NUMBER "number"
#define NAME_CHOICE "choice"
#define NAME_LIST "list"
#define NAME_SIZE "size"

enum scope { SCOPE_PRETRAIN = 1, SCOPE_TASK = 2, SCOPE_BOTH = 3 }; /* bits: the kinds of config that know a row */
#define NAME_PRETRAIN "pretrain"
#define NAME_TASK "task"
#define NAME_BOTH "both"

enum resume { RESUME_SAME, RESUME_FREE, RESUME_LONGER }; /* what a resumed run may have */

struct row {
    cover_config_key key;
    enum kind kind;
    enum scope scope;
    enum resume resume;
    size_t offset;
    double low, high;
};

#define TEXT_INTEGER(fallback) #fallback
#define TEXT_NUMBER(fallback) #fallback
#define TEXT_CHOICE(fallback) fallback
#define TEXT_LIST(fallback) fallback
#define TEXT_SIZE(fallback) fallback

/* A row's choices: the names, each behind a bar, of which the first is passed over. */
#define CHOICE_NAME(value, name) "|" name
#define CHOICE_NAMES(list) (&(list(CHOICE_NAME))[1])
#define NO_CHOICES(CHOICE) "|"
/* Those of settings that choose a table's row. */
#define BACKBONE(name) "|" #name
#define OBJECTIVE BACKBONE
#define TASK_KIND BACKBONE
static const char backbone_names[] =
#include "backbones.def"
    ;
static const char objective_names[] =
#include "objectives.def"
    ;
static const char task_kind_names[] =
#include "task_kinds.def"
    ;
#undef BACKBONE
#undef OBJECTIVE
#undef TASK_KIND
#define BACKBONE_CHOICES(CHOICE) backbone_names
#define OBJECTIVE_CHOICES(CHOICE) objective_names
#define TASK_CHOICES(CHOICE) task_kind_names

static const struct row rows[] = {
#define PART(part)
#define END(part)
#define SETTING(kind_, scope_, resume_, part, field, fallback, low_, high_, choices_, help_)                                       \
    {.key = {#field, NAME_##kind_, CHOICE_NAMES(choices_), help_, NAME_##scope_},                                                  \
     .kind = KIND_##kind_,                                                                                                         \
     .scope = SCOPE_##scope_,                                                                                                      \
     .resume = RESUME_##resume_,                                                                                                   \
     .offset = offsetof(struct settings, part.field),                                                                              \
     .low = low_,                                                                                                                  \
     .high = high_},
#include "settings.def"
#undef SETTING
};
static const char *const fallbacks[] = {
#define SETTING(kind, scope, resume, part, field, fallback, low, high, choices, help) TEXT_##kind(fallback),
#include "settings.def"
#undef SETTING
#undef PART
#undef END
};
enum { ROWS = sizeof rows / sizeof *rows };

/* A preset row without a field starts a preset, or without a scope more rows of one. */
static const struct preset_row {
    enum scope scope;
    const char *preset, *field, *value;
} preset_rows[] = {
#define PRESET(scope, name) {SCOPE_##scope, name, NULL, NULL},
#define MORE(name) {0, name, NULL, NULL},
#define SET(field, value) {0, NULL, #field, value},
#include "presets.def"
#undef PRESET
#undef MORE
#undef SET
};
enum { PRESET_ROWS = sizeof preset_rows / sizeof *preset_rows };

/* The values, and each as the text that cover_config_get() hands out: written when it is set, so that reading changes nothing. */
enum { VALUE_BYTES = 192 }; /* more than the longest list takes */
struct values {
    struct settings settings;
    char text[ROWS][VALUE_BYTES];
};

/* What cover_config_json() hands out, made when it is first asked for. */
struct whole {
    pthread_mutex_t lock;
    char *text; /* NULL = not since the last change */
};

struct cover_config {
    cover_context *context;
    enum scope scope; /* pretrain or task */
    struct values values;
    struct whole *whole; /* apart, since a config that is only read makes it */
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

static cover_status read_value(struct settings *settings, const cover_context *context, const struct row *row, const char *value) {
    void *field = (char *)settings + row->offset;
    double number;
    int64_t integer;
    switch (row->kind) {
    case KIND_INTEGER:
        if (!read_integer(value, &integer)) return fail(COVER_ERROR_ARGUMENT, "%s=%s: give a whole number", row->key.name, value);
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
    case KIND_SIZE:
        return set_list(row, field, value);
    }
    return fail(COVER_ERROR_INTERNAL, "%s: a row of unknown kind", row->key.name);
}

/* ---- value to text */

static void write_value(char *text, size_t bytes, const struct settings *settings, const cover_context *context,
                        const struct row *row) {
    const void *field = (const char *)settings + row->offset;
    if (row->kind == KIND_INTEGER) snprintf(text, bytes, "%lld", (long long)*(const int64_t *)field);
    else if (row->kind == KIND_NUMBER) {
        for (int digits = 6; digits <= 17; digits++) { /* the shortest text that reads back the same */
            number_print(text, bytes, "%.*g", digits, *(const double *)field);
            if (number_read(text, NULL) == *(const double *)field) break;
        }
    } else if (row->kind == KIND_CHOICE) {
        const char *choice = choice_at(context, row, *(const int *)field);
        snprintf(text, bytes, "%.*s", (int)strcspn(choice, "|"), choice);
    } else {
        const struct setting_list *list = field;
        size_t used = 0;
        for (int i = 0; i < list->count && used < bytes; i++)
            used += (size_t)snprintf(text + used, bytes - used, "%s%lld",
                                     !i                       ? ""
                                     : row->kind == KIND_SIZE ? "x"
                                                              : ",",
                                     (long long)list->value[i]);
    }
}

static cover_status set_value(struct values *values, const cover_context *context, const struct row *row, const char *value) {
    TRY(read_value(&values->settings, context, row, value));
    write_value(values->text[row - rows], VALUE_BYTES, &values->settings, context, row);
    return COVER_OK;
}

/* ---- the public handle */

/* Presets of these scopes. */
static struct names preset_names(unsigned scopes) {
    struct names names = {0};
    for (int i = 0; i < PRESET_ROWS; i++)
        if (preset_rows[i].preset && preset_rows[i].scope & scopes) names_add(&names, preset_rows[i].preset);
    return names;
}

static cover_status make_config(cover_config **out, cover_context *context, enum scope scope, const struct values *values) {
    cover_config *config = handle_make(context, sizeof *config);
    if (!config) return COVER_ERROR_MEMORY;
    config->context = context, config->scope = scope;
    config->whole = memory_zero(context, sizeof *config->whole);
    if (!config->whole) {
        handle_free(context, config);
        return COVER_ERROR_MEMORY;
    }
    if (values) config->values = *values;
    pthread_mutex_init(&config->whole->lock, NULL);
    *out = config;
    return COVER_OK;
}

cover_status cover_config_create(cover_config **out, cover_context *context, const char *preset) {
    if (!out || !context) return fail(COVER_ERROR_ARGUMENT, "cover_config_create: an argument is NULL");
    if (!preset) preset = "paper-2d";
    int start = 0;
    while (start < PRESET_ROWS && !(preset_rows[start].preset && strcmp(preset_rows[start].preset, preset) == 0)) start++;
    if (start == PRESET_ROWS)
        return fail(COVER_ERROR_ARGUMENT, "preset '%s' is not known; use one of %s", preset, preset_names(SCOPE_BOTH).text);
    cover_config *config;
    TRY(make_config(&config, context, preset_rows[start].scope, NULL));
    cover_status status = COVER_OK;
    for (int i = 0; i < ROWS && status == COVER_OK; i++) status = set_value(&config->values, context, &rows[i], fallbacks[i]);
    bool its = false;
    for (int i = start; i < PRESET_ROWS && status == COVER_OK; i++) {
        if (preset_rows[i].preset) its = strcmp(preset_rows[i].preset, preset) == 0;
        else if (its) status = cover_config_set(config, preset_rows[i].field, preset_rows[i].value);
    }
    if (status != COVER_OK) {
        cover_config_destroy(config);
        return status;
    }
    *out = config;
    return COVER_OK;
}

cover_status cover_config_copy(cover_config **copy, const cover_config *config) {
    if (!copy || !config) return fail(COVER_ERROR_ARGUMENT, "cover_config_copy: an argument is NULL");
    return make_config(copy, config->context, config->scope, &config->values);
}

/* The text of the whole is no longer true. */
static void changed(cover_config *config) {
    memory_free(config->context, config->whole->text);
    config->whole->text = NULL;
}

void cover_config_destroy(cover_config *config) {
    if (!config) return;
    memory_free(config->context, config->whole->text);
    pthread_mutex_destroy(&config->whole->lock);
    memory_free(config->context, config->whole);
    handle_free(config->context, config);
}

static cover_status unknown_setting(const cover_config *config, const char *name) {
    bool task = config->scope == SCOPE_TASK;
    for (int i = 0; i < ROWS; i++)
        if (strcmp(rows[i].key.name, name) == 0)
            return fail(COVER_ERROR_ARGUMENT, "'%s' is a setting of %s, not of %s", name, task ? "pretraining" : "fine-tuning",
                        task ? "fine-tuning" : "pretraining");
    return fail(COVER_ERROR_ARGUMENT, "'%s' is not a setting of %s", name, task ? "fine-tuning" : "pretraining");
}

cover_status cover_config_set(cover_config *config, const char *name, const char *value) {
    if (!config || !name || !value) return fail(COVER_ERROR_ARGUMENT, "cover_config_set: an argument is NULL");
    const struct row *row = find_row(config, name);
    if (!row) return unknown_setting(config, name);
    TRY(set_value(&config->values, config->context, row, value));
    changed(config);
    return COVER_OK;
}

const char *cover_config_get(const cover_config *config, const char *name) {
    const struct row *row = config && name ? find_row(config, name) : NULL;
    return row ? config->values.text[row - rows] : NULL;
}

static cover_status write_whole(char **json, const cover_config *config) {
    struct text text = {.context = config->context};
    const char *before = "{\n";
    for (int i = 0; i < ROWS; i++) {
        if (!(rows[i].scope & config->scope)) continue;
        const char *quote = rows[i].kind == KIND_INTEGER || rows[i].kind == KIND_NUMBER ? "" : "\"";
        text_add(&text, "%s  \"%s\": %s%s%s", before, rows[i].key.name, quote, config->values.text[i], quote);
        before = ",\n";
    }
    text_add(&text, "\n}\n");
    return text_take(&text, json);
}

const char *cover_config_json(const cover_config *config) {
    if (!config) return NULL;
    struct whole *whole = config->whole;
    pthread_mutex_lock(&whole->lock);
    if (!whole->text && write_whole(&whole->text, config) != COVER_OK) whole->text = NULL;
    const char *json = whole->text;
    pthread_mutex_unlock(&whole->lock);
    return json;
}

/* Lists may also come as JSON arrays, integers and numbers as JSON numbers. */
static cover_status json_value_text(struct text *out, const struct row *row, const json_t *value) {
    out->length = 0;
    if (json_is_string(value)) text_add(out, "%s", json_string_value(value));
    else if (json_is_integer(value)) text_add(out, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value)) text_add(out, "%.17g", json_real_value(value));
    else if (json_is_array(value) && (row->kind == KIND_LIST || row->kind == KIND_SIZE)) {
        text_add(out, "%s", "");
        for (size_t i = 0; i < json_array_size(value); i++) {
            const json_t *item = json_array_get(value, i);
            if (!json_is_integer(item))
                return fail(COVER_ERROR_ARGUMENT, "%s: value %zu of the array is no whole number", row->key.name, i + 1);
            text_add(out, "%s%lld", !i ? "" : row->kind == KIND_SIZE ? "x" : ",", (long long)json_integer_value(item));
        }
    } else
        return fail(COVER_ERROR_ARGUMENT, "%s: give text%s", row->key.name,
                    row->kind == KIND_LIST || row->kind == KIND_SIZE ? ", a number or an array" : " or a number");
    return out->failed ? COVER_ERROR_MEMORY : COVER_OK;
}

cover_status config_read_object(cover_config *config, const json_t *object) {
    struct text text = {.context = config->context};
    struct values *values = memory_copy(config->context, &config->values, sizeof *values); /* all or nothing */
    cover_status status = values ? COVER_OK : COVER_ERROR_MEMORY;
    if (values && !json_is_object(object)) status = fail(COVER_ERROR_FORMAT, "settings: a JSON object is expected");
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value) {
        const struct row *row = find_row(config, name);
        if (status == COVER_OK && !row) status = unknown_setting(config, name);
        if (status == COVER_OK) status = json_value_text(&text, row, value);
        if (status == COVER_OK) status = set_value(values, config->context, row, text.data);
    }
    text_free(&text);
    if (status == COVER_OK) {
        config->values = *values;
        changed(config);
    }
    memory_free(config->context, values);
    return status;
}

cover_status cover_config_read_json(cover_config *config, const char *json) {
    if (!config || !json) return fail(COVER_ERROR_ARGUMENT, "cover_config_read_json: an argument is NULL");
    json_t *object;
    TRY(json_read(&object, "settings", json, strlen(json)));
    const cover_status status = config_read_object(config, object);
    json_decref(object);
    return status;
}

const cover_config_key *cover_config_key_at(int index) { return index >= 0 && index < ROWS ? &rows[index].key : NULL; }

static const struct preset_row *preset_at(int index) {
    for (int i = 0; i < PRESET_ROWS; i++)
        if (preset_rows[i].scope && index-- == 0) return &preset_rows[i];
    return NULL;
}
const char *cover_config_preset_at(int index) {
    const struct preset_row *row = preset_at(index);
    return row ? row->preset : NULL;
}
const char *cover_config_preset_scope(int index) {
    const struct preset_row *row = preset_at(index);
    return row ? row->scope == SCOPE_TASK ? NAME_TASK : NAME_PRETRAIN : NULL;
}

cover_status config_expect(const cover_config *config, bool task) {
    if ((config->scope == SCOPE_TASK) == task) return COVER_OK;
    return fail(COVER_ERROR_ARGUMENT, "these settings are for %s; start from a preset for %s: %s",
                task ? "pretraining" : "fine-tuning", task ? "fine-tuning" : "pretraining",
                preset_names(task ? SCOPE_TASK : SCOPE_PRETRAIN).text);
}

const struct settings *config_settings(const cover_config *config) { return &config->values.settings; }
cover_context *config_context(const cover_config *config) { return config->context; }
bool config_is_task(const cover_config *config) { return config->scope == SCOPE_TASK; }

struct grid settings_grid(const struct setting_list *size, int dims) {
    struct grid grid = {.ndim = dims, .size = {1, 1, 1}};
    for (int i = 0; i < dims; i++) grid.size[3 - dims + i] = size->value[i];
    return grid;
}

static bool may_change(const struct row *row, const struct settings *settings) {
    return row->resume == RESUME_FREE || (row->resume == RESUME_LONGER && settings->common.schedule == SCHEDULE_CONSTANT);
}

cover_status config_resumes(const cover_config *config, const char *path, const char *json) {
    cover_config *stored;
    TRY(cover_config_copy(&stored, config));
    cover_status status = cover_config_read_json(stored, json);
    if (status != COVER_OK) fail_in(status, "%s", path);
    for (int i = 0; i < ROWS && status == COVER_OK; i++) {
        const char *name = rows[i].key.name;
        if (!(rows[i].scope & config->scope)) continue;
        const char *was = stored->values.text[i], *is = config->values.text[i];
        if (strcmp(was, is) == 0 || may_change(&rows[i], &config->values.settings)) continue;
        if (rows[i].resume == RESUME_LONGER)
            status = fail(COVER_ERROR_MISMATCH,
                          "%s: the run was made with %s=%s, not %s: its schedule ends there; start a new run from "
                          "its weights",
                          path, name, was, is);
        else
            status = fail(COVER_ERROR_MISMATCH,
                          "%s: the run was made with %s=%s, not %s; resume it with the same settings, or start a "
                          "new run",
                          path, name, was, is);
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
