/* Who is who without saying who (P2): volumes are called P0001/S01, patients and their volumes in the order of a hash of UIDs, so that
 * neither the order nor the names of files tell or change anything; and the one file that says more, which only its owner reads.
 * Called by pack, prediction and deidentify_object.c. */
#ifndef COVER_DICOM_IDENTITY_H
#define COVER_DICOM_IDENTITY_H

#include "set.h"

#include "core/base/sha256.h"

enum { IDENTITY_NAME = 24 };

struct dicom_identity {
    char name[IDENTITY_NAME]; /* "P0001/S01" */
    int patient;              /* from 1, the number in the name: what splits go by */
    int series;               /* from 1, of the patient's */
};

/* One of each volume of a set whose volumes were asked for, in their order; memory_free(). */
cover_status dicom_identities(struct dicom_identity **identities, const struct cover_dicom *set);

/* Whom an object is of: SHA-256 of Patient ID and its issuer; where there is no ID, of the study's UID. */
void dicom_patient(const struct dicom_object *object, uint8_t patient[SHA256_BYTES]);

/* name,patient_id,issuer,study,series of each volume, as CSV with mode 0600, in one move. */
cover_status dicom_link_write(const struct cover_dicom *set, const struct dicom_identity *identities, const char *path);

#endif
