/* {name} in the texts of a study: definitions of the command line, variables, {id} and {out}.  Called by study_file.c.
 * {{ and }} stand for braces. */
#include "study.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 8, NAME_MAX_BYTES = 64, TEXT_MAX = 1 << 16 };

static char *scalar_text(const json_t *value) {
    if (json_is_string(value)) return need(strdup(json_string_value(value)));
    if (json_is_number(value) || json_is_boolean(value)) return need(json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)));
    return NULL;
}

char *study_value_name(const json_t *value) { return scalar_text(json_is_object(value) ? json_object_get(value, "name") : value); }

static bool expand_into(const struct study_scope *scope, const char *text, int depth, char **out, size_t *length);

static void append(char **out, size_t *length, const char *text, size_t count) {
    *out = need(realloc(*out, *length + count + 1));
    memcpy(*out + *length, text, count);
    *length += count;
    (*out)[*length] = 0;
}

static void say_unknown(const struct study_scope *scope, const char *name) {
    struct nearest nearest = {.word = name};
    const char *key;
    json_t *value;
    nearest_offer(&nearest, "id");
    nearest_offer(&nearest, "out");
    json_object_foreach(scope->study->defined, key, value) nearest_offer(&nearest, key);
    json_object_foreach((json_t *)scope->values, key, value) nearest_offer(&nearest, key);
    if (json_object_get(study_member(scope->study, "variables"), name))
        study_refuse(scope->study, "%s: {%s}: add \"%s\" to \"for\" to run over that variable", scope->where, name, name);
    else if (*nearest.best) study_refuse(scope->study, "%s: no name {%s}; did you mean {%s}?", scope->where, name, nearest.best);
    else study_refuse(scope->study, "%s: no name {%s}; give it with --define %s=VALUE", scope->where, name, name);
}

/* What a name means: a variable's value, a member of it, or a definition; NULL when there is none. */
static json_t *lookup(const struct study_scope *scope, const char *name) {
    char variable[NAME_MAX_BYTES];
    const char *dot = strchr(name, '.');
    snprintf(variable, sizeof variable, "%.*s", dot ? (int)(dot - name) : (int)strlen(name), name);
    json_t *value = json_object_get(scope->values, variable);
    if (dot) return json_object_get(value, dot + 1);
    if (json_is_object(value)) return json_object_get(value, "name");
    return value ? value : json_object_get(scope->study->defined, name);
}

static bool expand_name(const struct study_scope *scope, const char *name, int depth, char **out, size_t *length) {
    const char *fixed = strcmp(name, "id") == 0 ? scope->id : strcmp(name, "out") == 0 ? scope->out : NULL;
    if (fixed) {
        append(out, length, fixed, strlen(fixed));
        return true;
    }
    const json_t *value = lookup(scope, name);
    char *text = scalar_text(value);
    bool good = false;
    if (depth == DEPTH_MAX) study_refuse(scope->study, "%s: {%s} refers to itself", scope->where, name);
    else if (json_is_array(value))
        study_refuse(scope->study, "%s: {%s} is a list: it can only be a whole word of a command", scope->where, name);
    else if (!text) say_unknown(scope, name);
    else good = expand_into(scope, text, depth + 1, out, length);
    free(text);
    return good;
}

static bool expand_into(const struct study_scope *scope, const char *text, int depth, char **out, size_t *length) {
    while (*text) {
        size_t plain = strcspn(text, "{}");
        append(out, length, text, plain);
        text += plain;
        if (!*text) break;
        if (text[1] == *text) {
            append(out, length, text, 1);
            text += 2;
            continue;
        }
        size_t span = *text == '{' ? strcspn(text + 1, "{}") : 0;
        char name[NAME_MAX_BYTES];
        if (!span || text[1 + span] != '}' || span >= sizeof name) {
            study_refuse(scope->study, "%s: '%s': write {NAME}, or {{ and }} for braces", scope->where, text);
            return false;
        }
        snprintf(name, sizeof name, "%.*s", (int)span, text + 1);
        if (!expand_name(scope, name, depth, out, length)) return false;
        if (*length > TEXT_MAX) {
            study_refuse(scope->study, "%s: {%s} makes a text of more than %d bytes", scope->where, name, TEXT_MAX);
            return false;
        }
        text += span + 2;
    }
    return true;
}

char *study_expand(const struct study_scope *scope, const char *text) {
    char *out = NULL;
    size_t length = 0;
    append(&out, &length, "", 0);
    if (expand_into(scope, text, 0, &out, &length)) return out;
    free(out);
    return NULL;
}

/* The list that a word means when it is {variable.member} and nothing else. */
static const json_t *list_of(const struct study_scope *scope, const char *word) {
    size_t length = strlen(word);
    char name[NAME_MAX_BYTES];
    if (length < 3 || length >= sizeof name || word[0] != '{' || word[length - 1] != '}') return NULL;
    snprintf(name, sizeof name, "%.*s", (int)length - 2, word + 1);
    const json_t *value = lookup(scope, name);
    return json_is_array(value) ? value : NULL;
}

static bool add_word(const struct study_scope *scope, json_t *words, const json_t *word) {
    char *text = scalar_text(word), *expanded = text ? study_expand(scope, text) : NULL;
    if (!text) study_refuse(scope->study, "%s: a word of the command is neither text nor number", scope->where);
    bool good = expanded && json_array_append_new(words, json_string(expanded)) == 0;
    free(text);
    free(expanded);
    return good;
}

json_t *study_words(const struct study_scope *scope, const json_t *given) {
    json_t *words = need(json_array());
    bool good = true;
    for (size_t i = 0; i < json_array_size(given) && good; i++) {
        const json_t *word = json_array_get(given, i);
        const json_t *list = json_is_string(word) ? list_of(scope, json_string_value(word)) : NULL;
        if (!list) good = add_word(scope, words, word);
        for (size_t k = 0; k < json_array_size(list) && good; k++) good = add_word(scope, words, json_array_get(list, k));
    }
    if (good) return words;
    json_decref(words);
    return NULL;
}
