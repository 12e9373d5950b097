/* cover_dicom_deidentify(): what is there, whether all of it may leave, then a file each (deidentify_object.c), named by its new UIDs: a
 * second call puts the same in the same place.  Nothing is written before everything has been looked at. */
#include "deidentify.h"

#include "audit.h"
#include "set.h"

#include "core/base/files.h"
#include "core/base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { LISTED = 10 };

struct entry {
    struct dicom_object *object;
    struct deidentify_name name;
};
struct call {
    cover_context *context;
    const char *output;
    cover_deidentify_options options;
    struct deidentify work;
    struct audit audit;
    struct audit_job job;
    cover_dicom *set;
    struct entry *entries;
    int64_t count, written, duplicates, bytes;
    struct text left_out, listed, said; /* JSON strings; lines of a refusal; the options */
    int64_t left_out_count;
    struct sha256 result; /* of the hashes of what was written */
};

/* ---- options */

static const struct {
    const char *name;
    size_t offset;
} retained[] = {
    {"patient", offsetof(struct confidential_choice, patient)},
    {"device", offsetof(struct confidential_choice, device)},
    {"institution", offsetof(struct confidential_choice, institution)},
    {"uids", offsetof(struct confidential_choice, uids)},
};

static cover_status read_retain(struct confidential_choice *choice, const char *text) {
    for (const char *at = text; at && *at;) {
        const size_t length = strcspn(at, ",");
        bool known = false;
        for (size_t i = 0; i < sizeof retained / sizeof *retained; i++)
            if (strlen(retained[i].name) == length && memcmp(retained[i].name, at, length) == 0)
                *(bool *)((char *)choice + retained[i].offset) = known = true;
        if (!known)
            return fail(COVER_ERROR_ARGUMENT, "retain \"%s\": known are patient, device, institution, uids, joined by commas",
                        text);
        at += length;
        at += *at == ',';
    }
    return COVER_OK;
}

static cover_status read_options(struct call *call, const cover_deidentify_options *options) {
    static const cover_deidentify_options defaults = COVER_DEIDENTIFY_OPTIONS_INIT;
    struct confidential_choice *choice = &call->work.choice;
    call->options = defaults;
    TRY(options_read(&call->options, sizeof call->options, options, "cover_deidentify_options"));
    const char *dates = call->options.dates ? call->options.dates : "remove";
    choice->shifted_dates = strcmp(dates, "shift") == 0, choice->full_dates = strcmp(dates, "keep") == 0;
    if (!choice->shifted_dates && !choice->full_dates && strcmp(dates, "remove") != 0)
        return fail(COVER_ERROR_ARGUMENT, "dates \"%s\": known are remove, shift, keep", dates);
    TRY(read_retain(choice, call->options.retain));
    call->work.accept_burned_in = call->options.accept_burned_in != 0;
    if (!call->options.key)
        return fail(COVER_ERROR_ARGUMENT, "key: a file with at least %d secret bytes is needed", PSEUDONYM_KEY_LEAST);
    return pseudonym_key_read(&call->work.key, call->context, call->options.key);
}

/* Is `path`, or where it will be, the folder or in it? */
static cover_status lies_in(cover_context *context, const char *path, const char *folder, bool *lies) {
    char *at = memory_text(context, path);
    char *real = NULL, *whole = realpath(folder, NULL);
    *lies = false;
    if (!at) {
        free(whole);
        return COVER_ERROR_MEMORY;
    }
    while (whole && !(real = realpath(*at ? at : ".", NULL))) { /* the nearest that is there */
        char *slash = strrchr(at, '/');
        if (slash == at) at[1] = 0;
        else if (slash) *slash = 0;
        else if (*at) *at = 0;
        else break;
    }
    if (whole && real) {
        const size_t length = strlen(whole);
        *lies = strncmp(real, whole, length) == 0 && (real[length] == 0 || real[length] == '/' || whole[length - 1] == '/');
    }
    free(real);
    free(whole);
    memory_free(context, at);
    return COVER_OK;
}

