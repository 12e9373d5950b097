/* The library's error texts in the words of the command: they name fields of options, settings and functions ("option resume",
 * "set batch=4", "cover_file_check"), whoever called it; here they become --resume, --batch 4 and 'cover check'.  Called by all that say
 * an error. */
#include "command.h"

#include <string.h>

enum { TEXT_BYTES = 8192 };

struct said {
    const struct verb *verb;
    char text[TEXT_BYTES];
    size_t length;
};

static void say(struct said *said, const char *text, size_t length) {
    size_t room = sizeof said->text - 1 - said->length;
    if (length > room) length = room;
    memcpy(said->text + said->length, text, length);
    said->length += length;
    said->text[said->length] = 0;
}

static size_t name_length(const char *text) { return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_"); }

/* memory_limit and memory-limit */
static bool same_name(const char *option, const char *field, size_t length) {
    if (strlen(option) != length) return false;
    for (size_t i = 0; i < length; i++)
        if (option[i] != (field[i] == '_' && option[i] == '-' ? '-' : field[i])) return false;
    return true;
}

static bool has_value(const struct option *option, const char *value, size_t length) {
    if (option->kind == KIND_FLAG) return false;
    if (option->kind == KIND_SETTING || !*option->values) return true;
    for (const char *known = option->values; *known; known += strcspn(known, "|"), known += *known == '|')
        if (strcspn(known, "|") == length && strncmp(known, value, length) == 0) return true;
    return false;
}

/* The verb's option for a field, or for a setting that has one; of two meanings of a name the one that takes the value. */
static const struct option *option_for(const struct verb *verb, const char *field, size_t length, const char *value, size_t bytes) {
    for (int i = OPTION_END + 1; i < OPTION_COUNT; i++) {
        const struct option *option = &options[i];
        if (!verb_takes(verb, option->id) || (value && !has_value(option, value, bytes))) continue;
        if (same_name(option->kind == KIND_SETTING ? option->setting : option->name, field, length)) return option;
    }
    return NULL;
}

static bool is_setting(const char *name, size_t length) {
    for (int i = 0; cover_config_key_at(i); i++)
        if (same_name(cover_config_key_at(i)->name, name, length)) return true;
    return false;
}

/* Each gives the bytes of the library's text that it has said in the command's words; 0 = it does not begin here. */
static size_t say_option(struct said *said, const char *text) {
    static const char mark[] = "option ";
    if (strncmp(text, mark, sizeof mark - 1) != 0) return 0;
    const char *field = text + sizeof mark - 1;
    size_t length = name_length(field);
    const struct option *option = option_for(said->verb, field, length, NULL, 0);
    if (!option) return 0;
    say(said, "--", 2);
    say(said, option->name, strlen(option->name));
    return sizeof mark - 1 + length;
}

static size_t say_assignment(struct said *said, const char *text) {
    bool set = strncmp(text, "set ", 4) == 0;
    if (!set && strncmp(text, "use ", 4) != 0) return 0;
    const char *field = text + 4, *value;
    size_t length = name_length(field), bytes;
    if (length == 0 || field[length] != '=') return 0;
    value = field + length + 1;
    bytes = strcspn(value, " ,;:()");
    const struct option *option = option_for(said->verb, field, length, value, bytes);
    if (!option && !(verb_takes(said->verb, OPTION_SET) && is_setting(field, length))) return 0;
    say(said, set ? "give --" : "use --", set ? 7 : 6);
    if (option) {
        say(said, option->name, strlen(option->name));
        say(said, " ", 1);
        say(said, value, bytes);
    } else {
        say(said, "set ", 4);
        say(said, field, length + 1 + bytes);
    }
    return 4 + length + 1 + bytes;
}

static size_t say_function(struct said *said, const char *text) {
    static const char *const functions[][2] = {
        {"cover_file_check", "'cover check'"},
        {"cover_run_finetune", "'cover finetune'"},
    };
    size_t length = name_length(text);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (!same_name(functions[i][0], text, length)) continue;
        say(said, functions[i][1], strlen(functions[i][1]));
        return length;
    }
    return 0;
}

const char *library_words(const struct verb *verb) {
    static struct said said;
    said = (struct said){.verb = verb};
    bool begins = true; /* a word */
    for (const char *text = cover_error_text(); *text;) {
        size_t taken = 0;
        if (begins) taken = say_option(&said, text);
        if (begins && !taken) taken = say_assignment(&said, text);
        if (begins && !taken) taken = say_function(&said, text);
        if (!taken) say(&said, text, taken = 1);
        text += taken;
        begins = text[-1] == ' ' || text[-1] == '(';
    }
    return said.text;
}
