/* See audit.h. */
#include "audit.h"

#include "identity.h"

#include "core/base/descriptor.h"
#include "core/base/files.h"
#include "core/base/hmac.h"
#include "core/base/journal.h"
#include "core/base/json.h"
#include "core/base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

enum { KEY_BYTES = 32, PIECE = 1 << 16 };
static const double WAIT_SECONDS = 30;
static const char BEGIN[] = "{\"v\":1, \"seq\":";

/* ---- the file */

static cover_status cannot(const char *path) {
    return fail(COVER_ERROR_IO, "%s: the audit cannot be written: %s", path, strerror(errno));
}

/* Open at its end, and ours alone until it is closed. */
static cover_status open_locked(int *descriptor, const char *path) {
    struct stat about;
    *descriptor = descriptor_open_private(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK);
    if (*descriptor < 0) return cannot(path);
    cover_status status = COVER_OK;
    if (fstat(*descriptor, &about) != 0) status = cannot(path);
    else if (!S_ISREG(about.st_mode)) status = fail(COVER_ERROR_ARGUMENT, "%s: an audit is a file", path);
    else if (descriptor_lock_within(*descriptor, WAIT_SECONDS) == LOCK_OF_ANOTHER)
        status = fail(COVER_ERROR_IO, "%s: the audit is held by another process since %.0f seconds", path, WAIT_SECONDS);
    if (status == COVER_OK) return COVER_OK;
    descriptor_close(*descriptor);
    *descriptor = -1;
    return status;
}

/* A key that is made while the audit is ours is made once. */
static cover_status make_key(cover_context *context, const char *path) {
    uint8_t key[KEY_BYTES];
    struct replacement file;
    if (file_exists(path)) return COVER_OK;
    if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key)
        return fail(COVER_ERROR_IO, "the system gives no random numbers: %s", strerror(errno));
    TRY(replacement_begin_private(&file, context, path));
    cover_status status = replacement_write(&file, key, sizeof key);
    if (status == COVER_OK) status = replacement_commit(&file, context);
    else replacement_abandon(&file, context);
    explicit_bzero(key, sizeof key);
    return status;
}

cover_status audit_open(struct audit *audit, cover_context *context, const char *path, const char *key_file) {
    struct text beside = {.context = context};
    int descriptor = -1;
    cover_status status;
    *audit = (struct audit){.context = context};
    if (!path) return COVER_OK;
    GO(open_locked(&descriptor, path));
    text_add(&beside, "%s.key", path);
    audit->path = memory_text(context, path);
    GO(beside.failed || !audit->path ? COVER_ERROR_MEMORY : COVER_OK);
    if (!key_file) GO(make_key(context, beside.data));
    status = pseudonym_key_read(&audit->key, context, key_file ? key_file : beside.data);
done:
    if (descriptor >= 0) descriptor_close(descriptor);
    if (status != COVER_OK) audit_close(audit);
    text_free(&beside);
    return status;
}

void audit_close(struct audit *audit) {
    if (audit->path) {
        memory_free(audit->context, audit->path);
        pseudonym_key_free(&audit->key, audit->context);
    }
    *audit = (struct audit){0};
}

/* ---- lines */

/* The last whole line: its number and its hash; *end is where it ends.  What is behind it was never said to be there. */
struct last {
    int64_t number;
    uint64_t end;
    char hash[SHA256_TEXT];
};

static cover_status read_tail(char *piece, size_t *bytes, uint64_t *from, int descriptor, uint64_t size, const char *path) {
    *bytes = size < AUDIT_LINE_MOST ? (size_t)size : AUDIT_LINE_MOST;
    *from = size - *bytes;
    return descriptor_read_at(descriptor, piece, *bytes, *from) == (int64_t)*bytes ? COVER_OK : cannot(path);
}

