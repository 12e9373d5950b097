/* cover_pack(): sources become a plan, the plan's images become stored samples on all threads, and these the dataset
 * file in one go at the end (docs/dataset.md, "Packing").  Called by `cover pack`. */
#include "pack.h"

#include "../core/base/files.h"
#include "../core/base/threads.h"
#include "dataset_write.h"
#include "pack_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LISTED = 20,    /* unusable images named in an error text; the log has all of them */
    VARIETIES = 16, /* different channel counts that are told apart */
    EXAMPLES = 5    /* files named for each */
};

/* An image that cannot be used. */
struct bad {
    int64_t item;
    const char *reason;
    bool memory; /* it may be well: memory was short */
};

struct job {
    cover_context *context;
    const cover_pack_options *options;
    const char *output;
    struct pack_plan plan;
    struct pack_spool spool;
    pthread_mutex_t lock; /* of all below */
    struct arena reasons;
    struct bad *bad;
    int64_t bad_count, done;
    cover_status failed; /* what stops the whole job */
    char failure[1024];
    /* after reading */
    int64_t *good; /* items in the file, in order */
    int64_t good_count, label_count;
    int dims, channels, classes;
};

/* ---- options */

static cover_status check_options(const cover_pack_options *options) {
    if (options->dims != 0 && options->dims != 2 && options->dims != 3)
        return fail(COVER_ERROR_ARGUMENT, "pack: dims is %d; use 2, 3, or 0 for what the files are", options->dims);
    if (options->channels != 0 && options->channels != 1 && options->channels != 3)
        return fail(COVER_ERROR_ARGUMENT, "pack: channels is %d; use 1 (grey), 3 (RGB), or 0 for what the files are",
                    options->channels);
    bool sized = false, spaced = false;
    for (int a = 0; a < 3; a++) {
        if (options->size[a] < 0 || options->size[a] > 1 << 24)
            return fail(COVER_ERROR_ARGUMENT, "pack: size along %c is %lld; use 1..16777216, or 0 to keep it", "DHW"[a],
                        (long long)options -> size[a]);
        if (!isfinite(options->spacing_mm[a]) || options->spacing_mm[a] < 0)
            return fail(COVER_ERROR_ARGUMENT, "pack: spacing along %c is %g mm; use a positive number, or 0 to keep it",
                        "DHW"[a], options -> spacing_mm[a]);
        sized = sized || options->size[a] > 0, spaced = spaced || options->spacing_mm[a] > 0;
    }
    if (sized && spaced) return fail(COVER_ERROR_ARGUMENT, "pack: size and spacing were both given; use one of them");
    const double *window = options->window, *percentile = options->percentile;
    const bool windowed = window[0] != 0 || window[1] != 0, cut = percentile[0] != 0 || percentile[1] != 0;
    if (windowed && !(isfinite(window[0]) && isfinite(window[1]) && window[0] < window[1]))
        return fail(COVER_ERROR_ARGUMENT, "pack: window %g..%g; the first number must be below the second", window[0],
                    window[1]);
    if (cut && !(percentile[0] >= 0 && percentile[0] < percentile[1] && percentile[1] <= 100))
        return fail(COVER_ERROR_ARGUMENT, "pack: percentiles %g..%g; use rising numbers from 0 to 100", percentile[0],
                    percentile[1]);
    if (windowed && cut)
        return fail(COVER_ERROR_ARGUMENT, "pack: window and percentile were both given; use one of them");
    return COVER_OK;
}

/* Everything that decides what the file will be: texts with their ends, numbers, and each file's length and time. */
static void hash_text(struct sha256 *hash, const char *text) {
    sha256_add(hash, text ? text : "\x01", strlen(text ? text : "\x01") + 1);
}

static void hash_file(struct sha256 *hash, const char *path) {
    struct stat about = {0};
    hash_text(hash, path);
    if (!path || stat(path, &about) != 0) return;
    const int64_t facts[] = {about.st_size, about.st_mtim.tv_sec, about.st_mtim.tv_nsec};
    sha256_add(hash, facts, sizeof facts);
}

