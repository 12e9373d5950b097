/* The file of a study (docs/study.md): read, expanded over its variables, put in order, and every command line checked
 * as `cover` itself would, before anything runs.  Called by study.c. */
#include "study.h"

#include "core/base/shown.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RUNS_MAX = 10000, ID_BYTES = 128 };

int study_refuse(const struct study *study, const char *format, ...) {
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    shown_print_list(text, sizeof text, format, arguments);
    va_end(arguments);
    refuse(study->session->verb, COVER_ERROR_FORMAT, "%s: %s", study->path, text);
    return EXIT_USAGE;
}

json_t *study_member(const struct study *study, const char *name) { return json_object_get(study->file, name); }

/* ---- the shape of the file */

struct member {
    const char *name;
    json_type type;
    bool required;
};

static const char *type_name(json_type type) {
    return type == JSON_STRING ? "a text" : type == JSON_ARRAY ? "a list" : type == JSON_INTEGER ? "a whole number" : "an object";
}

static int check_members(const struct study *study, const char *where, const json_t *object, const struct member *members) {
    const char *key;
    json_t *value;
    if (!json_is_object(object)) return study_refuse(study, "%s: not an object", where);
    json_object_foreach((json_t *)object, key, value) {
        const struct member *member = members;
        struct nearest nearest = {.word = key};
        for (; member->name && strcmp(member->name, key) != 0; member++) nearest_offer(&nearest, member->name);
        if (!member->name)
            return study_refuse(study, "%s: no member '%s'%s%s%s", where, key, *nearest.best ? "; did you mean " : "", nearest.best,
                                *nearest.best ? "?" : "");
        if (json_typeof(value) != member->type && !(member->type == JSON_NULL))
            return study_refuse(study, "%s: '%s' is not %s", where, key, type_name(member->type));
    }
    for (const struct member *member = members; member->name; member++)
        if (member->required && !json_object_get(object, member->name))
            return study_refuse(study, "%s: '%s' is missing", where, member->name);
    return EXIT_OK;
}

static int check_shape(const struct study *study) {
    static const struct member file[] = {{"name", JSON_STRING, true},       {"about", JSON_STRING, false},
                                         {"variables", JSON_OBJECT, false}, {"runs", JSON_ARRAY, true},
                                         {"tables", JSON_ARRAY, false},     {0}};
    static const struct member run[] = {{"id", JSON_STRING, true},    {"about", JSON_STRING, false}, {"for", JSON_ARRAY, false},
                                        {"needs", JSON_ARRAY, false}, {"command", JSON_ARRAY, true}, {0}};
    static const struct member table[] = {{"title", JSON_STRING, true},
                                          {"about", JSON_STRING, false},
                                          {"runs", JSON_STRING, false},
                                          {"where", JSON_OBJECT, false},
                                          {"against", JSON_OBJECT, false},
                                          {"rows", JSON_ARRAY, false},
                                          {"columns", JSON_ARRAY, false},
                                          {"over", JSON_ARRAY, false},
                                          {"value", JSON_NULL, true},
                                          {"digits", JSON_INTEGER, false},
                                          {0}};
    static const struct {
        const char *name;
        const struct member *members;
    } lists[] = {{"runs", run}, {"tables", table}};
    if (check_members(study, "the file", study->file, file) != EXIT_OK) return EXIT_USAGE;
    for (size_t list = 0; list < 2; list++)
        for (size_t i = 0; i < json_array_size(study_member(study, lists[list].name)); i++) {
            char where[32];
            snprintf(where, sizeof where, "%s[%zu]", lists[list].name, i);
            const json_t *object = json_array_get(study_member(study, lists[list].name), i);
            if (check_members(study, where, object, lists[list].members) != EXIT_OK) return EXIT_USAGE;
        }
    if (!json_array_size(study_member(study, "runs"))) return study_refuse(study, "'runs' is empty");
    return EXIT_OK;
}