static cover_status read_last(struct last *last, cover_context *context, int descriptor, const char *path) {
    struct stat about;
    cover_status status;
    size_t bytes;
    uint64_t from;
    json_t *line = NULL;
    *last = (struct last){0};
    char *piece = memory_alloc(context, AUDIT_LINE_MOST);
    GO(piece ? COVER_OK : COVER_ERROR_MEMORY);
    GO(fstat(descriptor, &about) == 0 ? COVER_OK : cannot(path));
    GO(read_tail(piece, &bytes, &from, descriptor, (uint64_t)about.st_size, path));
    const char *stop = bytes ? memrchr(piece, '\n', bytes) : NULL;
    if (!stop && from == 0) goto done;
    const char *begin = stop && stop > piece ? memrchr(piece, '\n', (size_t)(stop - piece)) : NULL;
    if (!stop || (!begin && from > 0))
        GO(fail(COVER_ERROR_FORMAT, "%s: is no audit: a line of more than %d bytes", path, AUDIT_LINE_MOST));
    begin = begin ? begin + 1 : piece;
    uint8_t digest[SHA256_BYTES];
    sha256(begin, (size_t)(stop - begin), digest);
    sha256_text(digest, last->hash);
    last->end = from + (uint64_t)(stop + 1 - piece);
    GO(json_read(&line, path, begin, (size_t)(stop - begin)));
    last->number = json_integer_value(json_object_get(line, "seq"));
    if (last->number < 1) status = fail(COVER_ERROR_FORMAT, "%s: is no audit: its last line has no seq", path);
done:
    json_decref(line);
    memory_free(context, piece);
    return status;
}

static void add_time(char text[AUDIT_TIME]) {
    struct timespec now;
    struct tm parts;
    char seconds[AUDIT_TIME];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
    shown_print(text, AUDIT_TIME, "%s.%03dZ", seconds, (int)(now.tv_nsec / 1000000));
}

/* `middle` between what each line begins and ends with; on the disk when it is done, or not there at all. */
static cover_status append(const struct audit *audit, const char time[AUDIT_TIME], const char *event, const struct audit_job *job,
                           struct text *middle) {
    cover_context *context = audit->context;
    struct text line = {.context = context};
    struct journal journal = {.descriptor = -1};
    struct last last;
    int descriptor = -1;
    cover_status status;
    char *path = memory_text(context, audit->path);
    GO(path ? COVER_OK : COVER_ERROR_MEMORY);
    GO(open_locked(&descriptor, path));
    journal_take(&journal, context, path, descriptor);
    path = NULL;
    GO(read_last(&last, context, descriptor, audit->path));
    journal_forget(&journal, last.end); /* the rest of a line that a power cut has torn */
    text_add(&line, "%s%lld, \"time\":\"%s\", \"event\":\"%s\", \"job\":\"%s\", \"version\":\"%s\"%s, \"prev\":", BEGIN,
             (long long)last.number + 1, time, event, job->id, COVER_VERSION, middle->data ? middle->data : "");
    if (last.number) text_add(&line, "\"sha256:%s\"}\n", last.hash);
    else text_add(&line, "null}\n");
    GO(line.failed || middle->failed ? fail(COVER_ERROR_MEMORY, "no memory for a line of the audit") : COVER_OK);
    if (line.length > AUDIT_LINE_MOST) GO(fail(COVER_ERROR_UNSUPPORTED, "a line of the audit would have %zu bytes", line.length));
    GO(journal_add(&journal, line.data, line.length));
    status = journal_commit(&journal);
    if (status != COVER_OK) journal_forget(&journal, last.end);
done:
    journal_close(&journal);
    memory_free(context, path);
    text_free(&line);
    return status;
}

cover_status audit_lines(cover_context *context, const char *path, audit_visit *visit, void *user) {
    struct text line = {.context = context};
    char *piece = memory_alloc(context, PIECE);
    cover_status status;
    int64_t got = 0, number = 0;
    const int descriptor = descriptor_open(path, O_RDONLY | O_NONBLOCK);
    GO(piece ? COVER_OK : COVER_ERROR_MEMORY);
    if (descriptor < 0) GO(fail_system(path, "cannot be opened"));
    while ((got = descriptor_read(descriptor, piece, PIECE)) > 0) {
        for (const char *at = piece, *end = piece + got; at < end;) {
            const char *stop = memchr(at, '\n', (size_t)(end - at));
            text_add_bytes(&line, at, (size_t)((stop ? stop : end) - at));
            GO(line.failed ? COVER_ERROR_MEMORY : COVER_OK);
            if (line.length > AUDIT_LINE_MOST)
                GO(fail(COVER_ERROR_FORMAT, "%s: line %lld has more than %d bytes", path, (long long)number + 1, AUDIT_LINE_MOST));
            if (!stop) break;
            GO(visit(user, line.data ? line.data : "", line.length, ++number, true));
            line.length = 0;
            at = stop + 1;
        }
        if (cancelled(context)) GO(fail(COVER_ERROR_CANCELLED, "%s: cancelled", path));
    }
    if (got < 0) GO(fail_system(path, "cannot be read"));
    status = line.length > 0 ? visit(user, line.data, line.length, number + 1, false) : COVER_OK;
done:
    if (descriptor >= 0) descriptor_close(descriptor);
    memory_free(context, piece);
    text_free(&line);
    return status;
}

