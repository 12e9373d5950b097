/* What a kind of task gives for an image, in memory and in files: the last part of core/method/task_kind.h, beside api/finetune/judge.h.
 * Called by predictor.c and predict.c; filled by output_seg.c and output_cls.c. */
#ifndef COVER_PREDICT_OUTPUT_H
#define COVER_PREDICT_OUTPUT_H

#include "core/base/sha256.h"
#include "core/method/task_kind.h"
#include "io/dicom/audit.h"
#include "io/image/image.h"
#include "predict_cases.h"

/* Where the results of image files go. */
struct output_files {
    cover_context *context;
    const struct settings *settings;
    const char *const *class_names;
    const char *folder;    /* of the results */
    struct arena *arena;   /* for paths */
    cover_dicom *dicom;    /* what the cases with a volume are of; NULL = none are */
    const char *as;        /* the formats that are wanted of those, joined by commas; NULL = the usual one */
    bool scores;           /* CASE.npy is wanted */
    cover_seg_options seg; /* of DICOM objects, as the caller gave them */
    const char *task;      /* what they call it */
    char weights_sha256[SHA256_TEXT];
    struct audit audit;
    struct audit_job job; /* of the case at hand */
    bool once;            /* its objects have the time of its first start */
    const char *facts;    /* what decides about results, beside input and weights */
    struct text rows;     /* a kind's that writes one file for all images */
    int64_t written;      /* images */
};

struct task_output {
    /* *label has the image's size and geometry; it gets those of what is said of the image.  NULL: they are the same. */
    void (*shape)(struct image *label, const struct task_settings *task);
    /* values: what inference gave on its grid, (places, classes).  label: of the shape above, zeroed.  scores: (classes, places) at the
     * image's own size; NULL = not wanted. */
    cover_status (*label)(struct image *label, float *scores, cover_context *context, const struct task_settings *task,
                          const float *values, const struct grid *grid);

    /* Into files.  begin and end may be NULL; end comes when something was written. */
    bool scores; /* always asked for, else as the caller wants */
    cover_status (*begin)(struct output_files *files);
    cover_status (*write)(struct output_files *files, const struct predict_case *item, struct image *label, const float *scores);
    cover_status (*end)(struct output_files *files);
};

/* The one that the settings choose: the table's, or added to the context as "task.output" (base/added.h).  Never NULL. */
const struct task_output *task_output_of(const cover_context *context, const struct task_settings *task);

/* ---- for rows (output.c) */

/* A pixel of a label map of either width. */
void label_set(struct image *label, int64_t pixel, int64_t value);
/* An image's row of scores.csv, and the file: file, then a score a class. */
cover_status output_csv_begin(struct output_files *files);
cover_status output_csv_row(struct output_files *files, const struct predict_case *item, struct image *label, const float *scores);
cover_status output_csv_end(struct output_files *files);

#endif
