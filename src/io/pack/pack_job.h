/* Inside of cover_dataset_pack(): one call's state, and the steps that pack.c conducts. */
#ifndef COVER_PACK_JOB_H
#define COVER_PACK_JOB_H

#include "pack.h"
#include "pack_spool.h"

#include "io/dicom/audit.h"

/* An image that cannot be used. */
struct pack_bad {
    int64_t item;
    const char *path; /* of the file that is to blame: the image's, or its label's */
    const char *reason;
    bool memory; /* it may be well: memory was short */
};

/* An image that is used although something is odd about it. */
struct pack_note {
    int64_t item;
    const char *path, *text;
};

struct pack_job {
    cover_context *context;
    const cover_pack_options *options;
    struct image_rules rules; /* of the options */
    const char *output;
    struct pack_plan plan;
    struct pack_spool spool;
    struct audit audit;
    struct audit_job about;
    char plan_hash[SHA256_TEXT];
    pthread_mutex_t lock; /* of all below */
    struct arena reasons;
    struct pack_bad *bad;
    int64_t bad_count, done;
    struct pack_note *notes;
    int64_t note_count, note_room;
    cover_status failed; /* what stops the whole job */
    char failure[1024];
    /* after reading */
    int64_t *good; /* items in the file, in order */
    int64_t good_count, label_count;
    int dims, channels, classes;
};

/* ---- pack.c */
/* What a pack of these sources and options would depend on now; nothing is read but names, sizes, times, headers. */
cover_status pack_digest(cover_context *context, const char *const *sources, int count, const cover_pack_options *options,
                         uint8_t digest[SHA256_BYTES]);

/* A slip of the hand must not cost a file that is no dataset. */
bool pack_may_replace(const char *output);

/* ---- pack_audit.c */
cover_status pack_audit_start(struct pack_job *job, const uint8_t plan[SHA256_BYTES]);
/* The dataset is complete, beside its place. */
cover_status pack_audit_end(struct pack_job *job, const struct dataset_directory *written, int64_t bytes);
/* Returns the status, with the text that it had. */
cover_status pack_audit_failed(struct pack_job *job, cover_status status);

/* ---- pack_options.c */
/* SHA-256 of everything that decides what the file will be: a resume wants the same. */
void pack_plan_hash(const struct pack_job *job, uint8_t digest[SHA256_BYTES]);

/* ---- pack_spacing.c */
/* Puts the median spacing of the plan's images into the rules. */
cover_status pack_median_spacing(struct pack_job *job);

/* ---- pack_numbers.c */
/* Finds the values of all label maps and gives the plan's items their numbers. */
cover_status pack_number_labels(struct pack_job *job);

/* ---- pack_judge.c */
/* Warnings about images that are used: some dozen and a count. */
void pack_say_notes(const struct pack_job *job);
/* Images that cannot be used are an error or, when asked for, left out; never those that only memory was short for. */
cover_status pack_judge_bad(struct pack_job *job);
/* The others must agree in dims and channels; finds good, label_count, dims, channels and classes. */
cover_status pack_judge_good(struct pack_job *job);

/* ---- pack_output.c */
/* The spool becomes the dataset file. */
cover_status pack_output(struct pack_job *job, struct dataset_directory *written, int64_t *bytes);
cover_status pack_summary(const struct pack_job *job, const struct dataset_directory *written, int64_t bytes, double seconds,
                          char **summary);

#endif