bool audit_is_one(const char *path) {
    char head[sizeof BEGIN - 1];
    const int descriptor = descriptor_open(path, O_RDONLY | O_NONBLOCK);
    if (descriptor < 0) return false;
    const int64_t got = descriptor_read(descriptor, head, sizeof head);
    descriptor_close(descriptor);
    return got == (int64_t)sizeof head && memcmp(head, BEGIN, sizeof head) == 0;
}

/* ---- jobs */

static int compare_hashes(const void *a, const void *b) { return memcmp(a, b, SHA256_BYTES); }

cover_status audit_objects(struct audit_job *job, cover_context *context, struct dicom_object *const *objects, int64_t count) {
    uint8_t digest[SHA256_BYTES], *hashes = memory_within(context, (size_t)(count + 1) * SHA256_BYTES);
    cover_status status = hashes ? COVER_OK : COVER_ERROR_MEMORY;
    for (int64_t i = 0; status == COVER_OK && i < count; i++) {
        uint64_t bytes = 0;
        status = dicom_object_hash(objects[i], hashes + i * SHA256_BYTES, &bytes);
        if (status != COVER_OK) fail_in(status, "image %d", objects[i]->number);
        job->bytes += bytes;
    }
    job->images = count;
    if (status == COVER_OK) {
        if (count > 0) qsort(hashes, (size_t)count, SHA256_BYTES, compare_hashes);
        sha256(hashes, (size_t)count * SHA256_BYTES, digest);
        sha256_text(digest, job->sha256);
    }
    memory_free(context, hashes);
    return status;
}

cover_status audit_volume(struct audit_job *job, const struct cover_dicom *set, int index) {
    const struct dicom_volume *volume = &set->volumes[index];
    const struct dicom_object *object = volume->slices[0]->object;
    int64_t count = 0;
    job->study_uid = object->study_uid, job->series_uid = object->series_uid, job->modality = object->modality;
    dicom_size_of(volume, job->size);
    memcpy(job->spacing_mm, volume->spacing_mm, sizeof job->spacing_mm);
    struct dicom_object **objects = memory_alloc(set->context, (size_t)volume->objects * sizeof *objects);
    if (!objects) return COVER_ERROR_MEMORY;
    for (int i = 0; i < volume->count; i++)
        if (volume->slices[i]->first) objects[count++] = volume->slices[i]->object;
    const cover_status status = audit_objects(job, set->context, objects, count);
    memory_free(set->context, objects);
    return status;
}

static void add_hash(struct text *text, const char *name, const uint8_t digest[SHA256_BYTES], const char *kind) {
    char hex[SHA256_TEXT];
    sha256_text(digest, hex);
    text_add(text, "\"%s\":\"%s:%s\", ", name, kind, hex);
}

static void add_uid(struct text *text, const struct audit *audit, const char *name, const char *uid) {
    uint8_t code[SHA256_BYTES];
    if (!uid) return;
    hmac(audit->key.bytes, audit->key.count, uid, strlen(uid), code);
    add_hash(text, name, code, "hmac");
}