static void hash_plan(const struct job *job, uint8_t digest[SHA256_BYTES]) {
    const cover_pack_options *options = job->options;
    struct sha256 hash;
    sha256_begin(&hash);
    hash_text(&hash, cover_version());
    const int32_t small[] = {DATASET_MAJOR, DATASET_MINOR, options->dims, options->channels};
    sha256_add(&hash, small, sizeof small);
    sha256_add(&hash, options->size, sizeof options->size);
    sha256_add(&hash, options->spacing_mm, sizeof options->spacing_mm);
    sha256_add(&hash, options->window, sizeof options->window);
    sha256_add(&hash, options->percentile, sizeof options->percentile);
    hash_text(&hash, job->plan.label_names);
    hash_text(&hash, job->plan.layouts.data);
    for (int64_t i = 0; i < job->plan.count; i++) {
        const struct pack_item *item = &job->plan.items[i];
        const char *const texts[] = {item->name, item->class_name, item->patient, item->unusable};
        for (int t = 0; t < 4; t++) hash_text(&hash, texts[t]);
        for (int f = 0; f < item->file_count; f++) hash_file(&hash, item->files[f]);
        hash_file(&hash, item->label);
        const int32_t facts[] = {(int32_t)item->split, item->channels, item->label_classes};
        sha256_add(&hash, facts, sizeof facts);
    }
    sha256_end(&hash, digest);
}

/* ---- reading on all threads */

/* The first failure that stops the job, with its text: that of the error just raised on this thread. */
static void stop(struct job *job, cover_status status) {
    if (job->failed != COVER_OK) return;
    job->failed = status;
    snprintf(job->failure, sizeof job->failure, "%s", cover_error_text());
}

static void note_bad(struct job *job, int64_t item, bool memory) {
    const char *reason = cover_error_text(), *path = job->plan.items[item].path;
    /* readers begin with the path, which the list names anyway */
    const size_t length = strlen(path);
    if (strncmp(reason, path, length) == 0 && strncmp(reason + length, ": ", 2) == 0) reason += length + 2;
    reason = arena_text(&job->reasons, reason, strlen(reason));
    if (!reason)
        stop(job, COVER_ERROR_MEMORY);
    else
        job->bad[job->bad_count++] = (struct bad){item, reason, memory};
}

static void pack_one(void *data, int64_t index) {
    struct job *job = data;
    struct packed_sample sample;
    pthread_mutex_lock(&job->lock);
    const bool stopped = job->failed != COVER_OK;
    pthread_mutex_unlock(&job->lock);
    if (stopped || pack_spool_has(&job->spool, index)) return;
    cover_status status = COVER_OK;
    const cover_status usable = pack_image(&sample, job->context, job->options, &job->plan.items[index]);
    if (usable == COVER_OK) {
        status = pack_spool_append(&job->spool, index, &sample);
        packed_sample_free(&sample, job->context);
    }
    pthread_mutex_lock(&job->lock);
    if (usable != COVER_OK) note_bad(job, index, usable == COVER_ERROR_MEMORY);
    if (status != COVER_OK) stop(job, status);
    job->done++;
    if (job->failed == COVER_OK) {
        status = progress_call(job->context, job->options->progress, job->options->user, job->done, job->plan.count,
                               "packing");
        if (status == COVER_OK && cancelled(job->context)) status = fail(COVER_ERROR_CANCELLED, "cancelled");
        if (status != COVER_OK) stop(job, status);
    }
    pthread_mutex_unlock(&job->lock);
}

static int by_item(const void *a, const void *b) {
    const struct bad *x = a, *y = b;
    return x->item < y->item ? -1 : x->item > y->item;
}