static cover_status check_places(const struct call *call, const char *input) {
    bool lies = false;
    if (folder_exists(input)) TRY(lies_in(call->context, call->output, input, &lies));
    if (lies)
        return fail(COVER_ERROR_ARGUMENT, "%s: lies in what is to be de-identified; name a folder outside of it", call->output);
    TRY(lies_in(call->context, call->options.key, call->output, &lies));
    if (lies)
        return fail(COVER_ERROR_ARGUMENT, "%s: the key would go with the objects; keep it outside of the output",
                    call->options.key);
    return COVER_OK;
}

/* ---- what may leave */

static void leave_out(struct call *call, const char *text) {
    if (call->left_out_count++ < LISTED) text_say(&call->listed, "\n  %s", text);
    text_add(&call->left_out, "%s", call->left_out.length ? ", " : "");
    text_add_json(&call->left_out, text);
}

static int by_name(const void *a, const void *b) {
    const struct entry *one = a, *other = b;
    int order = strcmp(one->name.study, other->name.study);
    if (order == 0) order = strcmp(one->name.series, other->name.series);
    if (order == 0) order = strcmp(one->name.instance, other->name.instance);
    return order ? order : one->object->number - other->object->number;
}

static bool same_name(const struct entry *a, const struct entry *b) {
    return strcmp(a->name.study, b->name.study) == 0 && strcmp(a->name.series, b->name.series) == 0 &&
           strcmp(a->name.instance, b->name.instance) == 0;
}

/* *other: the first of entries begin .. end - 1 that is not the same bytes as the first of all; end when none is. */
static cover_status find_other(const struct call *call, int64_t begin, int64_t end, int64_t *other) {
    uint8_t first[SHA256_BYTES], hash[SHA256_BYTES];
    uint64_t bytes;
    *other = end;
    if (end - begin < 2) return COVER_OK;
    TRY(dicom_object_hash(call->entries[begin].object, first, &bytes));
    for (int64_t i = end - 1; i > begin; i--) {
        TRY(dicom_object_hash(call->entries[i].object, hash, &bytes));
        if (memcmp(first, hash, sizeof first) != 0) *other = i;
    }
    return COVER_OK;
}

/* Of objects that are there twice one is kept; of different ones under one UID nobody knows which is meant. */
static cover_status drop_doubles(struct call *call) {
    int64_t kept = 0;
    for (int64_t begin = 0, end; begin < call->count; begin = end) {
        int64_t other;
        for (end = begin + 1; end < call->count && same_name(&call->entries[begin], &call->entries[end]);) end++;
        TRY(find_other(call, begin, end, &other));
        if (other == end) {
            call->duplicates += end - begin - 1;
            call->entries[kept++] = call->entries[begin];
            continue;
        }
        const cover_status status =
            fail(COVER_ERROR_FORMAT, "image %d and image %d have one SOP Instance UID, and are not the same",
                 call->entries[begin].object->number, call->entries[other].object->number);
        if (!call->options.skip_bad) return status;
        leave_out(call, cover_error_text());
    }
    call->count = kept;
    return kept > 0 ? COVER_OK : fail(COVER_ERROR_FORMAT, "no object is left to be de-identified");
}

static cover_status look(struct call *call, const char *input) {
    const cover_dicom_options options = COVER_DICOM_OPTIONS_INIT;
    TRY(cover_dicom_create(&call->set, call->context, &options));
    const cover_status added = cover_dicom_add_path(call->set, input);
    if (added != COVER_OK && call->set->bad_count == 0) return added;
    const struct cover_dicom *set = call->set;
    call->entries = memory_within(call->context, (size_t)(set->count + 1) * sizeof *call->entries);
    if (!call->entries) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < set->bad_count; i++) leave_out(call, set->bad[i].text);
    for (int64_t i = 0; i < set->count; i++) {
        struct dicom_object *object = set->objects[i];
        struct entry *entry = &call->entries[call->count];
        char name[DICOM_NAME_BYTES];
        *entry = (struct entry){.object = object};
        if (deidentify_check(&call->work, object) != COVER_OK) {
            fail_in(COVER_ERROR_FORMAT, "%s", dicom_object_name(object, name));
            leave_out(call, cover_error_text());
            continue;
        }
        deidentify_name(&entry->name, &call->work, object);
        call->count++;
    }
    if (call->left_out_count > 0 && !call->options.skip_bad) {
        if (call->left_out_count > LISTED) text_say(&call->listed, "\n  and %lld more", (long long)call->left_out_count - LISTED);
        return fail_list(COVER_ERROR_FORMAT, &call->listed,
                         "%lld objects are not de-identified, and nothing was written; option skip_bad leaves them out:",
                         (long long)call->left_out_count);
    }
    if (call->count == 0) return fail(COVER_ERROR_FORMAT, "%s: has no DICOM object that can be de-identified", input);
    qsort(call->entries, (size_t)call->count, sizeof *call->entries, by_name);
    return drop_doubles(call);
}

