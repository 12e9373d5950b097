/* Completions for bash, zsh and fish, drawn from the tables of verbs, options and settings.  The build runs
 * `cover --completion SHELL`. */
#include "command.h"

#include <string.h>

/* Words that are joined by |. */
static void put_words(FILE *stream, const char *words, const char *before, const char *after) {
    for (size_t span; *words; words += span + (words[span] == '|')) {
        span = strcspn(words, "|");
        fprintf(stream, "%s%.*s%s", before, (int)span, words, after);
    }
}

/* What may stand behind an option, as words; "" = a file name or nothing that could be listed. */
static void put_values(FILE *stream, const struct option *option, const char *before, const char *after) {
    const char *values = option->kind == KIND_CHOICE || option->kind == KIND_TEXT ? option->values : "";
    for (int i = 0; option->kind == KIND_SETTING && cover_config_key_at(i); i++)
        if (strcmp(cover_config_key_at(i)->name, option->setting) == 0) values = cover_config_key_at(i)->choices;
    for (int i = 0; option->kind == KIND_PRESET && cover_config_preset_at(i); i++) /* fine-tuning takes none */
        if (strcmp(cover_config_preset_scope(i), "pretrain") == 0)
            fprintf(stream, "%s%s%s", before, cover_config_preset_at(i), after);
    if (option->kind == KIND_ASSIGNMENT)
        for (int i = 0; cover_config_key_at(i); i++) fprintf(stream, "%s%s=%s", before, cover_config_key_at(i)->name, after);
    put_words(stream, values, before, after);
}

static bool has_values(const struct option *option) {
    if (option->kind == KIND_SETTING)
        for (int i = 0; cover_config_key_at(i); i++)
            if (strcmp(cover_config_key_at(i)->name, option->setting) == 0) return *cover_config_key_at(i)->choices;
    return option->kind == KIND_CHOICE || option->kind == KIND_PRESET || option->kind == KIND_ASSIGNMENT ||
           option->kind == KIND_TEXT;
}

/* ---- bash */

static void put_option_words(FILE *stream, const struct verb *verb) {
    for (int i = OPTION_END + 1; i < OPTION_COUNT; i++)
        if (verb_takes(verb, options[i].id)) {
            fprintf(stream, " --%s", options[i].name);
            if (options[i].letter) fprintf(stream, " -%c", options[i].letter);
        }
}

static void write_bash(FILE *stream) {
    fputs("# bash completion of cover, written by `cover --completion bash`\n"
          "_cover() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        words='",
          stream);
    for (int i = 0; verbs[i]; i++) fprintf(stream, "%s ", verbs[i]->name);
    fputs("help --help --version'\n"
          "        COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
          "        return\n"
          "    fi\n"
          "    if [ \"$COMP_CWORD\" -eq 2 ]; then\n"
          "        case ${COMP_WORDS[1]} in\n"
          "        help) words='",
          stream);
    for (int i = 0; verbs[i]; i++) fprintf(stream, "%s%s", i ? " " : "", verbs[i]->name);
    fputs("' ;;\n", stream);
    for (int i = 0; verbs[i]; i++) {
        if (!verbs[i]->kinds) continue;
        fprintf(stream, "        %s) words='", verbs[i]->name);
        put_words(stream, verbs[i]->kinds, "", " ");
        fputs("' ;;\n", stream);
    }
    fputs("        esac\n"
          "        if [ -n \"$words\" ] && [ \"${word#-}\" = \"$word\" ]; then\n"
          "            COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
          "            return\n"
          "        fi\n"
          "    fi\n"
          "    case $before in\n",
          stream);
    for (int i = OPTION_END + 1; i < OPTION_COUNT; i++) {
        if (options[i].kind == KIND_FLAG || options[i].kind == KIND_FILE) continue;
        fputs("    ", stream);
        if (options[i].letter) fprintf(stream, "-%c|", options[i].letter);
        fprintf(stream, "--%s)\n        words='", options[i].name);
        put_values(stream, &options[i], "", " ");
        fprintf(stream, "'\n        COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n");
        if (options[i].kind == KIND_ASSIGNMENT) fputs("        compopt -o nospace\n", stream);
        fputs("        return ;;\n", stream);
    }
    fputs("    esac\n"
          "    if [ \"${word#-}\" != \"$word\" ]; then\n"
          "        case ${COMP_WORDS[1]} in\n",
          stream);
    for (int i = 0; verbs[i]; i++) {
        fprintf(stream, "        %s) words='", verbs[i]->name);
        put_option_words(stream, verbs[i]);
        fputs("' ;;\n", stream);
    }
    fputs("        esac\n"
          "        COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
          "    else\n"
          "        compopt -o filenames\n"
          "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
          "    fi\n"
          "}\n"
          "complete -F _cover cover\n",
          stream);
}

/* ---- zsh */

