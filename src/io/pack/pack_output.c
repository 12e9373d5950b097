/* The spool becomes the dataset file, and the summary tells what is in it (docs/dataset.md, "How it is written").
 * Called by pack.c. */
#include "pack_job.h"

#include "core/base/files.h"
#include "core/base/memory.h"
#include "io/dataset/dataset_write.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static cover_status entry_of(void *user, int64_t index, struct dataset_entry *entry) {
    struct pack_job *job = user;
    struct spool_sample sample;
    const struct pack_item *item = &job->plan.items[job->good[index]];
    TRY(pack_spool_sample(&job->spool, job->good[index], &sample));
    entry->row = sample.row;
    entry->name = item->name, entry->patient = item->patient ? item->patient : "";
    entry->row.name_bytes = (uint32_t)strlen(entry->name);
    entry->row.patient_bytes = (uint32_t)strlen(entry->patient);
    return COVER_OK;
}

static cover_status stored_of(void *user, int64_t index, bool label, void *bytes) {
    struct pack_job *job = user;
    if (cancelled(job->context)) return fail(COVER_ERROR_CANCELLED, "%s: cancelled; resume goes on", job->output);
    return pack_spool_stored(&job->spool, job->good[index], label, bytes);
}

static void add_or_null(struct text *text, const char *string) {
    if (string) text_add_json(text, string);
    else text_add(text, "null");
}

/* How the file was made, as it is recorded in it. */
static void describe(const struct pack_job *job, struct text *text) {
    const cover_pack_options *options = job->options;
    text_add(text, "{\"libcover\": \"%s\", \"format\": \"%d.%d\", \"dims\": %d, \"channels\": %d", cover_version(), DATASET_MAJOR,
             DATASET_MINOR, job->dims, job->channels);
    text_add(text, ", \"options\": {");
    image_rules_write(&job->rules, text);
    text_add(text, ", \"spacing_median\": %s", options->spacing_median ? "true" : "false");
    text_add(text, ", \"skip_bad\": %s, \"split\": ", options->skip_bad ? "true" : "false");
    add_or_null(text, options->split);
    text_add(text, ", \"labels\": ");
    add_or_null(text, options->labels);
    text_add(text, ", \"negative\": ");
    add_or_null(text, options->negative);
    text_add(text, "}, \"sources\": [%s], \"left_out\": %lld, \"class_names\": [", job->plan.layouts.data,
             (long long)job->bad_count);
    for (int c = 0; c < job->plan.classes; c++) {
        if (c) text_add(text, ", ");
        text_add_json(text, job->plan.class_names[c]);
    }
    text_add(text, "], \"ignore_label\": ");
    if (job->plan.ignore_label >= 0) text_add(text, "%d", job->plan.ignore_label);
    else text_add(text, "null");
    text_add(text, ", \"multilabel\": %s, \"label_names\": %s", job->plan.multilabel ? "true" : "false",
             job->plan.label_names ? job->plan.label_names : "null");
    if (job->plan.label_values.length) text_add(text, ", \"label_values\": %s", job->plan.label_values.data);
    text_add(text, "}");
}

cover_status pack_output(struct pack_job *job, struct dataset_directory *written, int64_t *bytes) {
    cover_status status = COVER_OK;
    struct replacement file = {.descriptor = -1};
    struct text about = {.context = job->context};
    char *json = NULL;
    struct stat facts;
    describe(job, &about);
    GO(text_take(&about, &json));
    const struct dataset_content content = {.samples = job->good_count,
                                            .dims = job->dims,
                                            .channels = job->channels,
                                            .classes = job->classes,
                                            .multilabel = job->plan.multilabel,
                                            .about = json,
                                            .entry = entry_of,
                                            .stored = stored_of,
                                            .user = job,
                                            .progress = job->options->progress,
                                            .progress_user = job->options->user};
    GO((job->plan.dicom ? replacement_begin_private : replacement_begin)(&file, job->context, job->output));
    GO(dataset_write(job->context, file.descriptor, job->output, &content, written));
    *bytes = fstat(file.descriptor, &facts) == 0 ? (int64_t)facts.st_size : 0;
    GO(pack_audit_end(job, written, *bytes));
    GO(replacement_commit(&file, job->context));
done:
    replacement_abandon(&file, job->context);
    text_free(&about);
    memory_free(job->context, json);
    return status;
}

cover_status pack_summary(const struct pack_job *job, const struct dataset_directory *written, int64_t bytes, double seconds,
                          char **summary) {
    struct text text = {.context = job->context};
    char hash[SHA256_TEXT];
    sha256_text(written->hash, hash);
    text_add(&text, "{\"output\": ");
    text_add_json(&text, job->output);
    text_add(&text, ", \"samples\": %lld, \"labels\": %lld, \"dims\": %d, \"channels\": %d, \"classes\": %d, \"multilabel\": %s",
             (long long)job->good_count, (long long)job->label_count, job->dims, job->channels, job->classes,
             job->plan.multilabel ? "true" : "false");
    text_add(&text, ", \"min_size\": [%lld, %lld, %lld], \"max_size\": [%lld, %lld, %lld]", (long long)written->min_size[0],
             (long long)written->min_size[1], (long long)written->min_size[2], (long long)written->max_size[0],
             (long long)written->max_size[1], (long long)written->max_size[2]);
    text_add(&text, ", \"most_memory\": %llu", (unsigned long long)memory_most(job->context));
    text_add(&text, ", \"skipped\": %lld, \"resumed\": %lld, \"bytes\": %lld, \"seconds\": %.3f, \"hash\": \"%s\", \"bad\": [",
             (long long)job->plan.ignored, (long long)job->spool.found, (long long)bytes, seconds, hash);
    for (int64_t i = 0; i < job->bad_count; i++) {
        text_add(&text, "%s{\"file\": ", i ? ", " : "");
        text_add_json(&text, job->bad[i].path);
        text_add(&text, ", \"reason\": ");
        text_add_json(&text, job->bad[i].reason);
        text_add(&text, "}");
    }
    text_add(&text, "]}");
    return text_take(&text, summary);
}
