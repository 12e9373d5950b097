/* json_value PATH: reads one JSON value on stdin and prints the member at a dotted path ("" = only checks that it is
 * JSON).  Exit 1 when it is not.  A helper of the command's tests. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    json_t *root = json_loadf(stdin, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    const json_t *value = root;
    for (char *key = strtok(argc > 1 ? argv[1] : "", "."); key; key = strtok(NULL, "."))
        value = json_is_array(value) ? json_array_get(value, (size_t)atoi(key)) : json_object_get(value, key);
    if (value && json_is_string(value)) puts(json_string_value(value));
    else if (value) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        puts(text ? text : "");
        free(text);
    }
    json_decref(root);
    return value == NULL;
}