/* ---- audit */

static cover_status hash_input(struct call *call) {
    struct dicom_object **objects = memory_within(call->context, (size_t)call->count * sizeof *objects);
    if (!objects) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < call->count; i++) objects[i] = call->entries[i].object;
    const cover_status status = audit_objects(&call->job, call->context, objects, call->count);
    memory_free(call->context, objects);
    return status;
}

static cover_status start_audit(struct call *call) {
    const struct confidential_choice *choice = &call->work.choice;
    text_add(&call->said, "dates %d %d retain %d %d %d %d accept %d skip %d", choice->full_dates, choice->shifted_dates,
             choice->patient, choice->device, choice->institution, choice->uids, call->work.accept_burned_in,
             call->options.skip_bad);
    if (call->said.failed) return COVER_ERROR_MEMORY;
    call->job.options = call->said.data;
    TRY(hash_input(call));
    return audit_start(&call->audit, &call->job);
}

/* ---- files */

/* Without the path in it, which is made of UIDs. */
static cover_status cannot(const struct call *call, const struct entry *entry, cover_status status, const char *path) {
    char before[ERROR_TEXT_BYTES], name[DICOM_NAME_BYTES];
    shown_print(before, sizeof before, "%s", cover_error_text());
    const bool names = strncmp(before, path, strlen(path)) == 0;
    if (status == COVER_ERROR_CANCELLED || status == COVER_ERROR_MEMORY) return status;
    return fail(status, "%s: %s%s%s", call->output, dicom_object_name(entry->object, name), names ? "" : ": ",
                names ? before + strlen(path) : before);
}

/* It has been written when it can be read, with all of its pixels. */
static cover_status read_again(const struct call *call, const struct entry *entry, const struct replacement *file, uint64_t bytes) {
    struct dicom_object again = {
        .tree.context = call->context,
        .source = {.name = "", .descriptor = file->descriptor, .bytes = bytes},
    };
    const struct dicom_object *object = entry->object;
    cover_status status = dicom_object_read(&again, call->context);
    if (status == COVER_OK && (!again.pixels != !object->pixels || again.tree.fragment_count != object->tree.fragment_count ||
                               (object->pixels && again.pixels->length / 2 != (object->pixels->length + 1) / 2)))
        status = fail(COVER_ERROR_INTERNAL, "what was written is not what was read");
    dicom_object_free(&again);
    return status;
}

static cover_status write_into(struct call *call, const struct entry *entry, const struct source *source,
                               struct replacement *file) {
    uint8_t digest[SHA256_BYTES];
    uint64_t bytes;
    TRY(deidentify_write(&call->work, entry->object, source, file, digest, &bytes));
    if (file->temporary) TRY(read_again(call, entry, file, bytes));
    sha256_add(&call->result, digest, sizeof digest);
    call->bytes += (int64_t)bytes;
    return COVER_OK;
}

static cover_status write_file(struct call *call, const struct entry *entry, const char *path) {
    struct source source;
    struct replacement file;
    TRY(dicom_object_open(entry->object, &source));
    cover_status status = replacement_begin_private(&file, call->context, path);
    if (status == COVER_OK) {
        status = write_into(call, entry, &source, &file);
        if (status == COVER_OK) status = replacement_commit(&file, call->context);
        else replacement_abandon(&file, call->context);
    }
    dicom_object_close(entry->object, &source);
    return status;
}

