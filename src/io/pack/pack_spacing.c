/* The median spacing of the images of a plan, axis by axis, from their headers: what --spacing median resamples to
 * (docs/dataset.md, "Resampling").  Called by pack.c before any pixel is read. */
#include "pack_job.h"

#include "core/base/threads.h"

#include <stdlib.h>

struct survey {
    struct pack_job *job;
    double (*spacing_mm)[3]; /* of each item; 0 = not known */
    atomic_bool short_of_memory;
};

static void look_at(void *data, int64_t index) {
    struct survey *survey = data;
    const struct pack_item *item = &survey->job->plan.items[index];
    struct image image;
    if (item->unusable || cancelled(survey->job->context)) return;
    cover_status status = COVER_OK;
    const struct cover_dicom *dicom = survey->job->plan.dicom;
    if (item->volume) dicom_volume_look(&image, dicom, (int)(item->volume - dicom->volumes), item->frame);
    else status = image_look(&image, survey->job->context, item->files[0]);
    if (status == COVER_ERROR_MEMORY) atomic_store(&survey->short_of_memory, true);
    if (status != COVER_OK) return; /* what cannot be read is reported when it is packed */
    const struct turn turn = image_rules_turn(&survey->job->rules, &image);
    image_turn_geometry(&image, &turn);
    for (int a = image.dims == 2 && image.size[0] == 1; a < 3; a++) survey->spacing_mm[index][a] = image.spacing_mm[a];
}

static int compare_numbers(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

cover_status pack_median_spacing(struct pack_job *job) {
    const int64_t count = job->plan.count;
    struct pool *pool;
    cover_status status = COVER_OK;
    struct survey survey = {.job = job};
    double *values = NULL, *found = job->rules.spacing_mm;
    for (int a = 0; a < 3; a++)
        if (job->rules.size[a] > 0 || found[a] > 0)
            return fail(COVER_ERROR_ARGUMENT, "pack: the median spacing and a %s were both given; use one of them",
                        found[a] > 0 ? "spacing" : "size");
    TRY(context_pool(job->context, &pool));
    survey.spacing_mm = memory_zero(job->context, (size_t)count * sizeof *survey.spacing_mm);
    values = memory_alloc(job->context, (size_t)count * sizeof *values);
    GO(survey.spacing_mm && values ? COVER_OK : COVER_ERROR_MEMORY);
    pool_each(pool, count, look_at, &survey);
    if (cancelled(job->context)) GO(fail(COVER_ERROR_CANCELLED, "%s: cancelled before anything was packed", job->output));
    if (atomic_load(&survey.short_of_memory))
        GO(fail(COVER_ERROR_MEMORY, "%s: out of memory while looking for the median spacing", job->output));
    for (int a = 0; a < 3; a++) {
        int64_t known = 0;
        for (int64_t i = 0; i < count; i++)
            if (survey.spacing_mm[i][a] > 0) values[known++] = survey.spacing_mm[i][a];
        qsort(values, (size_t)known, sizeof *values, compare_numbers);
        if (known > 0) found[a] = (values[(known - 1) / 2] + values[known / 2]) / 2;
    }
    if (!(found[0] > 0 || found[1] > 0 || found[2] > 0))
        GO(fail(COVER_ERROR_SHAPE, "pack: no image says its spacing, so there is no median; give a spacing or a size"));
    if (!job->plan.quiet)
        log_line(job->context, COVER_LOG_INFO, "pack: resampling to the median spacing, %g x %g x %g mm (D, H, W)", found[0],
                 found[1], found[2]);
done:
    memory_free(job->context, survey.spacing_mm);
    memory_free(job->context, values);
    return status;
}
