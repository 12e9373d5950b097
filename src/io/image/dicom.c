/* See dicom.h. */
#include "dicom.h"

#include "core/base/files.h"
#include "io/bytes/source.h"

#include <string.h>

enum { HEAD_BYTES = 132 };

bool dicom_detect(const uint8_t *head, size_t bytes) { return bytes >= HEAD_BYTES && memcmp(head + 128, "DICM", 4) == 0; }

static bool has_head(const char *path) {
    uint8_t head[HEAD_BYTES];
    struct source source;
    if (source_open(&source, path) != COVER_OK) return false;
    const bool read = source.bytes >= sizeof head && source_read(&source, 0, head, sizeof head) == COVER_OK;
    source_close(&source);
    return read && dicom_detect(head, sizeof head);
}

bool dicom_is_file(const char *path) {
    static const char *const extensions[] = {".dcm", ".dicom", ".ima"};
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++)
        if (has_suffix(path, extensions[i])) return true;
    const char *dot = strrchr(path_name(path), '.');
    const bool named =
        dot && strspn(dot + 1, "0123456789") < strlen(dot + 1); /* "1.2.840.113" is an identifier, not an extension */
    return !named && has_head(path);
}
