/* HMAC-SHA-256 (RFC 2104, FIPS 198-1): who has a secret can show it for some bytes, and nobody else can.
 * Called by comm/proof.c. */
#ifndef COVER_HMAC_H
#define COVER_HMAC_H

#include "sha256.h"

struct hmac {
    struct sha256 inner, outer;
};

void hmac_begin(struct hmac *hmac, const void *key, size_t key_bytes);
void hmac_add(struct hmac *hmac, const void *data, size_t bytes);
void hmac_end(struct hmac *hmac, uint8_t code[SHA256_BYTES]);
/* All three at once. */
void hmac(const void *key, size_t key_bytes, const void *data, size_t bytes, uint8_t code[SHA256_BYTES]);
/* Takes the same time wherever they differ. */
bool hmac_equal(const uint8_t a[SHA256_BYTES], const uint8_t b[SHA256_BYTES]);

#endif
