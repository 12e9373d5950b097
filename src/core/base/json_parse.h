/* JSON as text read into Jansson's values (RFC 8259), strictly: UTF-8 alone, no key twice, at most JSON_DEEPEST levels.  Numbers are the
 * same in every locale; a whole one that is too large for 64 bits becomes a real one.  Knows no context and sets no error, so that
 * the command, which is compiled with it as well, reads as the library does.  Called by json.c and the command. */
#ifndef COVER_JSON_PARSE_H
#define COVER_JSON_PARSE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { JSON_DEEPEST = 256 };

struct json_fault {
    bool memory;      /* short memory: the text may be sound */
    int line, column; /* from 1; of characters */
    char what[160];   /* "',' or '}' is expected, not 'x'" */
};
/* The object or array that the text is; NULL with *fault filled. */
json_t *json_parse(const char *text, size_t bytes, struct json_fault *fault);

#endif
