/* Do the values of a config fit together?  What backbone and kind of task ask of them their own rows say (nn/backbone.h, task_kind.h).  Called by everything that
 * takes a config. */
#include "core/nn/backbone.h"
#include "core/settings/settings.h"
#include "task_kind.h"

static cover_status check_sizes(const struct settings *s, int multiple) {
    if (s->views.crop.count != s->network.dims || s->views.work.count != s->network.dims)
        return fail(COVER_ERROR_ARGUMENT, "crop and work must have %d sizes each, as dims=%d says; set all three",
                    (int)s->network.dims, (int)s->network.dims);
    int64_t pixels = 1;
    for (int i = 0; i < s->network.dims; i++) {
        int64_t crop = s->views.crop.value[i], work = s->views.work.value[i];
        if (crop % multiple)
            return fail(COVER_ERROR_SHAPE, "crop: %lld is not a multiple of %d; use %lld", (long long)crop, multiple,
                        (long long)(crop < multiple ? multiple : crop / multiple * multiple));
        if (work && work < crop)
            return fail(COVER_ERROR_SHAPE, "work: %lld is smaller than crop's %lld; enlarge work or shrink crop", (long long)work,
                        (long long)crop);
        if ((work == 0) != (s->views.work.value[0] == 0))
            return fail(COVER_ERROR_ARGUMENT, "work: either all sizes are 0 (as they are) or none");
        if (!multiply(pixels, crop, &pixels) || pixels > INT64_C(1) << 40)
            return fail(COVER_ERROR_SHAPE, "crop: more than 2^40 pixels");
    }
    return COVER_OK;
}

static cover_status check_pretrain(const struct settings *s, const struct backbone *backbone) {
    struct levels levels;
    backbone->levels(&s->network, &levels);
    if (s->objective.heads.count != levels.count)
        return fail(COVER_ERROR_ARGUMENT, "heads: %d values, but backbone=%s has %d levels", s->objective.heads.count,
                    backbone->name, levels.count);
    if (s->views.deform_sigma_low > s->views.deform_sigma_high)
        return fail(COVER_ERROR_ARGUMENT, "deform_sigma_low=%g is above deform_sigma_high=%g", s->views.deform_sigma_low,
                    s->views.deform_sigma_high);
    if (!s->objective.loss_vec && !s->objective.loss_con)
        return fail(COVER_ERROR_ARGUMENT, "loss_vec and loss_con are both off; nothing would be learnt");
    return COVER_OK;
}

static cover_status check_task(const struct settings *s, const struct task_kind *row) {
    const char *kind = row->name;
    const int fewest = row->fewest[s->task.multilabel];
    if (fewest == 0) return fail(COVER_ERROR_ARGUMENT, "multilabel=on: task=%s takes one label alone; set multilabel=off", kind);
    if (s->task.classes < fewest)
        return fail(COVER_ERROR_ARGUMENT, "classes=%lld: task=%s needs at least %d", (long long)s->task.classes, kind, fewest);
    if (s->task.fold > s->task.folds)
        return fail(COVER_ERROR_ARGUMENT, "fold=%lld: there are folds=%lld", (long long)s->task.fold, (long long)s->task.folds);
    if (!(s->task.fraction > 0)) return fail(COVER_ERROR_ARGUMENT, "fraction=0: nothing to train on; use a share above 0");
    return COVER_OK;
}

cover_status cover_config_validate(const cover_config *config) {
    if (!config) return fail(COVER_ERROR_ARGUMENT, "cover_config_validate: the config is NULL");
    const struct settings *s = config_settings(config);
    const struct backbone *backbone = backbone_of(config_context(config), &s->network);
    TRY(backbone->check(&s->network));
    TRY(check_sizes(s, backbone->multiple));
    if (s->views.scale_low > s->views.scale_high)
        return fail(COVER_ERROR_ARGUMENT, "scale_low=%g is above scale_high=%g", s->views.scale_low, s->views.scale_high);
    if (s->views.contrast_low > s->views.contrast_high)
        return fail(COVER_ERROR_ARGUMENT, "contrast_low=%g is above contrast_high=%g", s->views.contrast_low,
                    s->views.contrast_high);
    return config_is_task(config) ? check_task(s, task_kind_of(config_context(config), &s->task)) : check_pretrain(s, backbone);
}
