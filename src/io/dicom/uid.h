/* Identifiers that are a function of what they name (R35): of the same job always the same.  Called by derived.c, pseudonym.c and the
 * writers of this room. */
#ifndef COVER_DICOM_UID_H
#define COVER_DICOM_UID_H

#include "core/base/base.h"
#include "core/base/sha256.h"

enum { UID_BYTES = 65 };

/* Who has written an object, in its group 0002. */
#define DICOM_IMPLEMENTATION_UID "2.25.245112980379084402836994803426844322558"
#define DICOM_IMPLEMENTATION_NAME "LIBCOVER_" COVER_VERSION

/* `hash` has taken what the identifier depends on; purpose and number tell several of one job apart.  root NULL: "2.25." and a UUID of
 * version 8 (RFC 9562) from SHA-256; else "ROOT." and as much of that number as 64 characters leave room for. */
void dicom_uid(char uid[UID_BYTES], const struct sha256 *hash, const char *root, const char *purpose, int number);
/* The same from a digest. */
void dicom_uid_of(char uid[UID_BYTES], const uint8_t digest[SHA256_BYTES], const char *root);
/* Numbers with dots between, without leading zeros, short enough. */
cover_status dicom_check_root(const char *root);
/* Text into a hash, so that no two lists of texts are alike; NULL as "". */
void dicom_hash_text(struct sha256 *hash, const char *text);

#endif
