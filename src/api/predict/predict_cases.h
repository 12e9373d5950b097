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
    const char *unusable; /* a reason known already; NULL = none */
};

struct predict_cases {
    struct pack_plan plan; /* only its arena and context are used: all texts live there */
    struct predict_case *cases;
    int64_t count, capacity;
};

/* input: a file or a folder.  channel_files: how many files may make one image at most (1 where one file has all channels).  by_name:
 * results are told apart by their names without extension. */
cover_status predict_cases_create(struct predict_cases *cases, cover_context *context, const char *input, int channel_files,
                                  bool by_name);
void predict_cases_free(struct predict_cases *cases);

#endif
