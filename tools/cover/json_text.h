/* JSON that the command reads (json_text.c), all by the library's reader.  Called by the verbs that print results, and by `cover study`. */
#ifndef COVER_COMMAND_JSON_TEXT_H
#define COVER_COMMAND_JSON_TEXT_H

#include "core/base/json_parse.h"

/* NULL with *fault, which may be NULL; short memory ends the command.  json_decref(). */
json_t *json_of(const char *text, struct json_fault *fault);
/* Of a whole file; one that cannot be read is a fault of line 0. */
json_t *json_of_file(const char *path, struct json_fault *fault);

#endif