/* Each value has a name, and no two the same. */
static int check_variables(const struct study *study) {
    const char *variable;
    json_t *values, *value;
    size_t i;
    json_object_foreach(study_member(study, "variables"), variable, values) {
        json_t *seen = need(json_object());
        int status = EXIT_OK;
        if (strcmp(variable, "id") == 0 || strcmp(variable, "out") == 0 || strpbrk(variable, "{}.") || !*variable)
            status = study_refuse(study, "variables: '%s' cannot be the name of a variable", variable);
        else if (json_object_get(study->defined, variable))
            status = study_refuse(study, "--define %s: the file has a variable of that name", variable);
        else if (!json_array_size(values)) status = study_refuse(study, "variables: '%s' is not a list of values", variable);
        json_array_foreach(values, i, value) {
            char *name = status == EXIT_OK ? study_value_name(value) : NULL;
            if (status == EXIT_OK && !name)
                status =
                    study_refuse(study, "variables: %s[%zu]: give a text, a number, or an object with a \"name\"", variable, i);
            else if (status == EXIT_OK && json_object_get(seen, name))
                status = study_refuse(study, "variables: '%s' has the value %s twice", variable, name);
            if (name) json_object_set_new(seen, name, json_true());
            free(name);
        }
        json_decref(seen);
        if (status != EXIT_OK) return status;
    }
    return EXIT_OK;
}

/* ---- runs */