static cover_status read_all(struct job *job) {
    struct pool *pool;
    TRY(context_pool(job->context, &pool));
    job->bad = memory_alloc(job->context, (size_t)job->plan.count * sizeof *job->bad);
    if (!job->bad) return COVER_ERROR_MEMORY;
    job->done = job->spool.found;
    pool_each(pool, job->plan.count, pack_one, job);
    if (job->failed == COVER_ERROR_CANCELLED)
        return fail(COVER_ERROR_CANCELLED,
                    "%s: packing was stopped after %lld of %lld images; resume goes on from there", job->output,
                    (long long)job->done, (long long)job->plan.count);
    if (job->failed != COVER_OK) return fail(job->failed, "%s", job->failure);
    qsort(job->bad, (size_t)job->bad_count, sizeof *job->bad, by_item);
    return COVER_OK;
}

/* ---- what cannot be used */

/* Images that cannot be used are an error or, when asked for, left out; never those that only memory was short for. */
static cover_status judge_bad(struct job *job) {
    struct text text = {.context = job->context};
    bool memory = false;
    for (int64_t i = 0; i < job->bad_count; i++) {
        const struct bad *bad = &job->bad[i];
        const char *path = job->plan.items[bad->item].path;
        log_line(job->context, COVER_LOG_WARNING, "pack: %s: %s", path, bad->reason);
        if (i < LISTED) text_add(&text, "\n  %s: %s", path, bad->reason);
        memory = memory || bad->memory;
    }
    if (job->bad_count > LISTED)
        text_add(&text, "\n  and %lld more (the log has all)", (long long)job->bad_count - LISTED);
    const bool none_left = job->bad_count == job->plan.count;
    cover_status status = COVER_OK;
    if (memory)
        status = COVER_ERROR_MEMORY;
    else if (job->bad_count > 0 && (!job->options->skip_bad || none_left))
        status = COVER_ERROR_FORMAT;
    if (status != COVER_OK)
        fail(status, "%lld of %lld images cannot be used; nothing was written%s%s", (long long)job->bad_count,
             (long long)job->plan.count,
             none_left || memory ? ":" : " (skip-bad leaves them out):", text.data ? text.data : "");
    text_free(&text);
    return status;
}

/* The images that are well must agree in dims and channels.  One row a value that was seen: how often, and where. */
struct variety {
    int value;
    int64_t count;
    const char *example[EXAMPLES];
};

static void count_value(struct variety *varieties, int *kinds, int value, const char *path) {
    int k = 0;
    while (k < *kinds && varieties[k].value != value) k++;
    if (k == VARIETIES) return;
    if (k == *kinds) varieties[(*kinds)++] = (struct variety){.value = value};
    if (varieties[k].count < EXAMPLES) varieties[k].example[varieties[k].count] = path;
    varieties[k].count++;
}

static cover_status judge_variety(const struct job *job, const struct variety *varieties, int kinds, const char *what,
                                  const char *remedy) {
    struct text text = {.context = job->context};
    if (kinds == 1) return COVER_OK;
    for (int k = 0; k < kinds; k++) {
        const struct variety *v = &varieties[k];
        text_add(&text, "\n  %s %d in %lld %s:", what, v->value, (long long)v->count,
                 v->count == 1 ? "image" : "images");
        for (int e = 0; e < EXAMPLES && e < v->count; e++) text_add(&text, "%s %s", e ? "," : "", v->example[e]);
        if (v->count > EXAMPLES) text_add(&text, ", ...");
    }
    fail(COVER_ERROR_SHAPE, "the images differ in %s; %s%s", what, remedy, text.data ? text.data : "");
    text_free(&text);
    return COVER_ERROR_SHAPE;
}

