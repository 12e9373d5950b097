/* Help texts, drawn from the tables of verbs, options and settings. */
#include "command.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int text_width(void) {
    struct winsize window;
    int width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
    return width < 40 ? 40 : width > 110 ? 110 : width;
}

/* Where what is said of a name begins: beside it, or below where there is no room for both. */
static int said_at(int column, int width) { return width < column + 30 ? 8 : column; }

static void say_beside(FILE *stream, int length, int column, const char *text, int width) {
    const int at = said_at(column, width);
    if (length + 2 > at) fprintf(stream, "\n%*s", at, "");
    else fprintf(stream, "%*s", at - length, "");
    print_wrapped(stream, text, at, at, width);
}

/* A command line, to be copied: a line that goes on says so to the shell. */
static void print_command(FILE *stream, const char *line, int width) {
    int column = 2;
    fputs("  ", stream);
    for (bool begun = false; *line; begun = true) {
        int length = (int)strcspn(line, " ");
        for (const char *quote = memchr(line, '"', (size_t)length); quote && line[length]; quote = NULL) /* a quoted word is one */
            length = (int)(strchr(quote + 1, '"') ? strchr(quote + 1, '"') + 1 - line : length);
        if (begun && column + 1 + length + 2 > width) {
            fputs(" \\\n     ", stream);
            column = 5;
        }
        column += fprintf(stream, "%s%.*s", begun ? " " : "", length, line);
        line += length;
        line += *line == ' ';
    }
    fputc('\n', stream);
}

void help_overview(FILE *stream) {
    fputs("cover: vector contrastive pixel-wise pretraining for medical images\n\n"
          "usage: cover VERB [operands and options]\n\nverbs:\n",
          stream);
    const int width = text_width();
    for (int i = 0; verbs[i]; i++) say_beside(stream, fprintf(stream, "  %s", verbs[i]->name), 14, verbs[i]->summary, width);
    fputc('\n', stream);
    print_wrapped(
        stream,
        "'cover VERB -h' tells all about a verb; 'cover --version' prints the version; 'cover --completion bash|zsh|fish' and "
        "'cover --manual' print what their names say. Results go to stdout, progress and messages to stderr.\n"
        "Exit status: 0 done, 1 failed, 2 wrong use, 3 stopped at once and unsaved, 130 interrupted after saving.",
        0, 0, width);
}

static void print_option(FILE *stream, const struct verb *verb, const struct option *option, int width) {
    enum { COLUMN = 28 };
    char head[80], letter[8] = "    ";
    if (option->letter) snprintf(letter, sizeof letter, "-%c, ", option->letter);
    const char *argument = option_argument(verb, option);
    int length = snprintf(head, sizeof head, "  %s--%s%s%s", letter, option->name, *argument ? " " : "", argument);
    fputs(head, stream);
    say_beside(stream, length, COLUMN, option_help(verb, option), width);
}

/* The preset of a scope whose values are the defaults. */
static const char *first_preset(const char *scope) {
    int i = 0;
    while (strcmp(cover_config_preset_scope(i), scope) != 0) i++;
    return cover_config_preset_at(i);
}

const char *preset_scope(const char *preset) {
    for (int i = 0; cover_config_preset_at(i); i++)
        if (strcmp(cover_config_preset_at(i), preset) == 0) return cover_config_preset_scope(i);
    return "";
}

void preset_differences(char *text, size_t bytes, cover_context *context, const char *preset) {
    cover_config *base = NULL, *other = NULL;
    size_t used = 0;
    *text = 0;
    if (cover_config_create(&base, context, first_preset(preset_scope(preset))) == COVER_OK &&
        cover_config_create(&other, context, preset) == COVER_OK)
        for (int i = 0; cover_config_key_at(i) && used < bytes; i++) {
            const char *name = cover_config_key_at(i)->name, *value = cover_config_get(other, name);
            if (!value || strcmp(value, cover_config_get(base, name)) == 0) continue;
            used += (size_t)snprintf(text + used, bytes - used, "%s%s=%s", used ? " " : "", name, value);
        }
    if (!*text) snprintf(text, bytes, "nothing; these are the defaults");
    cover_config_destroy(base);
    cover_config_destroy(other);
}

static void print_settings(FILE *stream, const char *preset, const cover_config *config, cover_context *context, int width) {
    fputs("\npresets (what each changes):\n", stream);
    for (int i = 0; cover_config_preset_at(i); i++) {
        char text[1024];
        if (strcmp(cover_config_preset_scope(i), preset_scope(preset)) != 0) continue;
        if (preset_of_objective(cover_config_preset_at(i))) continue;
        preset_differences(text, sizeof text, context, cover_config_preset_at(i));
        say_beside(stream, fprintf(stream, "  %s", cover_config_preset_at(i)), 16, text, width);
    }
    if (strcmp(preset_scope(preset), "pretrain") == 0)
        say_beside(stream, fprintf(stream, "  NAME-2d, -3d"), 16,
                   "of each objective ('cover objectives'): paper-2d, paper-3d with objective=NAME", width);
    fputc('\n', stream);
    print_wrapped(stream, "settings (--set NAME=VALUE; with the value that this command line gives):", 0, 0, width);
    for (int i = 0; cover_config_key_at(i); i++) {
        const cover_config_key *key = cover_config_key_at(i);
        const char *value = cover_config_get(config, key->name);
        if (!value) continue; /* not one of this verb's */
        int length = width < 72 ? fprintf(stream, "  %s  %s", key->name, value) : fprintf(stream, "  %-22s  %s", key->name, value);
        /* the choices stand in the order in which the help explains them */
        char text[1024] = "";
        const int used = choices_text(text, sizeof text, key->choices);
        snprintf(text + used, sizeof text - (size_t)used, "%s", key->help);
        say_beside(stream, length, 42, text, width);
    }
}

void help_verb(FILE *stream, const struct verb *verb, const cover_config *config, cover_context *context) {
    int width = text_width();
    fprintf(stream, "cover %s: ", verb->name);
    print_wrapped(stream, verb->summary, (int)strlen(verb->name) + 8, 2, width);
    fprintf(stream, "\nusage: cover %s%s%s", verb->name, *verb->operands ? " " : "", verb->operands);
    for (const struct verb_option *row = verb->options; row->id != OPTION_END; row++)
        if (row->required) fprintf(stream, " -%c %s", options[row->id].letter, option_argument(verb, &options[row->id]));
    fputs(" [options]\n\n", stream);
    print_wrapped(stream, verb->detail, 0, 0, width);
    if (verb->options[0].id != OPTION_END) fputs("\noptions:\n", stream);
    for (const struct verb_option *row = verb->options; row->id != OPTION_END; row++)
        print_option(stream, verb, &options[row->id], width);
    fputs("\ncommon options:\n", stream);
    for (int i = OPTION_END + 1; i < OPTION_COUNT; i++)
        if (options[i].common) print_option(stream, verb, &options[i], width);
    if (verb->preset) print_settings(stream, verb->preset, config, context, width);
    fputs("\nexamples:\n", stream);
    for (int i = 0; i < 4 && verb->examples[i]; i++) print_command(stream, verb->examples[i], width);
}