/* What both lines of a job have. */
static void add_job(struct text *text, const struct audit *audit, const struct audit_job *job) {
    uint8_t digest[SHA256_BYTES];
    text_add(text, ", \"verb\":\"%s\", ", job->verb);
    if (job->weights) text_add(text, "\"weights\":\"sha256:%s\", ", job->weights);
    sha256(job->options ? job->options : "", job->options ? strlen(job->options) : 0, digest);
    add_hash(text, "options", digest, "sha256");
    text_add(text, "\"input\":{");
    add_uid(text, audit, "study", job->study_uid);
    add_uid(text, audit, "series", job->series_uid);
    text_add(text, "\"images\":%lld, \"bytes\":%llu, \"sha256\":\"%s\"}", (long long)job->images, (unsigned long long)job->bytes,
             job->sha256);
    if (!job->modality) return;
    text_add(text, ", \"volume\":{\"modality\":");
    text_add_json(text, job->modality);
    text_add(text, ", \"size\":[%lld,%lld,%lld], \"spacing_mm\":[%.9g,%.9g,%.9g]}", (long long)job->size[0],
             (long long)job->size[1], (long long)job->size[2], job->spacing_mm[0], job->spacing_mm[1], job->spacing_mm[2]);
}

/* The first start of a job that the audit holds. */
struct search {
    const struct audit_job *job;
    char *first;
};
static cover_status look(void *user, const char *line, size_t bytes, int64_t number, bool whole) {
    struct search *search = user;
    (void)number;
    if (!whole || search->first[0] || !memmem(line, bytes, search->job->id, strlen(search->job->id))) return COVER_OK;
    json_t *object;
    if (json_read(&object, "", line, bytes) != COVER_OK) return COVER_OK; /* `cover check` says so */
    const char *event = json_string_value(json_object_get(object, "event")),
               *job = json_string_value(json_object_get(object, "job"));
    const char *time = json_string_value(json_object_get(object, "time"));
    if (event && job && time && strcmp(event, "start") == 0 && strcmp(job, search->job->id) == 0 && strlen(time) == AUDIT_TIME - 1)
        memcpy(search->first, time, AUDIT_TIME);
    json_decref(object);
    return COVER_OK;
}

cover_status audit_start(const struct audit *audit, struct audit_job *job) {
    struct sha256 hash;
    struct text middle = {.context = audit->context};
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_TEXT], now[AUDIT_TIME], first[AUDIT_TIME] = "";
    job->begun = seconds_now();
    sha256_begin(&hash);
    const char *const parts[] = {COVER_VERSION, job->verb, job->weights, job->options, job->sha256};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) dicom_hash_text(&hash, parts[i]);
    sha256_end(&hash, digest);
    sha256_text(digest, hex);
    shown_print(job->id, sizeof job->id, "sha256:%s", hex);
    add_time(now);
    memcpy(job->first, now, sizeof now);
    if (!audit->path) return COVER_OK;
    add_job(&middle, audit, job);
    const cover_status status = append(audit, now, "start", job, &middle);
    text_free(&middle);
    TRY(status);
    /* behind it: of two that start at once both find the same */
    TRY(audit_lines(audit->context, audit->path, look, &(struct search){job, first}));
    if (first[0]) memcpy(job->first, first, sizeof first);
    return COVER_OK;
}

cover_status audit_end(const struct audit *audit, const struct audit_job *job, const struct audit_end *end) {
    struct text middle = {.context = audit->context};
    char now[AUDIT_TIME];
    if (!audit->path) return COVER_OK;
    add_job(&middle, audit, job);
    text_add(&middle, ", \"checks\":[");
    for (int i = 0; i < end->check_count; i++)
        text_add(&middle, "%s{\"name\":\"%s\", \"ok\":%s}", i ? ", " : "", end->checks[i].name,
                 end->checks[i].ok ? "true" : "false");
    text_add(&middle, "], \"output\":[");
    for (int i = 0; i < end->output_count; i++)
        text_add(&middle, "%s{\"as\":\"%s\", \"bytes\":%llu, \"sha256\":\"%s\"}", i ? ", " : "", end->outputs[i].as,
                 (unsigned long long)end->outputs[i].bytes, end->outputs[i].sha256);
    text_add(&middle, "], \"seconds\":%.3f, \"status\":\"%s\"", seconds_now() - job->begun, end->status);
    if (end->reason) {
        text_add(&middle, ", \"reason\":");
        text_add_json(&middle, end->reason);
    }
    add_time(now);
    const cover_status status = append(audit, now, "end", job, &middle);
    text_free(&middle);
    return status;
}
