/* Inside of cover_file_check(): one row a kind of file; a check collects findings, and returns an error only when it cannot
 * go on (memory, cancelled).  Called by check.c; new kinds of files add a row to its table. */
#ifndef COVER_CHECK_H
#define COVER_CHECK_H

#include "core/base/base.h"
#include "io/weights/tensor_file.h"

struct check {
    cover_context *context;
    struct text findings; /* JSON strings, separated by commas */
    struct text facts;    /* members of the report beside "ok" and "errors": `, "samples": 12` */
    const char *source;   /* images that a segmentation is compared with, or NULL */
    int64_t tensors;      /* in all files of tensors */
    int64_t found;
};

/* Note one finding; from several threads only one at a time. */
void check_finding(struct check *check, const char *format, ...) PRINTF_LIKE(2, 3);
/* Note the text of the error just raised, or pass it on when it says nothing about the file. */
cover_status check_error(struct check *check, cover_status status);

struct check_kind {
    const char *name;
    bool (*detect)(cover_context *context, const char *path);
    cover_status (*check)(struct check *check, const char *path);
};

cover_status check_dataset(struct check *check, const char *path);    /* check_dataset.c */
cover_status check_checkpoint(struct check *check, const char *path); /* check_weights.c */
bool check_is_dicom(cover_context *context, const char *path);        /* check_dicom.c */
cover_status check_dicom(struct check *check, const char *path);
/* *any: there was DICOM in it at all. */
cover_status check_dicom_folder(struct check *check, const char *path, bool *any);
cover_status check_audit(struct check *check, const char *path); /* check_audit.c */
/* The hash in a file of tensors; whether there is one becomes a fact. */
cover_status check_hash(struct check *check, struct tensor_file *file);
/* Weights that say that they are libcover's must be a whole network, or a whole backbone. */
cover_status check_network(struct check *check, struct tensor_file *file);

#endif
