/* Other identifiers for those of a person, from a secret: with the same key always the same, over files, calls and machines; without it
 * nobody can tell which belong together, nor guess and compare.  Called by deidentify.c, deidentify_object.c and audit.c. */
#ifndef COVER_DICOM_PSEUDONYM_H
#define COVER_DICOM_PSEUDONYM_H

#include "uid.h"

enum { PSEUDONYM_KEY_LEAST = 16, PSEUDONYM_CODE = 17 };

struct pseudonym_key {
    uint8_t *bytes;
    size_t count;
};
/* The bytes of a file, PSEUDONYM_KEY_LEAST at least; pseudonym_key_free() wipes them. */
cover_status pseudonym_key_read(struct pseudonym_key *key, cover_context *context, const char *path);
void pseudonym_key_free(struct pseudonym_key *key, cover_context *context);

/* "2.25." and the number of a UUID of version 8 made of the first 16 bytes of HMAC-SHA-256 over `uid`, which has no padding. */
void pseudonym_uid(char to[UID_BYTES], const struct pseudonym_key *key, const void *uid, size_t bytes);
/* 16 digits (0-9, A-F) for a patient, who is his ID and its issuer. */
void pseudonym_code(char to[PSEUDONYM_CODE], const struct pseudonym_key *key, const void *patient, size_t bytes);
/* How many days a patient's dates go back: 1 to 3650. */
int pseudonym_days(const struct pseudonym_key *key, const void *patient, size_t bytes);

/* The first 8 characters of a date (YYYYMMDD) so many days earlier.  False, and the text as it was, where they are no date. */
bool date_shift(char *text, size_t bytes, int days);

#endif
