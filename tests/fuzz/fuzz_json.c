/* The reader of JSON: an error that has a place in the text, or a value that is the same when it is written and read again. */
#include "fuzz.h"

#include "core/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct json_fault fault;
    char *own = malloc(size ? size : 1); /* its own: a sanitizer sees a step over its end */
    require(own != NULL, "memory");
    memcpy(own, data, size);
    json_t *value = json_parse(own, size, &fault), *again = NULL;
    free(own);
    if (!value) return require(!fault.memory && fault.line >= 1 && fault.column >= 1 && *fault.what, "a place and a reason"), 0;
    struct text text = {.context = fuzz_context()};
    text_add_value(&text, value);
    require(!text.failed && json_read(&again, "its text", text.data, text.length) == COVER_OK, "own JSON");
    require(json_equal(value, again), "the same value again");
    json_decref(value), json_decref(again);
    text_free(&text);
    return 0;
}
