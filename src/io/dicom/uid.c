/* See uid.h. */
#include "uid.h"

#include "core/base/number.h"

#include <string.h>

enum { UUID_BYTES = 16, DIGITS_MOST = 39, ROOT_MOST = 40 };

void dicom_hash_text(struct sha256 *hash, const char *text) {
    const uint64_t length = text ? strlen(text) : 0;
    sha256_add(hash, &length, sizeof length);
    if (length > 0) sha256_add(hash, text, length);
}

/* The last `most` decimal digits of a number of 128 bits, without leading zeros. */
static size_t print_decimal(char *to, unsigned __int128 number, int most) {
    char digits[DIGITS_MOST];
    int count = 0;
    do digits[count++] = (char)('0' + (int)(number % 10)), number /= 10;
    while (number > 0 && count < most);
    while (count > 1 && digits[count - 1] == '0') count--;
    for (int i = 0; i < count; i++) to[i] = digits[count - 1 - i];
    return (size_t)count;
}

void dicom_uid_of(char uid[UID_BYTES], const uint8_t digest[SHA256_BYTES], const char *root) {
    unsigned __int128 value = 0;
    uint8_t number[UUID_BYTES];
    memcpy(number, digest, sizeof number);
    number[6] = (uint8_t)((number[6] & 0x0f) | 0x80); /* version 8 */
    number[8] = (uint8_t)((number[8] & 0x3f) | 0x80); /* variant */
    for (int i = 0; i < UUID_BYTES; i++) value = value << 8 | number[i];
    const char *prefix = root ? root : "2.25";
    size_t length = strlen(prefix);
    memcpy(uid, prefix, length);
    uid[length++] = '.';
    const int left = UID_BYTES - 1 - (int)length;
    length += print_decimal(uid + length, value, left < DIGITS_MOST ? left : DIGITS_MOST);
    uid[length] = 0;
}

void dicom_uid(char uid[UID_BYTES], const struct sha256 *hash, const char *root, const char *purpose, int number) {
    struct sha256 own = *hash;
    uint8_t digest[SHA256_BYTES];
    dicom_hash_text(&own, purpose);
    sha256_add(&own, &(int64_t){number}, sizeof(int64_t));
    sha256_end(&own, digest);
    dicom_uid_of(uid, digest, root);
}

cover_status dicom_check_root(const char *root) {
    const size_t length = strlen(root);
    bool sound = length > 0 && length <= ROOT_MOST && root[0] <= '2' && root[length - 1] != '.';
    for (size_t i = 0; i < length && sound; i++) {
        const bool first = i == 0 || root[i - 1] == '.';
        sound = is_digit(root[i]) ? !(first && root[i] == '0' && is_digit(root[i + 1])) : root[i] == '.' && !first;
    }
    if (sound) return COVER_OK;
    return fail(COVER_ERROR_ARGUMENT, "uid_root \"%s\": an identifier of at most %d characters, numbers with dots between", root,
                ROOT_MOST);
}
