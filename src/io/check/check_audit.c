/* cover check of an audit: do its lines follow one another, each with the hash of the line before it?  Called by check.c. */
#include "check.h"

#include "core/base/json.h"
#include "core/base/sha256.h"
#include "io/dicom/audit.h"

#include <string.h>

struct chain {
    struct check *check;
    const char *path;
    int64_t number, starts, ends;                     /* lines so far; jobs */
    char before[sizeof "sha256:" + 2 * SHA256_BYTES]; /* "" before the first */
};

static bool is_text(const json_t *object, const char *name, const char *value) {
    const char *text = json_string_value(json_object_get(object, name));
    return text && strcmp(text, value) == 0;
}

static cover_status check_line(void *user, const char *line, size_t bytes, int64_t number, bool whole) {
    struct chain *chain = user;
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_TEXT];
    json_t *object = NULL;
    const char *path = chain->path;
    chain->number = number;
    if (!whole) {
        check_finding(chain->check, "%s: line %lld is cut short", path, (long long)number);
        return COVER_OK;
    }
    const cover_status status = json_read(&object, path, line, bytes);
    if (status == COVER_ERROR_MEMORY) return status;
    const bool start = is_text(object, "event", "start"), end = is_text(object, "event", "end");
    if (!object || !(start || end) || json_integer_value(json_object_get(object, "v")) != 1)
        check_finding(chain->check, "%s: line %lld is no line of an audit", path, (long long)number);
    else if (json_integer_value(json_object_get(object, "seq")) != number)
        check_finding(chain->check, "%s: line %lld has seq %lld: lines are missing or were put in", path, (long long)number,
                      (long long)json_integer_value(json_object_get(object, "seq")));
    else if (chain->before[0] ? !is_text(object, "prev", chain->before) : !json_is_null(json_object_get(object, "prev")))
        check_finding(chain->check, "%s: line %lld does not follow line %lld as it is: one of them was changed", path,
                      (long long)number, (long long)number - 1);
    chain->starts += start, chain->ends += end;
    json_decref(object);
    sha256(line, bytes, digest);
    sha256_text(digest, hex);
    shown_print(chain->before, sizeof chain->before, "sha256:%s", hex);
    return COVER_OK;
}

cover_status check_audit(struct check *check, const char *path) {
    struct chain chain = {.check = check, .path = path};
    const cover_status status = audit_lines(check->context, path, check_line, &chain);
    if (status != COVER_OK) return check_error(check, status);
    text_add(&check->facts, ", \"lines\": %lld, \"jobs\": %lld, \"without_end\": %lld", (long long)chain.number,
             (long long)chain.starts, (long long)(chain.starts - chain.ends));
    return COVER_OK;
}
