/* The table of objectives.  Called by the public trainer. */
#include "objective.h"

#include "core/base/added.h"
#include "networks.h"
#include "view_maker.h"

#include <stdio.h>
#include <string.h>

#define OBJECTIVE(name) extern const struct objective objective_##name;
#include "core/settings/objectives.def"
#undef OBJECTIVE

static const struct objective *const objectives[] = {
#define OBJECTIVE(name) &objective_##name,
#include "core/settings/objectives.def"
#undef OBJECTIVE
};

/* ---- settings */

static bool has_setting(const struct objective *objective, const char *name) {
    if (!objective->setting) return true;
    for (const struct objective_setting *own = objective->setting; own && own->name; own++)
        if (strcmp(own->name, name) == 0) return true;
    return false;
}

/* A setting that only others have must be as it is by default. */
static cover_status refuse_foreign(const struct objective *objective, const cover_config *config, const cover_config *fresh) {
    for (size_t i = 0; i < sizeof objectives / sizeof *objectives; i++)
        for (const struct objective_setting *other = objectives[i]->setting; other && other->name; other++) {
            const char *value = cover_config_get(config, other->name), *normal = cover_config_get(fresh, other->name);
            if (strcmp(value, normal) != 0 && !has_setting(objective, other->name))
                return fail(COVER_ERROR_ARGUMENT, "%s=%s: objective %s has no such setting; leave it at %s", other->name, value,
                            objective->name, normal);
        }
    return COVER_OK;
}

static cover_status take_own(const struct objective *objective, cover_config *config, const cover_config *fresh) {
    const bool volume = config_settings(config)->network.dims == 3;
    for (const struct objective_setting *own = objective->setting; own && own->name; own++)
        if (own->own[volume] && strcmp(cover_config_get(config, own->name), cover_config_get(fresh, own->name)) == 0)
            TRY(cover_config_set(config, own->name, own->own[volume]));
    return COVER_OK;
}

cover_status objective_settle(cover_config *config, int64_t images) {
    const struct objective *objective = objective_of(config_context(config), &config_settings(config)->objective);
    cover_config *fresh;
    TRY(cover_config_create(&fresh, config_context(config), NULL));
    cover_status status = refuse_foreign(objective, config, fresh);
    if (status == COVER_OK) status = take_own(objective, config, fresh);
    cover_config_destroy(fresh);
    return status == COVER_OK && objective->settle ? objective->settle(config, images) : status;
}

const struct objective *objective_at(int index) {
    return index < (int)(sizeof objectives / sizeof *objectives) ? objectives[index] : NULL;
}

const struct objective *objective_of(const cover_context *context, const struct objective_settings *settings) {
    const int own = sizeof objectives / sizeof *objectives;
    if (settings->objective < own) return objectives[settings->objective];
    return added_row(context, "objective", settings->objective - own)->row;
}

/* The finest level that is trained: of objectives that read one of the decoder's.  -1 = all are. */
static int64_t level_of(const struct objective *objective, const struct objective_settings *settings) {
    if (!objective->setting) return -1;
    return has_setting(objective, "dense_level")   ? settings->dense_level
           : has_setting(objective, "local_level") ? settings->local_level
                                                   : -1;
}

void objective_trained(char *text, size_t bytes, const cover_config *config) {
    const struct settings *settings = config_settings(config);
    const struct backbone *backbone = backbone_of(config_context(config), &settings->network);
    const struct objective *objective = objective_of(config_context(config), &settings->objective);
    const int64_t level = level_of(objective, &settings->objective),
                  last = backbone_levels(config_context(config), &settings->network).count - 1;
    const char *module = level > 0 && level < last ? backbone->decoder_modules[last - level] : NULL; /* from the outputs back */
    if (module) snprintf(text, bytes, "%.*s", (int)strcspn(module + strlen("backbone."), "."), module + strlen("backbone."));
    else snprintf(text, bytes, "%s", level == 0 ? "encoder" : objective->trained ? objective->trained : "whole");
}

/* ---- a row at work */

cover_status objective_build(struct model *model, cover_context *context, const struct settings *settings,
                             const struct grid *grid) {
    const struct objective *objective = objective_of(context, &settings->objective);
    return objective->graphs ? objective_model(model, context, settings, grid, objective->graphs)
                             : objective->build(model, context, settings, grid);
}

cover_status objective_accepts(const struct objective *objective, const struct settings *settings, const struct grid *grid,
                               int channels) {
    return objective->views ? view_accepts(objective->views, settings, grid, channels)
                            : objective->accepts(settings, grid, channels);
}

size_t objective_maker_bytes(const struct objective *objective) {
    return objective->views ? sizeof(struct view_maker) : objective->maker_bytes;
}

cover_status objective_maker(struct sample_maker *maker, const struct objective *objective, const struct objective_run *run) {
    return objective->views ? view_maker((struct view_maker *)maker, run, objective->views) : objective->maker(maker, run);
}
