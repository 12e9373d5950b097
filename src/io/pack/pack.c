/* cover_dataset_pack(): sources become a plan, the plan's images become stored samples on all threads, and these the dataset
 * file in one go at the end (docs/dataset.md, "Packing").  Called by `cover pack`. */
#include "pack_job.h"

#include "core/base/files.h"
#include "core/base/threads.h"
#include "io/bytes/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- reading on all threads */

/* The first failure that stops the job, with its text: that of the error just raised on this thread. */
static void stop(struct pack_job *job, cover_status status) {
    if (job->failed != COVER_OK) return;
    job->failed = status;
    snprintf(job->failure, sizeof job->failure, "%s", cover_error_text());
}

/* "PATH: what": what is wrong with it; NULL when the text speaks of something else. */
static const char *reason_of(const char *text, const char *path) {
    char prefix[1024]; /* as error texts show it */
    shown_print(prefix, sizeof prefix, "%s: ", path);
    const size_t length = strlen(prefix);
    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

/* Readers begin with the path of the file: that one is to blame, be it a further channel or the label map. */
static void note_bad(struct pack_job *job, int64_t item, bool memory) {
    const struct pack_item *about = &job->plan.items[item];
    const char *text = cover_error_text(), *path = about->path, *reason = reason_of(text, path);
    for (int f = 1; f < about->file_count && !reason; f++) reason = reason_of(text, path = about->files[f]);
    if (!reason && about->label) reason = reason_of(text, path = about->label);
    if (!reason) path = about->path, reason = text;
    reason = arena_text(&job->reasons, reason, strlen(reason));
    if (!reason) stop(job, COVER_ERROR_MEMORY);
    else job->bad[job->bad_count++] = (struct pack_bad){item, path, reason, memory};
}

static void note_odd(struct pack_job *job, int64_t item, const struct packed_sample *sample) {
    const char *text = arena_text(&job->reasons, sample->note, strlen(sample->note));
    if (!text || !array_grow(job->context, &job->notes, &job->note_room, job->note_count + 1, sizeof *job->notes))
        stop(job, COVER_ERROR_MEMORY);
    else job->notes[job->note_count++] = (struct pack_note){item, sample->noted, text};
}

static void pack_one(void *data, int64_t index) {
    struct pack_job *job = data;
    struct packed_sample sample;
    pthread_mutex_lock(&job->lock);
    const bool stopped = job->failed != COVER_OK;
    pthread_mutex_unlock(&job->lock);
    if (stopped || pack_spool_has(&job->spool, index)) return;
    cover_status status = COVER_OK;
    const cover_status usable = pack_image(&sample, job, &job->plan.items[index]);
    if (usable == COVER_OK) {
        status = pack_spool_append(&job->spool, index, &sample);
        packed_sample_free(&sample, job->context);
    }
    pthread_mutex_lock(&job->lock);
    if (usable != COVER_OK) note_bad(job, index, usable == COVER_ERROR_MEMORY);
    else if (sample.noted) note_odd(job, index, &sample);
    if (status != COVER_OK) stop(job, status);
    job->done++;
    if (job->failed == COVER_OK) {
        status = progress_call(job->context, job->options->progress, job->options->user, job->done, job->plan.count, "packing");
        if (status == COVER_OK && cancelled(job->context)) status = fail(COVER_ERROR_CANCELLED, "cancelled");
        if (status != COVER_OK) stop(job, status);
    }
    pthread_mutex_unlock(&job->lock);
}

/* Images that passed the memory limit together may keep to it alone. */
static void again_alone(struct pack_job *job) {
    int64_t left = job->bad_count;
    job->bad_count = 0;
    for (int64_t i = 0; i < left; i++) {
        const struct pack_bad bad = job->bad[i];
        if (bad.memory && job->failed == COVER_OK) job->done--, pack_one(job, bad.item);
        else job->bad[job->bad_count++] = bad;
    }
}

static int by_item(const void *a, const void *b) {
    const struct pack_bad *x = a, *y = b;
    return x->item < y->item ? -1 : x->item > y->item;
}

static int by_noted(const void *a, const void *b) {
    const struct pack_note *x = a, *y = b;
    return x->item < y->item ? -1 : x->item > y->item;
}

static cover_status read_all(struct pack_job *job) {
    struct pool *pool;
    TRY(context_pool(job->context, &pool));
    job->bad = memory_alloc(job->context, (size_t)job->plan.count * sizeof *job->bad);
    if (!job->bad) return COVER_ERROR_MEMORY;
    job->done = job->spool.found;
    pool_each(pool, job->plan.count, pack_one, job);
    if (job->context->memory_limit_bytes) again_alone(job);
    if (job->note_count > 0) qsort(job->notes, (size_t)job->note_count, sizeof *job->notes, by_noted);
    pack_say_notes(job); /* also when it was stopped: a resume will not read these images again */
    if (job->failed == COVER_ERROR_CANCELLED)
        return fail(COVER_ERROR_CANCELLED, "%s: packing was stopped after %lld of %lld images; resume goes on from there",
                    job->output, (long long)job->done, (long long)job->plan.count);
    if (job->failed != COVER_OK) return fail_text(job->failed, job->failure);
    qsort(job->bad, (size_t)job->bad_count, sizeof *job->bad, by_item);
    return COVER_OK;
}

bool pack_may_replace(const char *output) {
    char format[SEAL_FORMAT_BYTES];
    struct stat about;
    if (stat(output, &about) != 0 || about.st_size == 0) return true;
    seal_peek(output, format);
    return strcmp(format, DATASET_FORMAT) == 0;
}

static cover_status check_output(const char *output) {
    const size_t length = strlen(output);
    if (length == 0 || output[length - 1] == '/' || folder_exists(output))
        return fail(COVER_ERROR_ARGUMENT, "%s: is a folder, where the dataset file's name is needed", length ? output : "''");
    TRY(output_takes_file(output));
    if (!pack_may_replace(output))
        return fail(COVER_ERROR_ARGUMENT,
                    "%s: is there already and no dataset, so it is not replaced; name another file, or remove it", output);
    return COVER_OK;
}

/* Options into a job, and sources into its plan; the plan is freed by pack_plan_free(), after a failure too. */
static cover_status begin(struct pack_job *job, const char *const *sources, int count) {
    const cover_pack_options *options = job->options;
    image_rules_of_options(&job->rules, options);
    TRY(image_rules_check(&job->rules, "pack"));
    if (options->negative && !options->labels)
        return fail(COVER_ERROR_ARGUMENT, "pack: negative '%s' speaks of a labels file, but none was given", options->negative);
    TRY(pack_plan_create(&job->plan, job->context, sources, count, options));
    snprintf(job->rules.spacing_at, sizeof job->rules.spacing_at, "%s", pack_dicom_spacing(&job->plan));
    if (!options->orientation && pack_dicom_has_volumes(&job->plan)) { /* whatever axes their scanners use */
        memcpy(job->rules.orientation, "LPS", 4);
        job->rules.orient = true;
    }
    if (options->spacing_median) TRY(pack_median_spacing(job));
    /* whoever only looks would read all label maps; their names, sizes and times tell as much */
    return options->number_labels && !job->plan.quiet ? pack_number_labels(job) : COVER_OK;
}

cover_status pack_digest(cover_context *context, const char *const *sources, int count, const cover_pack_options *options,
                         uint8_t digest[SHA256_BYTES]) {
    struct pack_job job = {
        .context = context, .options = options, .output = sources[0], .plan = {.context = context, .quiet = true}};
    const cover_status status = begin(&job, sources, count);
    if (status == COVER_OK) pack_plan_hash(&job, digest);
    pack_plan_free(&job.plan);
    return status;
}

cover_status cover_dataset_pack(char **summary, cover_context *context, const char *const *sources, int count, const char *output,
                                const cover_pack_options *given) {
    if (!context || !sources || count < 1 || !output)
        return fail(COVER_ERROR_ARGUMENT, "pack: a context, at least one source and an output are needed");
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    TRY(options_read(&options, sizeof options, given, "pack options"));
    TRY(check_output(output));
    const double started = seconds_now();
    cover_status status = COVER_OK;
    struct pack_job job = {.context = context,
                           .options = &options,
                           .output = output,
                           .plan = {.context = context},
                           .spool = {.descriptor = -1},
                           .reasons = {.context = context}};
    struct dataset_directory written;
    int64_t bytes = 0;
    bool keep = false; /* the spool: only for a resume that will want it */
    pthread_mutex_init(&job.lock, NULL);
    GO(begin(&job, sources, count));
    uint8_t digest[SHA256_BYTES];
    pack_plan_hash(&job, digest);
    GO(pack_audit_start(&job, digest));
    GO(pack_spool_open(&job.spool, context, output, job.plan.count, digest, options.resume, job.plan.dicom != NULL));
    keep = true;
    GO(read_all(&job));
    status = pack_judge_bad(&job);
    if (status == COVER_OK) status = pack_judge_good(&job);
    if (status != COVER_OK) {
        keep = status == COVER_ERROR_MEMORY;
        goto done;
    }
    GO(pack_output(&job, &written, &bytes));
    keep = false;
    if (summary) status = pack_summary(&job, &written, bytes, seconds_now() - started, summary);
done:
    if (status != COVER_OK) status = pack_audit_failed(&job, status);
    audit_close(&job.audit);
    if (job.spool.descriptor >= 0) pack_spool_close(&job.spool, keep);
    pack_plan_free(&job.plan);
    arena_free(&job.reasons);
    memory_free(context, job.bad);
    memory_free(context, job.notes);
    memory_free(context, job.good);
    pthread_mutex_destroy(&job.lock);
    return status;
}
