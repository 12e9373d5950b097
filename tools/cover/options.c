/* Options: the table, and reading the words of a command line with it.  Called by main.c. */
#include "command.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TASK_KIND(name) "|" #name
static const char task_kinds[] =
#include "core/settings/task_kinds.def"
    ;
#undef TASK_KIND
#define TASK_KINDS (task_kinds + 1)

const struct option options[OPTION_COUNT] = {
#define ROW(id_, letter_, name_, argument_, kind_, values_, setting_, help_, common_)                                              \
    [OPTION_##id_] = {OPTION_##id_, letter_, name_, argument_, KIND_##kind_, values_, setting_, help_, common_},
#define OPTION(id, letter, name, argument, kind, values, setting, help)                                                            \
    ROW(id, letter, name, argument, kind, values, setting, help, false)
#define COMMON(id, letter, name, argument, kind, values, setting, help)                                                            \
    ROW(id, letter, name, argument, kind, values, setting, help, true)
#include "options.def"
#undef OPTION
#undef COMMON
#undef ROW
};

const struct verb_option *verb_option_find(const struct verb *verb, enum option_id id) {
    for (const struct verb_option *row = verb->options; row->id != OPTION_END; row++)
        if (row->id == id) return row;
    return NULL;
}

bool verb_takes(const struct verb *verb, enum option_id id) { return options[id].common || verb_option_find(verb, id); }

const char *option_argument(const struct verb *verb, const struct option *option) {
    const struct verb_option *row = verb_option_find(verb, option->id);
    return row && row->argument ? row->argument : option->argument;
}

const char *option_help(const struct verb *verb, const struct option *option) {
    const struct verb_option *row = verb_option_find(verb, option->id);
    return row && row->help ? row->help : option->help;
}

/* ---- values */

static bool read_integer(const char *text, const char **end, int64_t *value) {
    char *stop;
    errno = 0;
    *value = strtoll(text, &stop, 10);
    *end = stop;
    return stop != text && errno == 0;
}

static bool read_count(struct value *value, const struct option *option) {
    const char *end;
    int64_t low = strtoll(option->values, NULL, 10), high = strtoll(strstr(option->values, "..") + 2, NULL, 10);
    return read_integer(value->text, &end, &value->integer[0]) && *end == 0 && value->integer[0] >= low &&
           value->integer[0] <= high;
}

/* 4G, 1.5GiB, 512M, 1000000: powers of 1024 */
static bool read_bytes(struct value *value, const struct option *option) {
    (void)option;
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    double number = strtod(value->text, &end);
    if (end == value->text || errno || !(number > 0)) return false;
    const char *unit = *end ? strchr(units, *end >= 'a' && *end <= 'z' ? *end - 'a' + 'A' : *end) : NULL;
    if (unit) {
        number = ldexp(number, 10 * (int)(unit - units + 1));
        end++;
        if (*end == 'i') end++;
    }
    if (*end == 'B' || *end == 'b') end++;
    if (*end || number < 1 || number >= 0x1p62) return false;
    value->integer[0] = (int64_t)number;
    return true;
}

static bool read_size(struct value *value, const struct option *option) {
    (void)option;
    const char *text = value->text;
    for (value->count = 0; value->count < 3;) {
        int64_t *size = &value->integer[value->count++];
        if (!read_integer(text, &text, size) || *size < 1 || *size > INT64_C(1) << 40) return false;
        if (*text == 0) return true;
        if (*text++ != 'x') return false;
    }
    return false;
}

static bool read_numbers(struct value *value, const struct option *option) {
    const char *text = value->text;
    value->count = 0;
    if (*option->values && strcmp(text, option->values) == 0) return true;
    for (value->count = 0; value->count < 3;) {
        char *end;
        double *number = &value->number[value->count++];
        errno = 0;
        *number = strtod(text, &end);
        if (end == text || errno || !isfinite(*number)) return false;
        if (*end == 0) return true;
        if (*end != ',') return false;
        text = end + 1;
    }
    return false;
}

static bool read_choice(struct value *value, const struct option *option) {
    const char *values = option->values;
    for (size_t length = strlen(value->text), span; *values; values += span + (values[span] == '|')) {
        span = strcspn(values, "|");
        if (span == length && strncmp(values, value->text, span) == 0) return true;
    }
    return false;
}

static bool read_assignment(struct value *value, const struct option *option) {
    (void)option;
    const char *equals = strchr(value->text, '=');
    return equals && equals > value->text;
}

static bool read_text(struct value *value, const struct option *option) {
    (void)option;
    return *value->text != 0;
}

static const struct {
    bool (*read)(struct value *value, const struct option *option);
    const char *expects;
    bool then_values; /* the option's values end the sentence */
} kinds[] = {
    [KIND_FLAG] = {read_text, "nothing"},
    [KIND_TEXT] = {read_text, "a text that is not empty"},
    [KIND_FILE] = {read_text, "a file name"},
    [KIND_COUNT] = {read_count, "a whole number in ", true},
    [KIND_BYTES] = {read_bytes, "a number of bytes such as 512M or 4G"},
    [KIND_SIZE] = {read_size, "sizes of 1 and more joined by x, such as 384 or 256x256 or 64x128x128"},
    [KIND_NUMBERS] = {read_numbers, "one to three numbers joined by commas"},
    [KIND_CHOICE] = {read_choice, "one of ", true},
    [KIND_PRESET] = {read_text, "the name of a preset"},
    [KIND_SETTING] = {read_text, "a value"},
    [KIND_ASSIGNMENT] = {read_assignment, "KEY=VALUE"},
    [KIND_DEFINITION] = {read_assignment, "NAME=VALUE"},
};

static int read_value(struct arguments *arguments, const struct verb *verb, const struct option *option, const char *text) {
    struct value *value = &arguments->option[option->id];
    *value = (struct value){.given = true, .text = text};
    if (!kinds[option->kind].read(value, option))
        return usage_error(verb, "--%s %s: give %s%s", option->name, text, kinds[option->kind].expects,
                           kinds[option->kind].then_values ? option->values : "");
    if (option->kind != KIND_ASSIGNMENT && option->kind != KIND_DEFINITION && option->kind != KIND_SETTING) return EXIT_OK;
    const char *equals = option->kind != KIND_SETTING ? strchr(text, '=') : NULL;
    struct assignment *assignment = option->kind == KIND_DEFINITION ? &arguments->definitions[arguments->definition_count++]
                                                                    : &arguments->assignments[arguments->assignment_count++];
    assignment->name = need(equals ? strndup(text, (size_t)(equals - text)) : strdup(option->setting));
    assignment->value = equals ? equals + 1 : text;
    return EXIT_OK;
}

/* ---- words */

static int unknown_option(const struct verb *verb, const char *name) {
    struct nearest nearest = {.word = name};
    char hint[128];
    if (hint_name(hint, sizeof hint, verb, name, false)) return usage_error(verb, "no option --%s; did you mean %s?", name, hint);
    for (int i = OPTION_END + 1; i < OPTION_COUNT; i++)
        if (verb_takes(verb, options[i].id)) nearest_offer(&nearest, options[i].name);
    if (*nearest.best) return usage_error(verb, "no option --%s; did you mean --%s?", name, nearest.best);
    for (int i = 0; cover_config_key_at(i); i++)
        if (strcmp(cover_config_key_at(i)->name, name) == 0 && verb_takes(verb, OPTION_SET))
            return usage_error(verb, "no option --%s, but a setting of that name: --set %s=VALUE", name, name);
    for (int v = 0; verbs[v]; v++)
        for (int i = OPTION_END + 1; i < OPTION_COUNT; i++)
            if (strcmp(options[i].name, name) == 0 && verb_takes(verbs[v], options[i].id))
                return usage_error(verb, "no option --%s here; it belongs to 'cover %s'", name, verbs[v]->name);
    return usage_error(verb, "no option --%s", name);
}

struct words {
    int count;
    char **word;
    int next;
};

static int read_option(struct arguments *arguments, const struct verb *verb, const struct option *option, const char *attached,
                       struct words *words) {
    if (option->kind == KIND_FLAG) {
        if (attached) return usage_error(verb, "--%s takes no value", option->name);
        arguments->option[option->id].given = true;
        return EXIT_OK;
    }
    if (!attached && words->next == words->count)
        return usage_error(verb, "--%s needs a value: %s", option->name, option_argument(verb, option));
    return read_value(arguments, verb, option, attached ? attached : words->word[words->next++]);
}

static int read_long(struct arguments *arguments, const struct verb *verb, const char *word, struct words *words) {
    size_t length = strcspn(word, "=");
    for (int i = OPTION_END + 1; i < OPTION_COUNT; i++)
        if (strlen(options[i].name) == length && strncmp(options[i].name, word, length) == 0 && verb_takes(verb, options[i].id))
            return read_option(arguments, verb, &options[i], word[length] ? word + length + 1 : NULL, words);
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)length, word);
    return unknown_option(verb, name);
}

