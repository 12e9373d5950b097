/* What becomes of an attribute when an object is de-identified: PS3.15 Table E.1-1 (confidentiality.def) and the attributes that stay
 * (retained.def).  What neither names goes, as private groups do.  Called by deidentify_object.c. */
#ifndef COVER_DICOM_CONFIDENTIALITY_H
#define COVER_DICOM_CONFIDENTIALITY_H

#include <stdbool.h>
#include <stdint.h>

/* The options of the profile that are offered, each as the code that names it in Deidentification Method Code Sequence (CID 7050). */
enum confidential_option {
    RETAIN_FULL_DATES = 113106,
    RETAIN_SHIFTED_DATES = 113107,
    RETAIN_PATIENT = 113108,
    RETAIN_DEVICE = 113109,
    RETAIN_UIDS = 113110,
    RETAIN_INSTITUTION = 113112,
};
struct confidential_choice {
    bool full_dates, shifted_dates, patient, device, uids, institution;
};

enum confidential_action {
    CONFIDENTIAL_GOES,
    CONFIDENTIAL_EMPTY,
    CONFIDENTIAL_DUMMY,
    CONFIDENTIAL_UID,   /* another one */
    CONFIDENTIAL_SHIFT, /* a date */
    CONFIDENTIAL_VALUE, /* kept; it is no sequence */
    CONFIDENTIAL_ITEMS, /* kept; a sequence, in which the same holds */
};
/* vr: the attribute's own, as two letters, where that matters (DUMMY, SHIFT). */
enum confidential_action dicom_confidential(uint32_t tag, const struct confidential_choice *choice, const char **vr);

#endif
