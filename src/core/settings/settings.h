/* Settings as plain values, drawn from settings.def; cover_config is the public handle around them. */
#ifndef COVER_SETTINGS_H
#define COVER_SETTINGS_H

#include "choices.h"
#include "core/base/base.h"
#include "core/base/element.h"
#include "core/base/grid.h"

#include <libcover/config.h>

enum { SETTING_LIST_MAX = 16 };
struct setting_list {
    int count;
    int64_t value[SETTING_LIST_MAX];
};

/* One struct a part, network_settings for example, so that who takes a part says what he depends on. */
struct settings {
#define SETTING_INTEGER(field) int64_t field;
#define SETTING_NUMBER(field) double field;
#define SETTING_CHOICE(field) int field;
#define SETTING_LIST(field) struct setting_list field;
#define SETTING_SIZE(field) struct setting_list field;
#define SETTING(kind, scope, resume, part, field, fallback, low, high, choices, help) SETTING_##kind(field)
#define PART(part) struct part##_settings {
#define END(part)                                                                                                                  \
    }                                                                                                                              \
    part;
#include "settings.def"
#undef SETTING
#undef PART
#undef END
};

/* Values of the setting `backbone`, in the order of its table. */
enum {
#define BACKBONE(name) BACKBONE_##name,
#include "backbones.def"
#undef BACKBONE
    BACKBONES /* values from here on are added rows (base/added.h) */
};

/* Of the feature maps. */
static inline enum element settings_features(const struct network_settings *settings) {
    return settings->precision == PRECISION_BF16 ? ELEMENT_BF16 : ELEMENT_F32;
}
const struct settings *config_settings(const cover_config *config);
cover_context *config_context(const cover_config *config);
struct json_t; /* Jansson's */
/* cover_config_read_json() of a value that was read before. */
cover_status config_read_object(cover_config *config, const struct json_t *object);
bool config_is_task(const cover_config *config); /* else of pretraining */
/* Refuse a config of the other kind: pretraining (false) or a task (true). */
cover_status config_expect(const cover_config *config, bool task);
/* A SIZE setting as a grid of `dims` axes. */
struct grid settings_grid(const struct setting_list *size, int dims);
/* May a run made with the settings in `json` (of the file `path`) go on with these?  What settings.def says of resumed runs;
 * COVER_ERROR_MISMATCH names the first that may not. */
cover_status config_resumes(const cover_config *config, const char *path, const char *json);
/* Learning rate of the update that follows `step` updates. */
double schedule_rate(const struct common_settings *settings, int64_t step);

#endif
