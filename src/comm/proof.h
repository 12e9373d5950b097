/* Who belongs to a run: whoever has its token.  Both sides of a connection give a random number, and show by HMAC-SHA-256 over all that
 * was said that they have the token; it is never sent, and what was heard once serves nobody a second time.  Without a token the same is
 * done with a key that everybody knows.  Called by rendezvous.c and door.c. */
#ifndef COVER_PROOF_H
#define COVER_PROOF_H

#include "core/base/base.h"
#include "core/base/hmac.h"

enum { NONCE_BYTES = 32, PROOF_BYTES = SHA256_BYTES };
enum side { WHO_COMES, WHO_ANSWERS };

struct token {
    bool given;
    uint8_t key[SHA256_BYTES];
};
struct hello;
struct challenge;

/* 64 hexadecimal digits are the key, of any other text its SHA-256 is; NULL = no token. */
cover_status token_read(struct token *token, const char *text);
cover_status nonce_make(uint8_t nonce[NONCE_BYTES]);
/* What both sides of a connection know when they have the same token, and nobody else does. */
void secret_make(uint8_t secret[PROOF_BYTES], const struct token *token, const struct hello *hello,
                 const struct challenge *challenge);
/* Of one side, over two pieces of what it says. */
void proof_make(uint8_t proof[PROOF_BYTES], const uint8_t secret[PROOF_BYTES], enum side side, const void *first,
                size_t first_bytes, const void *second, size_t second_bytes);

#endif