static cover_status judge_good(struct job *job) {
    struct variety dims[VARIETIES], channels[VARIETIES];
    int dims_kinds = 0, channels_kinds = 0, label_max = -1;
    job->good = memory_alloc(job->context, (size_t)job->plan.count * sizeof *job->good);
    if (!job->good) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < job->plan.count; i++) {
        struct spool_sample sample;
        if (!pack_spool_has(&job->spool, i)) continue;
        TRY(pack_spool_sample(&job->spool, i, &sample));
        job->good[job->good_count++] = i;
        job->label_count += sample.label_max >= 0;
        count_value(dims, &dims_kinds, sample.dims, job->plan.items[i].path);
        count_value(channels, &channels_kinds, sample.channels, job->plan.items[i].path);
        if (sample.label_max > label_max) label_max = sample.label_max;
    }
    TRY(judge_variety(job, dims, dims_kinds, "dims", "pack them apart, or ask for dims 2 or 3 with skip-bad:"));
    TRY(judge_variety(job, channels, channels_kinds, "channels",
                      "ask for channels grey or rgb to convert them, or pack them apart:"));
    job->dims = dims[0].value, job->channels = channels[0].value;
    if (label_max < 0)
        job->classes = job->plan.classes;
    else
        job->classes = job->plan.label_classes > label_max ? job->plan.label_classes : label_max + 1;
    return COVER_OK;
}

/* ---- writing */

static cover_status entry_of(void *user, int64_t index, struct dataset_entry *entry) {
    struct job *job = user;
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
    struct job *job = user;
    if (cancelled(job->context)) return fail(COVER_ERROR_CANCELLED, "%s: cancelled; resume goes on", job->output);
    return pack_spool_stored(&job->spool, job->good[index], label, bytes);
}

static void add_numbers(struct text *text, const char *name, const double *values, int count) {
    text_add(text, ", \"%s\": [", name);
    for (int i = 0; i < count; i++) text_add(text, "%s%.17g", i ? ", " : "", values[i]);
    text_add(text, "]");
}

/* How the file was made, as it is recorded in it. */
static void describe(const struct job *job, struct text *text) {
    const cover_pack_options *options = job->options;
    text_add(text, "{\"libcover\": \"%s\", \"format\": \"%d.%d\", \"dims\": %d, \"channels\": %d", cover_version(),
             DATASET_MAJOR, DATASET_MINOR, job->dims, job->channels);
    text_add(text, ", \"options\": {\"dims\": %d, \"channels\": %d, \"size\": [%lld, %lld, %lld]", options->dims,
             options->channels, (long long)options->size[0], (long long)options->size[1], (long long)options->size[2]);
    add_numbers(text, "spacing_mm", options->spacing_mm, 3);
    add_numbers(text, "window", options->window, 2);
    add_numbers(text, "percentile", options->percentile, 2);
    text_add(text, ", \"skip_bad\": %s, \"split\": ", options->skip_bad ? "true" : "false");
    if (options->split)
        text_add_json(text, options->split);
    else
        text_add(text, "null");
    text_add(text, "}, \"sources\": [%s], \"left_out\": %lld, \"class_names\": [", job->plan.layouts.data,
             (long long)job->bad_count);
    for (int c = 0; c < job->plan.classes; c++) {
        if (c) text_add(text, ", ");
        text_add_json(text, job->plan.class_names[c]);
    }
    text_add(text, "], \"label_names\": %s}", job->plan.label_names ? job->plan.label_names : "null");
}

/* The file beside the output that becomes it; one name, so that a killed pack leaves at most one behind. */
static cover_status begin_output(struct replacement *file, cover_context *context, const char *path) {
    const size_t length = strlen(path) + sizeof ".tmp-pack";
    *file = (struct replacement){.descriptor = -1};
    file->path = memory_text(context, path);
    file->temporary = memory_alloc(context, length);
    if (!file->path || !file->temporary) return COVER_ERROR_MEMORY;
    snprintf(file->temporary, length, "%s.tmp-pack", path);
    file->descriptor = open(file->temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return file->descriptor >= 0 ? COVER_OK : fail(COVER_ERROR_IO, "%s: cannot be written: %s", path, strerror(errno));
}

static cover_status write_output(struct job *job, struct dataset_directory *written, int64_t *bytes) {
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
                                            .about = json,
                                            .entry = entry_of,
                                            .stored = stored_of,
                                            .user = job,
                                            .progress = job->options->progress,
                                            .progress_user = job->options->user};
    GO(begin_output(&file, job->context, job->output));
    GO(dataset_write(job->context, file.descriptor, job->output, &content, written));
    *bytes = fstat(file.descriptor, &facts) == 0 ? (int64_t)facts.st_size : 0;
    GO(replacement_commit(&file, job->context));
done:
    replacement_abandon(&file, job->context);
    text_free(&about);
    memory_free(job->context, json);
    return status;
}