/* The id is a file's name, too. */
static int check_id(const struct study *study, const char *where, const char *id) {
    static const char taken[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.+=,";
    if (!*id || *id == '.' || strlen(id) > ID_BYTES || id[strspn(id, taken)])
        return study_refuse(study, "%s: id '%s': give up to %d letters, digits and -_.+=, not beginning with a dot", where, id,
                            ID_BYTES);
    for (int i = 0; i < study->runs; i++)
        if (strcmp(study->run[i].id, id) == 0)
            return study_refuse(study, "%s: id '%s' comes twice; name every variable of \"for\" in it", where, id);
    if (study->runs == RUNS_MAX) return study_refuse(study, "%s: more than %d runs", where, RUNS_MAX);
    return EXIT_OK;
}

/* The words as `cover` reads them: verb, options, settings. */
static int check_command(const struct study *study, const struct study_run *run) {
    int count = (int)json_array_size(run->words), status;
    const char *name = json_string_value(json_array_get(run->words, 0));
    const struct verb *verb = name ? verb_find(name) : NULL;
    if (!verb || strcmp(name, "study") == 0)
        return study_refuse(study, "%s: '%s' is no verb that a study runs", run->id, name ? name : "");
    struct session session = {.verb = verb, .context = study->session->context};
    char **words = need(calloc((size_t)count, sizeof *words));
    for (int i = 1; i < count; i++) words[i - 1] = (char *)json_string_value(json_array_get(run->words, (size_t)i));
    status = arguments_read(&session.arguments, verb, count - 1, words);
    if (status == EXIT_OK) status = make_config(&session);
    if (status != EXIT_OK) study_refuse(study, "%s: the command line above is wrong", run->id);
    cover_config_destroy(session.config);
    arguments_free(&session.arguments);
    free(words);
    return status == EXIT_OK ? EXIT_OK : EXIT_USAGE;
}

/* One run with its variables bound. */
static int add_run(struct study *study, int row, const json_t *values) {
    const json_t *object = json_array_get(study_member(study, "runs"), (size_t)row);
    struct study_run run = {.row = row};
    const char *key;
    json_t *value;
    char where[ID_BYTES + 32];
    snprintf(where, sizeof where, "runs[%d]", row);
    struct study_scope scope = {.study = study, .where = where, .out = study->out, .values = values};
    run.id = study_expand(&scope, json_string_value(json_object_get(object, "id")));
    int status = run.id ? check_id(study, where, run.id) : EXIT_USAGE;
    if (status != EXIT_OK) {
        free(run.id);
        return status;
    }
    scope.where = scope.id = run.id;
    run.words = study_words(&scope, json_object_get(object, "command"));
    scope.out = "{out}";
    run.identity = run.words ? study_words(&scope, json_object_get(object, "command")) : NULL;
    run.values = need(json_object());
    json_object_foreach((json_t *)values, key, value) {
        char *name = study_value_name(value);
        json_object_set_new(run.values, key, json_string(name));
        free(name);
    }
    study->run = need(realloc(study->run, (size_t)(study->runs + 1) * sizeof *study->run));
    study->run[study->runs++] = run;
    return run.identity ? check_command(study, &run) : EXIT_USAGE;
}

/* Every combination of the values of the variables in "for", the last one running fastest. */
static int add_runs(struct study *study, int row, size_t variable, json_t *values) {
    const json_t *over = json_object_get(json_array_get(study_member(study, "runs"), (size_t)row), "for");
    if (variable == json_array_size(over)) return add_run(study, row, values);
    const char *name = json_string_value(json_array_get(over, variable));
    const json_t *list = name ? json_object_get(study_member(study, "variables"), name) : NULL;
    if (!list) return study_refuse(study, "runs[%d]: \"for\": no variable '%s'", row, name ? name : "");
    if (json_object_get(values, name)) return study_refuse(study, "runs[%d]: \"for\" names '%s' twice", row, name);
    int status = EXIT_OK;
    for (size_t i = 0; i < json_array_size(list) && status == EXIT_OK; i++) {
        json_object_set(values, name, json_array_get(list, i));
        status = add_runs(study, row, variable + 1, values);
    }
    json_object_del(values, name);
    return status;
}

/* ---- what comes before what */

static int find_run(const struct study *study, const char *id) {
    for (int i = 0; i < study->runs; i++)
        if (strcmp(study->run[i].id, id) == 0) return i;
    return -1;
}

static json_t *values_of(const struct study *study, const struct study_run *run) {
    const char *variable;
    json_t *name, *values = need(json_object());
    json_object_foreach(run->values, variable, name) {
        const json_t *list = json_object_get(study_member(study, "variables"), variable);
        for (size_t i = 0; i < json_array_size(list); i++) {
            char *other = study_value_name(json_array_get(list, i));
            if (strcmp(other, json_string_value(name)) == 0) json_object_set(values, variable, json_array_get(list, i));
            free(other);
        }
    }
    return values;
}

static int find_needs(struct study *study, struct study_run *run) {
    const json_t *given = json_object_get(json_array_get(study_member(study, "runs"), (size_t)run->row), "needs");
    json_t *values = values_of(study, run);
    struct study_scope scope = {.study = study, .where = run->id, .id = run->id, .values = values};
    json_t *ids = study_words(&scope, given);
    int status = ids ? EXIT_OK : EXIT_USAGE;
    run->need = need(calloc(json_array_size(ids) + 1, sizeof *run->need));
    for (size_t i = 0; i < json_array_size(ids) && status == EXIT_OK; i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        int found = find_run(study, id);
        struct nearest nearest = {.word = id};
        for (int k = 0; k < study->runs; k++) nearest_offer(&nearest, study->run[k].id);
        if (found < 0)
            status = study_refuse(study, "%s: needs '%s', but no run has that id%s%s%s", run->id, id,
                                  *nearest.best ? "; did you mean " : "", nearest.best, *nearest.best ? "?" : "");
        else run->need[run->needs++] = found;
    }
    json_decref(ids);
    json_decref(values);
    return status;
}

/* Depth first, in the order of the file; `depth` beyond the number of runs means a circle. */
static int put_in_order(struct study *study, int index, int depth, int *placed) {
    struct study_run *run = &study->run[index];
    if (run->visited) return EXIT_OK;
    if (depth > study->runs) return study_refuse(study, "%s: needs itself by way of others", run->id);
    for (int i = 0; i < run->needs; i++)
        if (put_in_order(study, run->need[i], depth + 1, placed) != EXIT_OK) return EXIT_USAGE;
    run->visited = true;
    study->order[(*placed)++] = index;
    return EXIT_OK;
}

int study_read(struct study *study) {
    struct json_fault fault;
    int status, placed = 0;
    if (access(study->path, R_OK) != 0)
        return refuse(study->session->verb, COVER_ERROR_IO, "%s: cannot be opened: %s", study->path, strerror(errno));
    study->file = json_of_file(study->path, &fault);
    if (!study->file && fault.line == 0) return study_refuse(study, "%s", fault.what);
    if (!study->file) return study_refuse(study, "line %d, column %d: %s", fault.line, fault.column, fault.what);
    status = check_shape(study);
    if (status == EXIT_OK) status = check_variables(study);
    for (int row = 0; status == EXIT_OK && row < (int)json_array_size(study_member(study, "runs")); row++) {
        json_t *values = need(json_object());
        status = add_runs(study, row, 0, values);
        json_decref(values);
    }
    for (int i = 0; i < study->runs && status == EXIT_OK; i++) status = find_needs(study, &study->run[i]);
    study->order = need(calloc((size_t)study->runs + 1, sizeof *study->order));
    for (int i = 0; i < study->runs && status == EXIT_OK; i++) status = put_in_order(study, i, 0, &placed);
    return status == EXIT_OK ? study_table_check(study) : status;
}

void study_free(struct study *study) {
    for (int i = 0; i < study->runs; i++) {
        struct study_run *run = &study->run[i];
        json_decref(run->values);
        json_decref(run->identity);
        json_decref(run->words);
        json_decref(run->record);
        free(run->need);
        free(run->id);
    }
    free(study->run);
    free(study->order);
    json_decref(study->file);
    json_decref(study->defined);
}
