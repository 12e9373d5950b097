/* Looking into, cleaning and writing a run folder. */
#include "run_folder.h"

#include "core/base/files.h"
#include "core/base/json.h"

#include <string.h>

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

static cover_status objective_in(const struct objective **objective, cover_context *context, const json_t *json) {
    const char *name = json_string_value(json_object_get(json, "objective"));
    cover_config *config;
    if (json_object_get(json, "task")) return COVER_OK;
    TRY(cover_config_create(&config, context, NULL));
    if (!name || cover_config_set(config, "objective", name) == COVER_OK)
        *objective = objective_of(context, &config_settings(config)->objective);
    cover_config_destroy(config);
    return COVER_OK;
}

cover_status run_folder_objective(const struct objective **objective, cover_context *context, const char *run) {
    enum { CONFIG_LIMIT = 1 << 20 };
    uint8_t *text = NULL;
    size_t bytes = 0;
    json_t *json = NULL;
    char *path = path_join(context, run, "config.json");
    cover_status status;
    *objective = NULL;
    if (!path) return COVER_ERROR_MEMORY;
    if (file_exists(path)) GO(file_read(context, path, CONFIG_LIMIT, &text, &bytes));
    status = text ? json_read(&json, path, (const char *)text, bytes) : COVER_OK;
    if (status == COVER_ERROR_MEMORY) goto done;
    status = objective_in(objective, context, json);
done:
    json_decref(json);
    memory_free(context, text);
    memory_free(context, path);
    return status;
}

cover_status run_folder_write(cover_context *context, const char *run, const char *name, const char *text) {
    char *path = text ? path_join(context, run, name) : NULL;
    if (!path) return COVER_ERROR_MEMORY;
    cover_status status = file_replace(context, path, text, strlen(text));
    memory_free(context, path);
    return status;
}
