/* The public table of objectives (include/libcover/objective.h). */
#include "core/base/base.h"
#include "core/objective/objective.h"

#include <libcover/objective.h>

#include <string.h>

int cover_objective_count(void) {
    int count = 0;
    while (objective_at(count)) count++;
    return count;
}

static int settings_of(const struct objective *row) {
    int count = 0;
    while (row->setting && row->setting[count].name) count++;
    return count;
}

static void write_row(cover_objective *given, const struct objective *row) {
    static const char own[] = "Vector Contrastive Learning For Pixel-Wise Pre-Training In Medical Vision, ICCV 2025";
    const cover_objective made = {.struct_size = sizeof made,
                                  .name = row->name,
                                  .title = row->title,
                                  .paper = row->paper ? row->paper : own,
                                  .text = row->text,
                                  .use = row->use,
                                  .cost = row->cost,
                                  .trained = row->trained,
                                  .sample = row->sample,
                                  .setting_count = settings_of(row)};
    report_write(given, &made, sizeof made);
}

cover_status cover_objective_at(cover_objective *given, int index) {
    const struct objective *row = index < 0 ? NULL : objective_at(index);
    if (!given) return fail(COVER_ERROR_ARGUMENT, "cover_objective_at: the objective is NULL");
    if (!row) return fail(COVER_ERROR_ARGUMENT, "objective %d: there are %d, from 0 on", index, cover_objective_count());
    write_row(given, row);
    return COVER_OK;
}

static cover_status find(const struct objective **row, const char *name) {
    struct names names = {0};
    for (int i = 0; (*row = objective_at(i)); i++) {
        if (strcmp((*row)->name, name) == 0) return COVER_OK;
        names_add(&names, (*row)->name);
    }
    return fail(COVER_ERROR_ARGUMENT, "objective '%.64s' is not known; use one of %s", name, names.text);
}

cover_status cover_objective_find(cover_objective *given, const char *name) {
    const struct objective *row;
    if (!given || !name) return fail(COVER_ERROR_ARGUMENT, "cover_objective_find: an argument is NULL");
    TRY(find(&row, name));
    write_row(given, row);
    return COVER_OK;
}

cover_status cover_objective_setting_at(cover_objective_setting *given, const char *name, int index) {
    const struct objective *row;
    if (!given || !name) return fail(COVER_ERROR_ARGUMENT, "cover_objective_setting_at: an argument is NULL");
    TRY(find(&row, name));
    if (index < 0 || index >= settings_of(row))
        return fail(COVER_ERROR_ARGUMENT, "setting %d of objective %s: there are %d, from 0 on", index, name, settings_of(row));
    const struct objective_setting *own = &row->setting[index];
    const cover_objective_setting made = {
        .struct_size = sizeof made, .name = own->name, .own_2d = own->own[0], .own_3d = own->own[1]};
    report_write(given, &made, sizeof made);
    return COVER_OK;
}
