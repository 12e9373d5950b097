/* cover_file_check(): is a file what it says, all of it?  The table of kinds, run folders and files of tensors; datasets are
 * in check_dataset.c, checkpoints and networks in check_weights.c, DICOM in check_dicom.c, audits in check_audit.c.  Called by
 * `cover check`. */
#include "check.h"

#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/number.h"
#include "io/bytes/seal.h"
#include "io/dicom/audit.h"
#include "io/weights/tensor_file.h"

#include <libcover/dataset.h>
#include <libcover/dicom.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LISTED = 100 }; /* findings in a report; the rest are counted */

void check_finding(struct check *check, const char *format, ...) {
    char text[2048];
    va_list arguments;
    if (check->found++ >= LISTED) return;
    va_start(arguments, format);
    shown_print_list(text, sizeof text, format, arguments);
    va_end(arguments);
    if (check->findings.length) text_add(&check->findings, ", ");
    text_add_json(&check->findings, text);
}

cover_status check_error(struct check *check, cover_status status) {
    if (status == COVER_ERROR_MEMORY || status == COVER_ERROR_CANCELLED) return status;
    if (status != COVER_OK) check_finding(check, "%s", cover_error_text());
    return COVER_OK;
}

/* ---- files of tensors: safetensors, .pth */

static bool is_checkpoint(cover_context *context, const char *path) {
    char format[16];
    (void)context;
    seal_peek(path, format);
    return strcmp(format, "checkpoint") == 0;
}

static bool is_tensor_file(cover_context *context, const char *path) {
    static const char *const suffixes[] = {".safetensors", ".pth", ".pt"};
    (void)context;
    for (int i = 0; i < 3; i++)
        if (has_suffix(path, suffixes[i])) return true;
    return false;
}

static cover_status check_values(struct check *check, struct tensor_file *file, const char *path) {
    for (int64_t i = 0; i < file->count; i++) {
        const struct tensor_entry *entry = &file->entries[i];
        float *values = NULL;
        if (cancelled(check->context)) return fail(COVER_ERROR_CANCELLED, "%s: cancelled", path);
        cover_status status = tensor_load_f32(file, entry, &values);
        int64_t bad = 0;
        for (int64_t k = 0; status == COVER_OK && k < entry->elements; k++) bad += !isfinite(values[k]);
        if (bad > 0)
            check_finding(check, "%s: tensor %s: %lld of %lld values are NaN or infinite", path, entry->name, (long long)bad,
                          (long long)entry->elements);
        memory_free(check->context, values);
        TRY(check_error(check, status));
    }
    return COVER_OK;
}

static cover_status check_tensor_file(struct check *check, const char *path) {
    struct tensor_file *file;
    cover_status status = tensor_file_open(&file, check->context, path);
    if (status != COVER_OK) return check_error(check, status);
    status = check_hash(check, file);
    if (status == COVER_OK) status = check_values(check, file, path);
    if (status == COVER_OK) status = check_network(check, file);
    check->tensors += file->count;
    tensor_file_close(file);
    return status;
}

/* ---- run folders */

static bool is_run_folder(cover_context *context, const char *path) {
    char config[4096];
    (void)context;
    const int length = snprintf(config, sizeof config, "%s/config.json", path); /* no memory that may be refused */
    return length > 0 && (size_t)length < sizeof config && folder_exists(path) && file_exists(config);
}

enum { LARGEST_JSON = 1 << 28 };

static cover_status check_json(struct check *check, const char *path) {
    json_t *root;
    const cover_status status = json_file_read(&root, check->context, path, LARGEST_JSON);
    if (status != COVER_OK) return check_error(check, status);
    if (!json_is_object(root)) check_finding(check, "%s: not a JSON object", path);
    json_decref(root);
    return COVER_OK;
}

/* One object a line.  A last line without its end is what a killed run leaves, and is no finding. */
static cover_status check_lines(struct check *check, const char *path) {
    uint8_t *bytes;
    size_t count;
    cover_status status = file_read(check->context, path, 0, &bytes, &count);
    if (status != COVER_OK) return check_error(check, status);
    const char *at = (const char *)bytes, *end = at + count;
    int64_t line = 1;
    for (const char *stop; (stop = memchr(at, '\n', (size_t)(end - at))) != NULL; at = stop + 1, line++) {
        json_t *object;
        status = json_read(&object, path, at, (size_t)(stop - at));
        if (status == COVER_ERROR_MEMORY) break;
        if (!json_is_object(object)) check_finding(check, "%s: line %lld: not a JSON object", path, (long long)line);
        json_decref(object);
    }
    text_add(&check->facts, ", \"log_lines\": %lld", (long long)(line - 1));
    memory_free(check->context, bytes);
    return status == COVER_ERROR_MEMORY ? status : COVER_OK;
}

static bool is_checkpoint_name(const char *name) { return strncmp(name, "checkpoint", 10) == 0 && has_suffix(name, ".h5"); }