static cover_status write_entry(struct call *call, const struct entry *entry) {
    struct text folder = {.context = call->context}, path = {.context = call->context};
    cover_status status = COVER_ERROR_MEMORY;
    text_add(&folder, "%s/%s/%s", call->output, entry->name.study, entry->name.series);
    text_add(&path, "%s/%s.dcm", folder.data ? folder.data : "", entry->name.instance);
    if (!folder.failed && !path.failed) {
        status = folder_create(folder.data);
        if (status == COVER_OK) status = write_file(call, entry, path.data);
        if (status != COVER_OK) status = cannot(call, entry, status, path.data);
    }
    text_free(&folder);
    text_free(&path);
    return status;
}

static cover_status write_all(struct call *call) {
    TRY(folder_create(call->output));
    for (int64_t i = 0; i < call->count; i++) {
        TRY(progress_call(call->context, call->options.progress, call->options.user, i, call->count, "de-identifying"));
        TRY(write_entry(call, &call->entries[i]));
        call->written++;
    }
    return progress_call(call->context, call->options.progress, call->options.user, call->count, call->count, "de-identifying");
}

/* ---- the call */

/* The end of the job, whatever it was; one that cannot be written is the call's failure. */
static cover_status audit_result(struct call *call, cover_status result) {
    struct audit_output output = {.as = "dicom", .bytes = (uint64_t)call->bytes};
    char reason[ERROR_TEXT_BYTES];
    uint8_t digest[SHA256_BYTES];
    struct audit_end end = {.status = result == COVER_OK ? "ok" : call->written ? "failed" : "refused"};
    sha256_end(&call->result, digest);
    sha256_text(digest, output.sha256);
    if (call->written) end.outputs = &output, end.output_count = 1;
    memcpy(reason, error_slot(), sizeof reason);
    if (result != COVER_OK) end.reason = reason;
    const cover_status status = audit_end(&call->audit, &call->job, &end);
    return result == COVER_OK ? status : fail_text(result, reason);
}

static cover_status summarize(struct call *call, char **summary) {
    struct text text = {.context = call->context};
    if (!summary) return COVER_OK;
    text_add(&text, "{\"written\": %lld, \"bytes\": %lld, \"duplicates\": %lld, \"files\": %lld, \"left_out\": [%s]}",
             (long long)call->written, (long long)call->bytes, (long long)call->duplicates, (long long)call->set->counts.files,
             call->left_out.data ? call->left_out.data : "");
    return call->left_out.failed ? COVER_ERROR_MEMORY : text_take(&text, summary);
}

/* A refusal is a job, too. */
static cover_status deidentify(struct call *call, const char *input) {
    char refusal[ERROR_TEXT_BYTES];
    const cover_status looked = look(call, input);
    if (looked == COVER_ERROR_MEMORY || looked == COVER_ERROR_CANCELLED) return looked;
    memcpy(refusal, error_slot(), sizeof refusal);
    TRY(start_audit(call));
    return audit_result(call, looked == COVER_OK ? write_all(call) : fail_text(looked, refusal));
}

cover_status cover_dicom_deidentify(char **summary, cover_context *context, const char *input, const char *output,
                                    const cover_deidentify_options *options) {
    if (!context || !input || !output || !options) return fail(COVER_ERROR_ARGUMENT, "context, input, output or options is NULL");
    TRY(context_check_process(context));
    struct call call = {.context = context,
                        .output = output,
                        .work.context = context,
                        .left_out.context = context,
                        .listed.context = context,
                        .said.context = context,
                        .job.verb = "dicom deidentify"};
    cover_status status;
    sha256_begin(&call.result);
    GO(read_options(&call, options));
    GO(file_exists(input) || folder_exists(input) ? COVER_OK : fail(COVER_ERROR_IO, "%s: no such file or folder", input));
    GO(check_places(&call, input));
    GO(audit_open(&call.audit, context, call.options.audit, call.options.audit_key));
    GO(deidentify(&call, input));
    status = summarize(&call, summary);
done:
    audit_close(&call.audit);
    cover_dicom_destroy(call.set);
    pseudonym_key_free(&call.work.key, context);
    memory_free(context, call.entries);
    text_free(&call.left_out);
    text_free(&call.listed);
    text_free(&call.said);
    return status;
}
