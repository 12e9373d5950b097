/* The table of backbones and what follows from a row.  See backbone.h. */
#include "backbone.h"

#include "core/base/added.h"

#include <string.h>

static const struct backbone *const rows[BACKBONES] = {
#define BACKBONE(name) [BACKBONE_##name] = &backbone_##name,
#include "core/settings/backbones.def"
#undef BACKBONE
};

const struct backbone *backbone_at(const cover_context *context, int index) {
    if (index < BACKBONES) return rows[index];
    const struct added_row *added = added_row(context, "backbone", index - BACKBONES);
    return added ? added->row : NULL;
}

const struct backbone *backbone_of(const cover_context *context, const struct network_settings *settings) {
    return backbone_at(context, settings->backbone);
}

cover_status backbone_find(const struct backbone **out, const cover_context *context, const char *name) {
    struct names known = {0};
    const struct backbone *row;
    for (int i = 0; (row = backbone_at(context, i)); i++) {
        if (strcmp(row->name, name) == 0) {
            *out = row;
            return COVER_OK;
        }
        names_add(&known, row->name);
    }
    return fail(COVER_ERROR_UNSUPPORTED, "backbone '%.32s' is not known; this libcover has %s", name, known.text);
}

struct levels backbone_levels(const cover_context *context, const struct network_settings *settings) {
    struct levels levels;
    backbone_of(context, settings)->levels(settings, &levels);
    return levels;
}

struct grid level_grid(const struct grid *full, int stride) {
    struct grid grid = *full;
    for (int i = 3 - full->ndim; i < 3; i++) grid.size[i] = (full->size[i] + stride - 1) / stride;
    return grid;
}

struct grid backbone_grid(const struct backbone *backbone, int64_t dims, int times) {
    struct grid grid = {.ndim = (int)dims, .size = {1, 1, 1}};
    for (int i = 3 - grid.ndim; i < 3; i++) grid.size[i] = (int64_t)backbone->multiple * times;
    return grid;
}

const struct named_shape *named_shape(const struct named_shape *shapes, int64_t count, const char *name) {
    for (int64_t i = 0; i < count; i++)
        if (strcmp(shapes[i].name, name) == 0) return &shapes[i];
    return NULL;
}
