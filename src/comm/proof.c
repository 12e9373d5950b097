/* Tokens and the proofs made with them (proof.h).  Called by rendezvous.c and door.c. */
#include "meeting.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_hex(const char *text) {
    for (; *text; text++)
        if (digit(*text) < 0) return false;
    return true;
}

cover_status token_read(struct token *token, const char *text) {
    *token = (struct token){.given = text != NULL};
    if (!text) return COVER_OK;
    size_t length = strlen(text);
    if (length == 0)
        return fail(COVER_ERROR_ARGUMENT,
                    "cover_ranks_options: the token is an empty text; give one that nobody can guess, or none");
    if (length == 2 * sizeof token->key && is_hex(text))
        for (size_t i = 0; i < sizeof token->key; i++) token->key[i] = (uint8_t)(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
    else sha256(text, length, token->key);
    return COVER_OK;
}

cover_status nonce_make(uint8_t nonce[NONCE_BYTES]) {
    for (size_t made = 0; made < NONCE_BYTES;) {
        ssize_t more = getrandom(nonce + made, NONCE_BYTES - made, 0);
        if (more > 0) made += (size_t)more;
        else if (errno != EINTR) return fail(COVER_ERROR_IO, "the system gives no random numbers: %s", strerror(errno));
    }
    return COVER_OK;
}

void secret_make(uint8_t secret[PROOF_BYTES], const struct token *token, const struct hello *hello,
                 const struct challenge *challenge) {
    static const char label[] = "libcover ranks";
    struct hmac mac;
    hmac_begin(&mac, token->key, sizeof token->key);
    hmac_add(&mac, label, sizeof label);
    hmac_add(&mac, hello, sizeof *hello);
    hmac_add(&mac, challenge, sizeof *challenge);
    hmac_end(&mac, secret);
}

void proof_make(uint8_t proof[PROOF_BYTES], const uint8_t secret[PROOF_BYTES], enum side side, const void *first,
                size_t first_bytes, const void *second, size_t second_bytes) {
    const uint8_t label = (uint8_t)side;
    struct hmac mac;
    hmac_begin(&mac, secret, PROOF_BYTES);
    hmac_add(&mac, &label, sizeof label);
    hmac_add(&mac, first, first_bytes);
    hmac_add(&mac, second, second_bytes);
    hmac_end(&mac, proof);
}
