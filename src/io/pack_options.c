/* Options of pack: their ranges, and the hash by which a resume knows that it does the same work.
 * Called by pack.c. */
#include "pack_job.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

cover_status pack_options_check(const cover_pack_options *options) {
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

/* Texts with their ends; NULL differs from every text. */
static void hash_text(struct sha256 *hash, const char *text) {
    sha256_add(hash, text ? text : "\x01", strlen(text ? text : "\x01") + 1);
}

/* A file by its path, length and time. */
static void hash_file(struct sha256 *hash, const char *path) {
    struct stat about = {0};
    hash_text(hash, path);
    if (!path || stat(path, &about) != 0) return;
    const int64_t facts[] = {about.st_size, about.st_mtim.tv_sec, about.st_mtim.tv_nsec};
    sha256_add(hash, facts, sizeof facts);
}

void pack_plan_hash(const struct pack_job *job, uint8_t digest[SHA256_BYTES]) {
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
