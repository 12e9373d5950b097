/* Looking into, cleaning and writing a run folder. */
#include "run_folder.h"

#include "core/base/files.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

cover_status run_folder_unused(cover_context *context, const char *run) {
    static const char *const traces[] = {"config.json", "checkpoint.h5", "log.jsonl", "weights.safetensors"};
    for (size_t i = 0; i < sizeof traces / sizeof *traces; i++) {
        char *path = path_join(context, run, traces[i]);
        if (!path) return COVER_ERROR_MEMORY;
        bool found = file_exists(path);
        memory_free(context, path);
        if (found)
            return fail(COVER_ERROR_IO, "%s: holds a run already (%s); give option resume to go on with it, or name another folder",
                        run, traces[i]);
    }
    return COVER_OK;
}

void run_folder_clean(cover_context *context, const char *run) {
    DIR *folder = opendir(run);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        const char *mark = strstr(entry->d_name, ".tmp-");
        if (!mark || mark[5] == 0 || mark[5 + strspn(mark + 5, "0123456789")] != 0) continue;
        char *path = path_join(context, run, entry->d_name);
        if (path) unlink(path);
        memory_free(context, path);
    }
    if (folder) closedir(folder);
}

cover_status run_folder_write(cover_context *context, const char *run, const char *name, const char *text) {
    char *path = text ? path_join(context, run, name) : NULL;
    if (!path) return COVER_ERROR_MEMORY;
    cover_status status = file_replace(context, path, text, strlen(text));
    memory_free(context, path);
    return status;
}
