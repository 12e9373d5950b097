/* See pseudonym.h. */
#include "pseudonym.h"

#include "core/base/files.h"
#include "core/base/hmac.h"
#include "core/base/number.h"

#include <stdio.h>
#include <string.h>

enum { KEY_MOST = 1 << 16, DAYS_MOST = 3650 };

cover_status pseudonym_key_read(struct pseudonym_key *key, cover_context *context, const char *path) {
    *key = (struct pseudonym_key){0};
    TRY(file_read(context, path, KEY_MOST, &key->bytes, &key->count));
    if (key->count >= PSEUDONYM_KEY_LEAST) return COVER_OK;
    const size_t count = key->count;
    pseudonym_key_free(key, context);
    return fail(COVER_ERROR_ARGUMENT,
                "%s: a key of %zu bytes can be guessed; at least %d are needed ('head -c 32 /dev/urandom' makes one)", path, count,
                PSEUDONYM_KEY_LEAST);
}

void pseudonym_key_free(struct pseudonym_key *key, cover_context *context) {
    if (key->bytes) explicit_bzero(key->bytes, key->count);
    memory_free(context, key->bytes);
    *key = (struct pseudonym_key){0};
}

void pseudonym_uid(char to[UID_BYTES], const struct pseudonym_key *key, const void *uid, size_t bytes) {
    uint8_t code[SHA256_BYTES];
    hmac(key->bytes, key->count, uid, bytes, code);
    dicom_uid_of(to, code, NULL);
}

/* Labels hold a letter, which no UID does: codes for one purpose are none for another. */
static void labelled(uint8_t code[SHA256_BYTES], const struct pseudonym_key *key, const char *label, const void *data,
                     size_t bytes) {
    struct hmac mac;
    hmac_begin(&mac, key->bytes, key->count);
    hmac_add(&mac, label, strlen(label) + 1);
    hmac_add(&mac, data, bytes);
    hmac_end(&mac, code);
}

void pseudonym_code(char to[PSEUDONYM_CODE], const struct pseudonym_key *key, const void *patient, size_t bytes) {
    uint8_t code[SHA256_BYTES];
    labelled(code, key, "patient", patient, bytes);
    for (int i = 0; i < 8; i++) snprintf(to + 2 * i, 3, "%02X", code[i]);
}

int pseudonym_days(const struct pseudonym_key *key, const void *patient, size_t bytes) {
    uint8_t code[SHA256_BYTES];
    uint64_t number = 0;
    labelled(code, key, "days", patient, bytes);
    for (int i = 0; i < 8; i++) number = number << 8 | code[i];
    return 1 + (int)(number % DAYS_MOST);
}

/* ---- dates: days since 1970 in the Gregorian calendar, and back */

static int64_t days_of(int year, int month, int day) {
    const int64_t y = month <= 2 ? year - 1 : year, era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int *year, int *month, int *day) {
    days += 719468;
    const int64_t era = (days >= 0 ? days : days - 146096) / 146097, of_era = days - era * 146097;
    const int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const int64_t of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = (int)(y + era * 400 + (*month <= 2));
}

bool date_shift(char *text, size_t bytes, int days) {
    int number[8], year, month, day;
    char fresh[32];
    if (bytes < 8) return false;
    for (int i = 0; i < 8; i++) {
        if (!is_digit(text[i])) return false;
        number[i] = text[i] - '0';
    }
    year = number[0] * 1000 + number[1] * 100 + number[2] * 10 + number[3];
    month = number[4] * 10 + number[5], day = number[6] * 10 + number[7];
    int y, m, d;
    date_of(days_of(year, month, day), &y, &m, &d);
    if (month < 1 || month > 12 || y != year || m != month || d != day) return false; /* no such day */
    date_of(days_of(year, month, day) - days, &year, &month, &day);
    if (year < 1) return false;
    snprintf(fresh, sizeof fresh, "%04d%02d%02d", year, month, day);
    memcpy(text, fresh, 8);
    return true;
}
