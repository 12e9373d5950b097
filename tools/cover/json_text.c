/* JSON that the command reads: what the library gave, and files of its own, by the library's reader. */
#include "json_text.h"

#include "command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

json_t *json_of(const char *text, struct json_fault *fault) {
    struct json_fault unasked;
    json_t *value = json_parse(text, strlen(text), fault ? fault : &unasked);
    if (!value && (fault ? fault : &unasked)->memory) need(NULL);
    return value;
}

json_t *json_of_file(const char *path, struct json_fault *fault) {
    char *text = NULL;
    size_t length = 0, room = 0, got = 0;
    FILE *file = fopen(path, "re");
    json_t *value = NULL;
    do {
        if (room - length < 2) text = need(realloc(text, room = 2 * room + 4096));
        got = file ? fread(text + length, 1, room - length - 1, file) : 0;
        length += got;
    } while (got > 0);
    if (!file || ferror(file)) {
        *fault = (struct json_fault){.line = 0};
        snprintf(fault->what, sizeof fault->what, "cannot be read: %s", strerror(errno));
    } else text[length] = 0, value = json_of(text, fault);
    if (file) fclose(file);
    free(text);
    return value;
}