/* -q, -o FILE, -oFILE, -qo FILE */
static int read_letters(struct arguments *arguments, const struct verb *verb, const char *letters, struct words *words) {
    const size_t length = strcspn(letters, "=");
    for (int i = OPTION_END + 1; i < OPTION_COUNT; i++)
        if (strlen(options[i].name) == length && strncmp(options[i].name, letters, length) == 0 && verb_takes(verb, options[i].id))
            return usage_error(verb, "-%s: write --%s", letters, letters);
    for (; *letters; letters++) {
        const struct option *option = NULL;
        for (int i = OPTION_END + 1; i < OPTION_COUNT && !option; i++)
            if (options[i].letter == *letters && verb_takes(verb, options[i].id)) option = &options[i];
        if (!option) return usage_error(verb, "no option -%c", *letters);
        bool rest = option->kind != KIND_FLAG && letters[1];
        int status = read_option(arguments, verb, option, rest ? letters + 1 : NULL, words);
        if (status != EXIT_OK || rest) return status;
    }
    return EXIT_OK;
}

static int check_complete(const struct arguments *arguments, const struct verb *verb) {
    int count = arguments->operand_count;
    if (count < verb->operands_min)
        return usage_error(verb, "%s missing: cover %s %s", count ? "an operand is" : "operands are", verb->name, verb->operands);
    if (verb->operands_max >= 0 && count > verb->operands_max)
        return usage_error(verb, "'%s' is one operand too many", arguments->operands[verb->operands_max]);
    for (int i = 0; i < count; i++)
        if (!*arguments->operands[i]) return usage_error(verb, "an operand is empty");
    for (const struct verb_option *row = verb->options; row->id != OPTION_END; row++)
        if (row->required && !arguments->option[row->id].given)
            return usage_error(verb, "-%c %s is missing: it says where the result goes", options[row->id].letter,
                               option_argument(verb, &options[row->id]));
    return EXIT_OK;
}

