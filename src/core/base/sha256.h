/* SHA-256 (FIPS 180-4): content hashes of datasets and checkpoints.  Detects damage and tells datasets apart; it signs
 * nothing (hmac.h does).  Called by the seal of our HDF5 files, the hash of weight files, pack, the dataset reader, check and hmac.c. */
#ifndef COVER_SHA256_H
#define COVER_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32, SHA256_TEXT = 65 };

struct sha256 {
    uint32_t state[8];
    uint64_t bytes; /* taken so far */
    uint8_t pending[64];
    void (*blocks)(uint32_t state[8], const uint8_t *data, size_t count);
};

void sha256_begin(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *data, size_t bytes);
void sha256_end(struct sha256 *hash, uint8_t digest[SHA256_BYTES]);
/* All three at once. */
void sha256(const void *data, size_t bytes, uint8_t digest[SHA256_BYTES]);
/* 64 lower-case hexadecimal digits and a NUL. */
void sha256_text(const uint8_t digest[SHA256_BYTES], char text[SHA256_TEXT]);

/* The two forms of the compression function, for the tests; the second is for CPUs with the SHA extension. */
void sha256_blocks_plain(uint32_t state[8], const uint8_t *data, size_t count);
void sha256_blocks_extension(uint32_t state[8], const uint8_t *data, size_t count);
bool sha256_has_extension(void);

#endif