/* What lies in a run folder and can be checked; other files are left alone. */
static const struct {
    bool (*is)(const char *name);
    const char *name; /* when `is` is NULL */
    cover_status (*check)(struct check *check, const char *path);
} run_files[] = {
    {NULL, "config.json", check_json},
    {NULL, "log.jsonl", check_lines},
    {NULL, "weights.safetensors", check_tensor_file},
    {is_checkpoint_name, NULL, check_checkpoint},
};

static cover_status check_run_folder(struct check *check, const char *path) {
    cover_status status = COVER_OK;
    struct dirent **entries = NULL;
    int checkpoints = 0, weights = 0, count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) return check_error(check, fail_system(path, "cannot be listed"));
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        char *file = path_join(check->context, path, name);
        if (!file) status = COVER_ERROR_MEMORY;
        for (size_t r = 0; status == COVER_OK && r < sizeof run_files / sizeof *run_files; r++)
            if (run_files[r].is ? run_files[r].is(name) : strcmp(name, run_files[r].name) == 0)
                status = run_files[r].check(check, file);
        checkpoints += is_checkpoint_name(name), weights += strcmp(name, "weights.safetensors") == 0;
        memory_free(check->context, file);
        free(entries[i]);
    }
    free(entries);
    if (status == COVER_OK && checkpoints == 0 && weights == 0)
        check_finding(check, "%s: holds neither a checkpoint nor weights.safetensors", path);
    return status;
}

/* ---- the table */

static bool is_dataset(cover_context *context, const char *path) {
    char format[16];
    (void)context;
    seal_peek(path, format);
    return strcmp(format, "dataset") == 0;
}

static bool is_folder(cover_context *context, const char *path) {
    (void)context;
    return folder_exists(path);
}

static bool is_audit(cover_context *context, const char *path) {
    (void)context;
    return audit_is_one(path);
}

static bool is_anything(cover_context *context, const char *path) {
    (void)context, (void)path;
    return true;
}

static cover_status check_unknown(struct check *check, const char *path) {
    check_finding(
        check,
        "%s: neither a dataset, a checkpoint, a run folder, a weight file, DICOM nor an audit (its first bytes are not a COVER "
        "seal, and its name does not end in .safetensors, .pth or .pt)",
        path);
    return COVER_OK;
}

static cover_status check_folder(struct check *check, const char *path) {
    bool any = true;
    TRY(check_error(check, check_dicom_folder(check, path, &any)));
    return any ? COVER_OK : check_unknown(check, path);
}

static const struct check_kind kinds[] = {
    {"dataset", is_dataset, check_dataset},
    {"run folder", is_run_folder, check_run_folder},
    {"checkpoint", is_checkpoint, check_checkpoint},
    {"weight file", is_tensor_file, check_tensor_file},
    {"DICOM object", check_is_dicom, check_dicom},
    {"folder", is_folder, check_folder},
    {"audit", is_audit, check_audit},
    {"unknown", is_anything, check_unknown},
};

static cover_status check_path(char **report, cover_context *context, const char *path, const char *source) {
    if (!file_exists(path) && !folder_exists(path)) return fail(COVER_ERROR_IO, "%s: no such file or folder", path);
    struct check check = {.context = context, .findings = {.context = context}, .facts = {.context = context}, .source = source};
    struct text text = {.context = context};
    cover_status status = COVER_OK;
    int k = 0;
    while (!kinds[k].detect(context, path)) k++;
    GO(kinds[k].check(&check, path));
    if (check.tensors) text_add(&check.facts, ", \"tensors\": %lld", (long long)check.tensors);
    if (check.findings.failed || check.facts.failed) GO(fail(COVER_ERROR_MEMORY, "%s: out of memory", path));
    text_add(&text, "{\"ok\": %s, \"path\": ", check.found == 0 ? "true" : "false");
    text_add_json(&text, path);
    text_add(&text, ", \"kind\": \"%s\"%s, \"found\": %lld, \"errors\": [%s]}", kinds[k].name,
             check.facts.data ? check.facts.data : "", (long long)check.found, check.findings.data ? check.findings.data : "");
    status = text_take(&text, report);
done:
    text_free(&text);
    text_free(&check.findings);
    text_free(&check.facts);
    return status;
}

cover_status cover_file_check(char **report, cover_context *context, const char *path) {
    if (!context || !path || !report) return fail(COVER_ERROR_ARGUMENT, "check: NULL argument");
    return check_path(report, context, path, NULL);
}

cover_status cover_dicom_check(char **report, cover_context *context, const char *path, const char *source) {
    if (!context || !path || !report || !source) return fail(COVER_ERROR_ARGUMENT, "check: NULL argument");
    if (!check_is_dicom(context, path)) return fail(COVER_ERROR_FORMAT, "%s: not DICOM", path);
    return check_path(report, context, path, source);
}