int arguments_read(struct arguments *arguments, const struct verb *verb, int count, char **word) {
    struct words words = {.count = count, .word = word};
    *arguments = (struct arguments){0};
    arguments->assignments = need(calloc((size_t)count + 1, sizeof *arguments->assignments));
    arguments->definitions = need(calloc((size_t)count + 1, sizeof *arguments->definitions));
    arguments->operands = need(calloc((size_t)count + 1, sizeof *arguments->operands));
    int status = EXIT_OK;
    for (bool only_operands = false; words.next < count && status == EXIT_OK;) {
        const char *text = word[words.next++];
        if (!only_operands && strcmp(text, "--") == 0) only_operands = true;
        else if (!only_operands && strncmp(text, "--", 2) == 0) status = read_long(arguments, verb, text + 2, &words);
        else if (!only_operands && text[0] == '-' && text[1]) status = read_letters(arguments, verb, text + 1, &words);
        else arguments->operands[arguments->operand_count++] = text;
    }
    if (status != EXIT_OK || arguments->option[OPTION_HELP].given) return status;
    return check_complete(arguments, verb);
}

void arguments_free(struct arguments *arguments) {
    for (int i = 0; i < arguments->assignment_count; i++) free(arguments->assignments[i].name);
    for (int i = 0; i < arguments->definition_count; i++) free(arguments->definitions[i].name);
    free(arguments->assignments);
    free(arguments->definitions);
    free(arguments->operands);
}

/* Of a setting with choices the one that is nearest to a mistyped value. */
static const char *near_choice(struct nearest *nearest, const struct assignment *assignment) {
    const cover_config_key *key;
    *nearest = (struct nearest){.word = assignment->value};
    for (int i = 0; (key = cover_config_key_at(i)) && strcmp(key->name, assignment->name) != 0;) i++;
    for (const char *choice = key ? key->choices : ""; *choice; choice += *choice == '|') {
        char name[64];
        const size_t length = strcspn(choice, "|");
        snprintf(name, sizeof name, "%.*s", (int)length, choice);
        nearest_offer(nearest, name);
        choice += length;
    }
    return nearest->best;
}

int settings_apply(const struct session *session, cover_config *config) {
    for (int i = 0; i < session->arguments.assignment_count; i++) {
        const struct assignment *assignment = &session->arguments.assignments[i];
        struct nearest nearest = {.word = assignment->name};
        if (!cover_config_get(config, assignment->name)) {
            char hint[128];
            if (hint_name(hint, sizeof hint, session->verb, assignment->name, true))
                return usage_error(session->verb, "no setting '%s'; did you mean %s?", assignment->name, hint);
            for (int row = 0; cover_config_key_at(row); row++)
                if (cover_config_get(config, cover_config_key_at(row)->name))
                    nearest_offer(&nearest, cover_config_key_at(row)->name);
            return usage_error(session->verb, "no setting '%s'%s%s%s", assignment->name, *nearest.best ? "; did you mean " : "",
                               nearest.best, *nearest.best ? "?" : "");
        }
        if (cover_config_set(config, assignment->name, assignment->value) != COVER_OK && *near_choice(&nearest, assignment))
            return usage_error(session->verb, "%s; did you mean %s?", library_words(session->verb), nearest.best);
        if (cover_config_set(config, assignment->name, assignment->value) != COVER_OK)
            return usage_error(session->verb, "%s", library_words(session->verb));
    }
    return EXIT_OK;
}
