/* What the verbs that train share: settings of a run that goes on, the end of its files, the words that resume it.
 * Called by pretrain.c and finetune.c. */
#include "command.h"

#include <stdlib.h>
#include <string.h>

char *run_file_end(const char *folder, const char *name, long most, bool whole) {
    char path[4096], *text = NULL;
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return NULL;
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    long take = size < most ? size : most;
    if (size >= 0 && !(whole && size > most) && fseek(file, size - take, SEEK_SET) == 0) {
        text = need(malloc((size_t)take + 1));
        text[fread(text, 1, (size_t)take, file)] = 0;
    }
    fclose(file);
    return text;
}

int run_settings(struct session *session, const char *run) {
    if (!given(session, OPTION_RESUME) || given(session, OPTION_PRESET)) return EXIT_OK;
    char *json = run_file_end(run, "config.json", 1 << 20, true);
    if (!json) return EXIT_OK; /* nothing there yet: the run starts anew */
    cover_status result = cover_config_read_json(session->config, json);
    free(json);
    if (result != COVER_OK) {
        say_to(stderr, "cover %s: %s/config.json: %s\n", session->verb->name, run, library_words(session->verb));
        return EXIT_FAILED;
    }
    return settings_apply(session, session->config);
}

void run_say_resume(const struct session *session) {
    fputs("to go on:", stderr);
    for (int i = 0; i < session->argc; i++) {
        fputc(' ', stderr);
        say_word(stderr, session->argv[i]);
    }
    fprintf(stderr, "%s\n", given(session, OPTION_RESUME) ? "" : " --resume");
}
