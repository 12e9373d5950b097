/* Status names and the text of the last error, one a thread.  Called by everything. */
#include "base.h"
#include "number.h"

#include <stdio.h>
#include <string.h>

const char *cover_version(void) { return COVER_VERSION; }
int cover_version_number(void) { return COVER_VERSION_NUMBER; }

#define STATUS(name, text) [name] = {#name, text}
static const struct status_row {
    const char *name, *text;
} statuses[] = {
    STATUS(COVER_OK, "done"),
    STATUS(COVER_ERROR_ARGUMENT, "an argument or setting has a value that is not taken"),
    STATUS(COVER_ERROR_SHAPE, "sizes, channels or dimensions do not fit each other"),
    STATUS(COVER_ERROR_MEMORY, "memory is short, or the memory limit would be passed"),
    STATUS(COVER_ERROR_IO, "the operating system refused to read or write"),
    STATUS(COVER_ERROR_FORMAT, "a file is damaged, or not what it says"),
    STATUS(COVER_ERROR_UNSUPPORTED, "this build or version cannot do that"),
    STATUS(COVER_ERROR_MISMATCH, "settings, data or weights belong to different runs"),
    STATUS(COVER_ERROR_NUMERIC, "a number is NaN or infinite"),
    STATUS(COVER_ERROR_CANCELLED, "stopped on request; the work done is kept"),
    STATUS(COVER_ERROR_INTERNAL, "a promise inside libcover is broken; please report it"),
    STATUS(COVER_ERROR_DEVICE, "a GPU, its driver or a library of it is missing, does not fit, or was lost"),
    STATUS(COVER_ERROR_RANK, "another rank failed, does not answer, or runs something else"),
};
enum { STATUSES = sizeof statuses / sizeof *statuses };

int cover_status_count(void) { return STATUSES; }
const char *cover_status_name(cover_status status) {
    return (unsigned)status < STATUSES ? statuses[status].name : "unknown status";
}
const char *cover_status_text(cover_status status) {
    return (unsigned)status < STATUSES ? statuses[status].text : "a status of another version of libcover";
}

cover_status(fail)(cover_status status, const char *format, ...) {
    char fresh[ERROR_TEXT_BYTES]; /* the arguments may point into the old text */
    va_list arguments;
    va_start(arguments, format);
    shown_print_list(fresh, sizeof fresh, format, arguments);
    va_end(arguments);
    shown_whole(fresh);
    memcpy(error_slot(), fresh, sizeof fresh);
    return status;
}

cover_status(fail_text)(cover_status status, const char *text) {
    char fresh[ERROR_TEXT_BYTES];
    number_print(fresh, sizeof fresh, "%s", text);
    shown_whole(fresh);
    memcpy(error_slot(), fresh, sizeof fresh);
    return status;
}

cover_status(fail_list)(cover_status status, const struct text *lines, const char *format, ...) {
    char head[1024], whole[ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    shown_print_list(head, sizeof head, format, arguments);
    va_end(arguments);
    number_print(whole, sizeof whole, "%s%s", head, lines->data ? lines->data : "");
    return fail_text(status, whole);
}

cover_status(fail_in)(cover_status status, const char *format, ...) {
    char prefix[1024], whole[ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    shown_print_list(prefix, sizeof prefix, format, arguments);
    va_end(arguments);
    number_print(whole, sizeof whole, "%s: %s", prefix, error_slot());
    return fail_text(status, whole);
}

cover_status options_read(void *known, size_t known_bytes, const void *given, const char *what) {
    if (!given) return COVER_OK;
    size_t given_bytes = *(const size_t *)given;
    if (given_bytes < sizeof(size_t))
        return fail(COVER_ERROR_ARGUMENT, "%s: struct_size is %zu; start from its _INIT macro", what, given_bytes);
    const unsigned char *bytes = given;
    for (size_t i = known_bytes; i < given_bytes; i++)
        if (bytes[i])
            return fail(COVER_ERROR_ARGUMENT, "%s: an option at byte %zu is set that libcover %s does not know", what, i,
                        cover_version());
    memcpy(known, given, given_bytes < known_bytes ? given_bytes : known_bytes);
    *(size_t *)known = known_bytes;
    return COVER_OK;
}

void options_init(void *given, size_t given_bytes, const void *known, size_t known_bytes) {
    if (!given || given_bytes < sizeof(size_t)) return;
    memset(given, 0, given_bytes);
    memcpy(given, known, given_bytes < known_bytes ? given_bytes : known_bytes);
    *(size_t *)given = given_bytes;
}

void report_write(void *given, const void *known, size_t known_bytes) {
    if (!given) return;
    size_t given_bytes = *(const size_t *)given;
    size_t bytes = given_bytes < known_bytes ? given_bytes : known_bytes;
    if (bytes > sizeof(size_t))
        memcpy((char *)given + sizeof(size_t), (const char *)known + sizeof(size_t), bytes - sizeof(size_t));
}
