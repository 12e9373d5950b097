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
    if (result != COVER_OK) return refuse(session->verb, result, "%s/config.json: %s", run, library_words(session->verb));
    return settings_apply(session, session->config);
}

static void put_size(char *text, size_t bytes, const int64_t size[3], int dims) {
    size_t used = 0;
    for (int i = 3 - dims; i < 3 && used < bytes; i++)
        used += (size_t)snprintf(text + used, bytes - used, "%s%lld", used ? "x" : "", (long long)size[i]);
}

void run_say_begin(struct session *session, const cover_dataset *dataset, const char *more) {
    const cover_config *config = session->config;
    cover_dataset_info info = COVER_DATASET_INFO_INIT;
    if (cover_dataset_get_info(&info, dataset) != COVER_OK || info.dims != *cover_config_get(config, "dims") - '0') return;
    char least[80], most[80], resized[128] = "", channels[32] = "";
    put_size(least, sizeof least, info.min_size, info.dims);
    put_size(most, sizeof most, info.max_size, info.dims);
    const bool same = strcmp(least, most) == 0;
    const char *work = cover_config_get(config, "work");
    const bool resizes = strncmp(work, "0x", 2) != 0 && !(same && strcmp(work, most) == 0);
    if (resizes) snprintf(resized, sizeof resized, ", resized to %s", work);
    if (info.channels != 1) snprintf(channels, sizeof channels, ", %d channels", info.channels);
    progress_say(&session->progress, "%lld image%s of %s%s%s%s%s; network %s of widths %s; %s steps, batch %s, crop %s%s",
                 (long long)info.samples, info.samples == 1 ? "" : "s", least, same ? "" : " to ", same ? "" : most, channels,
                 resized, cover_config_get(config, "backbone"), cover_config_get(config, "widths"),
                 cover_config_get(config, "steps"), cover_config_get(config, "batch"), cover_config_get(config, "crop"), more);
}

void run_say_resume(const struct session *session) {
    fputs("to go on:", stderr);
    for (int i = 0; i < session->argc; i++) {
        fputc(' ', stderr);
        say_word(stderr, session->argv[i]);
    }
    fprintf(stderr, "%s\n", given(session, OPTION_RESUME) ? "" : " --resume");
}
