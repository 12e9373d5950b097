/* Settings of model, views and training by name: one table serves this handle, `--set`, `--help` and config.json.
 *
 * Owner:      the caller destroys what cover_config_create() and cover_config_copy() make; configs that other calls show are
 *             theirs
 * Lifetime:   cover_config_get(): until the name is set again or the config ends; cover_config_json(): until the config changes or
 *             ends; rows and presets: as long as the library is loaded
 * Threads:    many may read a config at once; one alone changes it
 * Callbacks:  none but the log and the allocator of the context (context.h)
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"; destroy takes NULL;
 *             texts of a NULL config are NULL
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  stable */
#ifndef LIBCOVER_CONFIG_H
#define LIBCOVER_CONFIG_H

#include <libcover/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cover_config cover_config;

/** One row of the settings table. */
typedef struct cover_config_key {
    const char *name;    /**< "lr" */
    const char *kind;    /**< "integer", "number", "choice", "list" or "size" (HxW or DxHxW) */
    const char *choices; /**< "exact|released" for a choice, else "" */
    const char *help;    /**< one sentence with unit and source */
    const char *scope;   /**< "pretrain", "task" (fine-tuning) or "both": the configs that know it */
} cover_config_key;

/** Create settings from a preset: "paper-2d", "paper-3d", "released-2d", "released-3d", "demo" and, of each objective (objective.h),
 *  NAME-2d and NAME-3d for pretraining, "seg-2d", "seg-3d", "cls-2d", "cls-3d" for fine-tuning.  NULL = "paper-2d".  The preset decides which
 *  settings the config knows.
 *  @return COVER_OK; COVER_ERROR_ARGUMENT names the presets; COVER_ERROR_MEMORY */
COVER_API cover_status cover_config_create(cover_config **config, cover_context *context, const char *preset);
COVER_API cover_status cover_config_copy(cover_config **copy, const cover_config *config);
COVER_API void cover_config_destroy(cover_config *config);

/** Set one value from text, as `--set KEY=VALUE` does.
 *  @return COVER_OK; COVER_ERROR_ARGUMENT says which names or values are taken */
COVER_API cover_status cover_config_set(cover_config *config, const char *name, const char *value);

/** The value of one name as text; NULL when there is no such name.  Owned by the config, valid until this name is set again or the
 *  config is destroyed. */
COVER_API const char *cover_config_get(const cover_config *config, const char *name);

/** Check that the values fit together (sizes as the backbone wants them, widths as well, heads for each of its levels, ...).
 *  @return COVER_OK; COVER_ERROR_ARGUMENT or COVER_ERROR_SHAPE with the first pair that does not fit */
COVER_API cover_status cover_config_validate(const cover_config *config);

/** Every resolved value as a JSON object; owned by the config, valid until the next of these calls. */
COVER_API const char *cover_config_json(const cover_config *config);
/** Replace values by those of a JSON object such as a run's config.json.  Unknown names are errors. */
COVER_API cover_status cover_config_read_json(cover_config *config, const char *json);

/** Rows of the settings table and names of the presets, for help texts; NULL past the end. */
COVER_API const cover_config_key *cover_config_key_at(int index);
COVER_API const char *cover_config_preset_at(int index);
/** What a preset is for: "pretrain" or "task". */
COVER_API const char *cover_config_preset_scope(int index);

#ifdef __cplusplus
}
#endif
#endif
