/* Which files make the images of a prediction, and under which names their results go (docs/finetune.md, "Prediction").
 * Called by predict.c. */
#ifndef COVER_PREDICT_CASES_H
#define COVER_PREDICT_CASES_H

#include "io/pack/pack.h"

struct predict_case {
    const char *name;         /* of the result, below the output folder, without extension */
    const char *extension;    /* of the result: the image's own, ".png" for JPEG */
    const char *const *files; /* one, or one a channel */
    int file_count;
    const struct dicom_volume *volume; /* of plan.dicom, and files[0] is how it is called; NULL = files */
    const char *unusable;              /* a reason known already; NULL = none */
};

struct predict_cases {
    struct pack_plan plan; /* of it are used arena, context and dicom: all texts live there */
    cover_pack_options pack;
    struct predict_case *cases;
    int64_t count, capacity;
};

/* input: a file or a folder.  channel_files: how many files may make one image at most (1 where one file has all channels).  by_name:
 * results are told apart by their names without extension. */
cover_status predict_cases_create(struct predict_cases *cases, cover_context *context, const char *input, int channel_files,
                                  bool by_name, const cover_dicom_options *dicom);
/* Those of DICOM, once cases were created and plan.dicom is there: the volumes that `series` means; NULL = the only one that such a task
 * takes, with `dims` dimensions and `channels` channels (0 = any). */
cover_status predict_cases_of_dicom(struct predict_cases *cases, const char *series, int dims, int channels);
void predict_cases_free(struct predict_cases *cases);

#endif
