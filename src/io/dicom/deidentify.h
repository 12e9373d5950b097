/* De-identification of one object (P4): what may not leave, and the object without what says who somebody is.  deidentify.c has the call
 * of libcover/dicom.h and the files, deidentify_object.c the objects. */
#ifndef COVER_DICOM_DEIDENTIFY_H
#define COVER_DICOM_DEIDENTIFY_H

#include "confidentiality.h"
#include "object.h"
#include "pseudonym.h"

#include "core/base/files.h"

struct deidentify {
    cover_context *context;
    struct pseudonym_key key;
    struct confidential_choice choice;
    bool accept_burned_in;
};

/* What an object is called when it has been de-identified: UIDs. */
struct deidentify_name {
    char study[UID_BYTES], series[UID_BYTES], instance[UID_BYTES];
};

/* COVER_ERROR_UNSUPPORTED: its pixels or its texts may say who it is; COVER_ERROR_FORMAT: it does not say what it is. */
cover_status deidentify_check(const struct deidentify *work, const struct dicom_object *object);
void deidentify_name(struct deidentify_name *name, const struct deidentify *work, const struct dicom_object *object);
/* The new object into `file`, in the transfer syntax of the old one; its bytes are read from `source`.  Hash and
 * length of what is in the file then. */
cover_status deidentify_write(const struct deidentify *work, const struct dicom_object *object, const struct source *source,
                              struct replacement *file, uint8_t digest[SHA256_BYTES], uint64_t *bytes);

#endif
