/* HMAC-SHA-256 (hmac.h) by the hash of sha256.c.  Called by comm/proof.c. */
#include "hmac.h"

#include <string.h>

enum { BLOCK = 64 };

void hmac_begin(struct hmac *hmac, const void *key, size_t key_bytes) {
    uint8_t block[BLOCK] = {0}, inner[BLOCK], outer[BLOCK];
    if (key_bytes > BLOCK) sha256(key, key_bytes, block);
    else if (key_bytes > 0) memcpy(block, key, key_bytes);
    for (int i = 0; i < BLOCK; i++) inner[i] = block[i] ^ 0x36, outer[i] = block[i] ^ 0x5c;
    sha256_begin(&hmac->inner);
    sha256_add(&hmac->inner, inner, BLOCK);
    sha256_begin(&hmac->outer);
    sha256_add(&hmac->outer, outer, BLOCK);
    explicit_bzero(block, BLOCK), explicit_bzero(inner, BLOCK), explicit_bzero(outer, BLOCK);
}

void hmac_add(struct hmac *hmac, const void *data, size_t bytes) { sha256_add(&hmac->inner, data, bytes); }

void hmac_end(struct hmac *hmac, uint8_t code[SHA256_BYTES]) {
    uint8_t digest[SHA256_BYTES];
    sha256_end(&hmac->inner, digest);
    sha256_add(&hmac->outer, digest, sizeof digest);
    sha256_end(&hmac->outer, code);
    explicit_bzero(hmac, sizeof *hmac);
}

void hmac(const void *key, size_t key_bytes, const void *data, size_t bytes, uint8_t code[SHA256_BYTES]) {
    struct hmac state;
    hmac_begin(&state, key, key_bytes);
    hmac_add(&state, data, bytes);
    hmac_end(&state, code);
}

bool hmac_equal(const uint8_t a[SHA256_BYTES], const uint8_t b[SHA256_BYTES]) {
    uint8_t different = 0;
    for (int i = 0; i < SHA256_BYTES; i++) different |= (uint8_t)(a[i] ^ b[i]);
    return different == 0;
}
