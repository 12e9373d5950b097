/* What libcover-codecs.so offers: a frame of JPEG 2000 to its samples, so that libcover itself does not need OpenJPEG.  Headers were compared and memory was counted before.  codecs/module.c is the module, codecs.c opens it. */
#ifndef COVER_CODECS_MODULE_H
#define COVER_CODECS_MODULE_H

#include "module_interfaces.h" /* CODECS_INTERFACE: the version and a hash of this file (scripts/interfaces.py) */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct codecs_frame {
    const uint8_t *bytes;
    size_t size;
    int rows, columns, samples, precision; /* as the codestream's header said */
    int word;                              /* bytes of a value of `out`: 1, 2 or 4 */
    void *out;                             /* rows x columns x samples words */
    size_t out_bytes;
};

struct codecs_module {
    /* False: what is wrong is in `error`. */
    bool (*jpeg_2000)(struct codecs_frame *frame, char *error, size_t error_bytes);
    /* An assertion of OpenJPEG failed, and came elsewhere: out of the decode that this thread is in.  For tests, where a sanitizer does not
     * let the module be opened as it wants to be. */
    void (*assertion_failed)(void);
};

/* The one exported function; NULL: made with another form of this file. */
#define CODECS_MODULE_ENTRY "cover_codecs_module"
typedef const struct codecs_module *codecs_module_entry(const char *interface);

#endif