/* Help in single quotes and brackets: both are quoted. */
static void put_zsh_text(FILE *stream, const char *text) {
    for (; *text; text++) {
        if (*text == '\'') fputs("'\\''", stream);
        else if (strchr("[]:\\", *text)) fprintf(stream, "\\%c", *text);
        else fputc(*text == '\n' ? ' ' : *text, stream);
    }
}

static void put_zsh_option(FILE *stream, const struct verb *verb, const struct option *option) {
    bool again = option->kind == KIND_ASSIGNMENT;
    fputs(" \\\n            ", stream);
    if (option->letter && !again)
        fprintf(stream, "'(-%c --%s)'{-%c,--%s}'", option->letter, option->name, option->letter, option->name);
    else if (option->letter) fprintf(stream, "'*'{-%c,--%s}'", option->letter, option->name);
    else fprintf(stream, "'--%s", option->name);
    fputc('[', stream);
    put_zsh_text(stream, option_help(verb, option));
    fputc(']', stream);
    if (option->kind != KIND_FLAG) {
        fputc(':', stream);
        put_zsh_text(stream, option_argument(verb, option));
        fputc(':', stream);
        if (option->kind == KIND_FILE) fputs("_files", stream);
        else if (has_values(option)) {
            fputs("(", stream);
            put_values(stream, option, "", " ");
            fputc(')', stream);
        }
    }
    fputc('\'', stream);
}

static void write_zsh(FILE *stream) {
    fputs("#compdef cover\n# zsh completion of cover, written by `cover --completion zsh`\n"
          "_cover() {\n    local -a names\n    names=(\n",
          stream);
    for (int i = 0; verbs[i]; i++) {
        fprintf(stream, "        '%s:", verbs[i]->name);
        put_zsh_text(stream, verbs[i]->summary);
        fputs("'\n", stream);
    }
    fputs(
        "    )\n    if (( CURRENT == 2 )) || [[ $words[2] == help ]]; then\n        _describe verb names\n        return\n    fi\n"
        "    local verb=$words[2]\n    shift words\n    (( CURRENT-- ))\n    case $verb in\n",
        stream);
    for (int v = 0; verbs[v]; v++) {
        fprintf(stream, "    %s)\n        _arguments -s", verbs[v]->name);
        for (int i = OPTION_END + 1; i < OPTION_COUNT; i++)
            if (verb_takes(verbs[v], options[i].id)) put_zsh_option(stream, verbs[v], &options[i]);
        if (verbs[v]->kinds) {
            fputs(" \\\n            '1:kind:(", stream);
            put_words(stream, verbs[v]->kinds, "", " ");
            fputs(")'", stream);
        }
        fputs(verbs[v]->operands_max == 0 ? " ;;\n" : " \\\n            '*:file:_files' ;;\n", stream);
    }
    fputs("    esac\n}\n_cover \"$@\"\n", stream);
}

/* ---- fish */

static void put_fish_text(FILE *stream, const char *text) {
    fputc('\'', stream);
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\') fputc('\\', stream);
        fputc(*text, stream);
    }
    fputc('\'', stream);
}

static void write_fish(FILE *stream) {
    fputs("# fish completion of cover, written by `cover --completion fish`\n"
          "complete -c cover -n '__fish_seen_subcommand_from help' -f -a '",
          stream);
    for (int v = 0; verbs[v]; v++) fprintf(stream, "%s%s", v ? " " : "", verbs[v]->name);
    fputs("'\n", stream);
    for (int v = 0; verbs[v]; v++) {
        if (verbs[v]->kinds) {
            fprintf(stream, "complete -c cover -n '__fish_seen_subcommand_from %s' -a '", verbs[v]->name);
            put_words(stream, verbs[v]->kinds, "", " ");
            fputs("'\n", stream);
        }
        fprintf(stream, "complete -c cover -n __fish_use_subcommand -f -a %s -d ", verbs[v]->name);
        put_fish_text(stream, verbs[v]->summary);
        fputc('\n', stream);
        for (int i = OPTION_END + 1; i < OPTION_COUNT; i++) {
            const struct option *option = &options[i];
            if (!verb_takes(verbs[v], option->id)) continue;
            fprintf(stream, "complete -c cover -n '__fish_seen_subcommand_from %s' -l %s", verbs[v]->name, option->name);
            if (option->letter) fprintf(stream, " -s %c", option->letter);
            if (option->kind == KIND_FILE) fputs(" -r", stream);
            else if (option->kind != KIND_FLAG) fputs(" -x", stream);
            if (has_values(option)) {
                fputs(" -a '", stream);
                put_values(stream, option, "", " ");
                fputc('\'', stream);
            }
            fputs(" -d ", stream);
            put_fish_text(stream, option_help(verbs[v], option));
            fputc('\n', stream);
        }
    }
}

bool completion_write(FILE *stream, const char *shell) {
    static const struct {
        const char *shell;
        void (*write)(FILE *stream);
    } shells[] = {{"bash", write_bash}, {"zsh", write_zsh}, {"fish", write_fish}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (strcmp(shells[i].shell, shell) == 0) {
            shells[i].write(stream);
            return true;
        }
    return false;
}
