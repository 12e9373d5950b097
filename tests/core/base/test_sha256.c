/* SHA-256 against the published test vectors, in pieces, and its two forms against each other. */
#include "../../check_main.h"

#include "core/base/sha256.h"

#include <string.h>

static const char *hex(const void *data, size_t bytes) {
    static char text[SHA256_TEXT];
    uint8_t digest[SHA256_BYTES];
    sha256(data, bytes, digest);
    sha256_text(digest, text);
    return text;
}

START_TEST(published_vectors_agree) {
    static char million[1000000];
    memset(million, 'a', sizeof million);
    const char *two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    ck_assert_str_eq(hex("", 0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    ck_assert_str_eq(hex("abc", 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    ck_assert_str_eq(hex(two_blocks, 56), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    ck_assert_str_eq(hex(million, sizeof million), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
END_TEST

START_TEST(pieces_of_any_length_give_the_same_digest) {
    uint8_t data[300], whole[SHA256_BYTES], pieces[SHA256_BYTES];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 37 + i / 7);
    for (size_t bytes = 0; bytes <= sizeof data; bytes++)
        for (size_t piece = 1; piece < 140; piece += 13) {
            struct sha256 hash;
            sha256(data, bytes, whole);
            sha256_begin(&hash);
            for (size_t at = 0; at < bytes; at += piece) sha256_add(&hash, data + at, bytes - at < piece ? bytes - at : piece);
            sha256_end(&hash, pieces);
            ck_assert_mem_eq(whole, pieces, SHA256_BYTES);
        }
}
END_TEST

START_TEST(the_form_for_the_sha_extension_equals_the_plain_form) {
    if (!sha256_has_extension()) return; /* nothing to compare on this processor */
    uint8_t data[64 * 9 + 3];
    uint32_t word = 1;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)((word = word * 1664525 + 1013904223) >> 24);
    for (size_t count = 0; count <= 9; count++) {
        uint32_t a[9], b[9];
        for (int i = 0; i < 9; i++) a[i] = b[i] = word = word * 1664525 + 1013904223;
        sha256_blocks_plain(a, data + 3, count);
        sha256_blocks_extension(b, data + 3, count);
        ck_assert_mem_eq(a, b, sizeof a); /* the ninth word guards the end */
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sha256");
    TCase *all = tcase_create("all");
    ADD(all, published_vectors_agree);
    ADD(all, pieces_of_any_length_give_the_same_digest);
    ADD(all, the_form_for_the_sha_extension_equals_the_plain_form);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
