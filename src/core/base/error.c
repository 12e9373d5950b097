/* Status names and the text of the last error, one a thread.  Called by everything. */
#include "base.h"
#include "number.h"

#include <stdio.h>
#include <string.h>


const char *cover_version(void) { return COVER_VERSION; }

const char *cover_status_name(cover_status status) {
    static const char *const names[] = {
        "COVER_OK",           "COVER_ERROR_ARGUMENT",    "COVER_ERROR_SHAPE",    "COVER_ERROR_MEMORY",
        "COVER_ERROR_IO",     "COVER_ERROR_FORMAT",      "COVER_ERROR_UNSUPPORTED", "COVER_ERROR_MISMATCH",
        "COVER_ERROR_NUMERIC", "COVER_ERROR_CANCELLED",  "COVER_ERROR_INTERNAL", "COVER_ERROR_DEVICE",
        "COVER_ERROR_RANK",
    };
    unsigned index = (unsigned)status;
    return index < sizeof names / sizeof *names ? names[index] : "unknown status";
}

cover_status(fail)(cover_status status, const char *format, ...) {
    char fresh[ERROR_TEXT_BYTES]; /* the arguments may point into the old text */
    va_list arguments;
    va_start(arguments, format);
    number_print_list(fresh, sizeof fresh, format, arguments);
    va_end(arguments);
    for (char *c = fresh; *c; c++) /* names from files may end up on a terminal: no control sequences */
        if (((unsigned char)*c < 0x20 && *c != '\n') || *c == 0x7F) *c = '?';
    memcpy(error_slot(), fresh, sizeof fresh);
    return status;
}

cover_status(fail_in)(cover_status status, const char *format, ...) {
    char prefix[1024];
    va_list arguments;
    va_start(arguments, format);
    number_print_list(prefix, sizeof prefix, format, arguments);
    va_end(arguments);
    return fail(status, "%s: %s", prefix, error_slot());
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

void report_write(void *given, const void *known, size_t known_bytes) {
    if (!given) return;
    size_t given_bytes = *(const size_t *)given;
    size_t bytes = given_bytes < known_bytes ? given_bytes : known_bytes;
    if (bytes > sizeof(size_t))
        memcpy((char *)given + sizeof(size_t), (const char *)known + sizeof(size_t), bytes - sizeof(size_t));
}
