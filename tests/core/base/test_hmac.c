/* HMAC-SHA-256 against the test vectors of RFC 4231, and in pieces. */
#include "../../check_main.h"

#include "core/base/hmac.h"

#include <string.h>

static const struct {
    const char *key;
    int key_fill; /* so many bytes 0xaa instead of a text */
    const char *data;
    int data_fill;
    unsigned char fill;
    const char *code;
} vectors[] = {
    {"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b", 0, "Hi There", 0, 0,
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"Jefe", 0, "what do ya want for nothing?", 0, 0, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {NULL, 20, NULL, 50, 0xdd, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19", 0, NULL, 50, 0xcd,
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {NULL, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 0, 0,
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {NULL, 131,
     "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being "
     "used by the HMAC algorithm.",
     0, 0, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
};

START_TEST(published_vectors_agree) {
    unsigned char key[131], data[50];
    const void *key_at = vectors[_i].key, *data_at = vectors[_i].data;
    size_t key_bytes = key_at ? strlen(key_at) : (size_t)vectors[_i].key_fill;
    size_t data_bytes = data_at ? strlen(data_at) : (size_t)vectors[_i].data_fill;
    memset(key, 0xaa, sizeof key);
    memset(data, vectors[_i].fill, sizeof data);
    if (!key_at) key_at = key;
    if (!data_at) data_at = data;
    uint8_t code[SHA256_BYTES], pieces[SHA256_BYTES];
    char text[SHA256_TEXT];
    hmac(key_at, key_bytes, data_at, data_bytes, code);
    sha256_text(code, text);
    ck_assert_str_eq(text, vectors[_i].code);
    struct hmac state;
    hmac_begin(&state, key_at, key_bytes);
    for (size_t i = 0; i < data_bytes; i++) hmac_add(&state, (const char *)data_at + i, 1);
    hmac_end(&state, pieces);
    ck_assert(hmac_equal(code, pieces));
}
END_TEST

START_TEST(codes_that_differ_in_one_bit_are_not_equal) {
    uint8_t a[SHA256_BYTES] = {0}, b[SHA256_BYTES] = {0};
    ck_assert(hmac_equal(a, b));
    for (int bit = 0; bit < 8 * SHA256_BYTES; bit++) {
        b[bit / 8] = (uint8_t)(1 << bit % 8);
        ck_assert(!hmac_equal(a, b));
        b[bit / 8] = 0;
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("hmac");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, published_vectors_agree, 0, (int)(sizeof vectors / sizeof *vectors));
    ADD(all, codes_that_differ_in_one_bit_are_not_equal);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
