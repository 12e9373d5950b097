/* The audit (P5): a file of JSON lines that only grows, with a start and an end of each job, refusals among them, and nothing that tells
 * who somebody is.  Each line holds the hash of the line before it, so that none can be changed, taken out or put in without a trace
 * (`cover check`).  A line is on the disk when a call returns; a call that fails has written nothing, and its job may not go on.
 *
 *     audit_open(&audit, context, path, key_file);     path NULL: all calls below do their work but write nothing
 *     audit_volume(&job, set, index);                  what goes in
 *     job.weights = ..., job.options = ...;
 *     audit_start(&audit, &job);                       job.first: the time of the result with `time once` (R35)
 *     ... the result, complete, beside its place ...
 *     audit_end(&audit, &job, &end);                   then it is moved into its place
 *     audit_close(&audit);
 *
 * Called by deidentify.c, pack_audit.c and prediction; the lines are read by check_audit.c. */
#ifndef COVER_DICOM_AUDIT_H
#define COVER_DICOM_AUDIT_H

#include "pseudonym.h"
#include "set.h"

#include "core/base/sha256.h"

enum { AUDIT_TIME = 25, AUDIT_HASH = 72, AUDIT_LINE_MOST = 1 << 20 };

struct audit {
    cover_context *context;
    char *path; /* NULL = none */
    struct pseudonym_key key;
};
/* key_file: of the hashes of UIDs; NULL = "PATH.key", which is made when it is not there.  Both files have mode 0600. */
cover_status audit_open(struct audit *audit, cover_context *context, const char *path, const char *key_file);
void audit_close(struct audit *audit);

struct audit_job {
    const char *verb;                   /* "predict" */
    const char *weights;                /* SHA-256 as 64 digits; NULL = none */
    const char *options;                /* all that decides about the result, as text: hashed; NULL = none */
    const char *study_uid, *series_uid; /* NULL = none, or several */
    int64_t images;                     /* objects, and what they are: */
    uint64_t bytes;                     /* of all of them */
    char sha256[SHA256_TEXT];           /* of the hashes of their bytes, in the order of these: files may come in any order */
    const char *modality;               /* of the volume; NULL = none */
    int64_t size[3];                    /* D, H, W */
    double spacing_mm[3];               /* D, H, W */
    char id[AUDIT_HASH],
        first[AUDIT_TIME]; /* by audit_start(): "sha256:...", of input, weights, options, version; "2026-11-30T12:00:00.123Z" */
    double begun;
};
/* What goes in: objects; a job starts from zeros. */
cover_status audit_objects(struct audit_job *job, cover_context *context, struct dicom_object *const *objects, int64_t count);
/* Those of a volume, and what it is.  The texts are the set's. */
cover_status audit_volume(struct audit_job *job, const struct cover_dicom *set, int index);

cover_status audit_start(const struct audit *audit, struct audit_job *job);

struct audit_check {
    const char *name;
    bool ok;
};
struct audit_output {
    const char *as; /* "dicom-seg" */
    uint64_t bytes;
    char sha256[SHA256_TEXT];
};
struct audit_end {
    const char *status; /* "ok", "refused", "failed" */
    const char *reason; /* NULL = none; an error text, which names nobody */
    const struct audit_check *checks;
    int check_count;
    const struct audit_output *outputs;
    int output_count;
};
cover_status audit_end(const struct audit *audit, const struct audit_job *job, const struct audit_end *end);

/* ---- reading: each line without its end, in order; `whole` false of one that has none.  A status other than COVER_OK ends it. */
typedef cover_status audit_visit(void *user, const char *line, size_t bytes, int64_t number, bool whole);
cover_status audit_lines(cover_context *context, const char *path, audit_visit *visit, void *user);
/* Does a file begin like an audit? */
bool audit_is_one(const char *path);

#endif