static cover_status summarise(const struct job *job, const struct dataset_directory *written, int64_t bytes,
                              double seconds, char **summary) {
    struct text text = {.context = job->context};
    char hash[SHA256_TEXT];
    sha256_text(written->hash, hash);
    text_add(&text, "{\"output\": ");
    text_add_json(&text, job->output);
    text_add(&text, ", \"samples\": %lld, \"labels\": %lld, \"dims\": %d, \"channels\": %d, \"classes\": %d",
             (long long)job->good_count, (long long)job->label_count, job->dims, job->channels, job->classes);
    text_add(&text, ", \"min_size\": [%lld, %lld, %lld], \"max_size\": [%lld, %lld, %lld]",
             (long long)written->min_size[0], (long long)written->min_size[1], (long long)written->min_size[2],
             (long long)written->max_size[0], (long long)written->max_size[1], (long long)written->max_size[2]);
    text_add(&text,
             ", \"skipped\": %lld, \"resumed\": %lld, \"bytes\": %lld, \"seconds\": %.3f, \"hash\": \"%s\", \"bad\": [",
             (long long)job->plan.ignored, (long long)job->spool.found, (long long)bytes, seconds, hash);
    for (int64_t i = 0; i < job->bad_count; i++) {
        text_add(&text, "%s{\"file\": ", i ? ", " : "");
        text_add_json(&text, job->plan.items[job->bad[i].item].path);
        text_add(&text, ", \"reason\": ");
        text_add_json(&text, job->bad[i].reason);
        text_add(&text, "}");
    }
    text_add(&text, "]}");
    return text_take(&text, summary);
}

static cover_status check_output(const char *output) {
    const size_t length = strlen(output);
    if (length == 0 || output[length - 1] == '/' || folder_exists(output))
        return fail(COVER_ERROR_ARGUMENT, "%s: is a folder, where the dataset file's name is needed",
                    length ? output : "''");
    return COVER_OK;
}

cover_status cover_pack(cover_context *context, const char *const *sources, int count, const char *output,
                        const cover_pack_options *given, char **summary) {
    if (!context || !sources || count < 1 || !output)
        return fail(COVER_ERROR_ARGUMENT, "pack: a context, at least one source and an output are needed");
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    TRY(options_read(&options, sizeof options, given, "pack options"));
    TRY(check_options(&options));
    TRY(check_output(output));
    const double begin = seconds_now();
    cover_status status = COVER_OK;
    struct job job = {.context = context,
                      .options = &options,
                      .output = output,
                      .spool = {.descriptor = -1},
                      .reasons = {.context = context}};
    struct dataset_directory written;
    int64_t bytes = 0;
    bool keep = false; /* the spool: only for a resume that will want it */
    pthread_mutex_init(&job.lock, NULL);
    GO(pack_plan_create(&job.plan, context, sources, count, options.split));
    uint8_t digest[SHA256_BYTES];
    hash_plan(&job, digest);
    GO(pack_spool_open(&job.spool, context, output, job.plan.count, digest, options.resume));
    keep = true;
    GO(read_all(&job));
    status = judge_bad(&job);
    if (status == COVER_OK) status = judge_good(&job);
    if (status != COVER_OK) {
        keep = status == COVER_ERROR_MEMORY;
        goto done;
    }
    GO(write_output(&job, &written, &bytes));
    keep = false;
    if (summary) status = summarise(&job, &written, bytes, seconds_now() - begin, summary);
done:
    if (job.spool.descriptor >= 0) pack_spool_close(&job.spool, keep);
    pack_plan_free(&job.plan);
    arena_free(&job.reasons);
    memory_free(context, job.bad);
    memory_free(context, job.good);
    pthread_mutex_destroy(&job.lock);
    return status;
}
