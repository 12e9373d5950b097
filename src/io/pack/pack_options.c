/* The hash by which a resume of pack knows that it does the same work.  Called by pack.c. */
#include "pack_job.h"

#include <string.h>
#include <sys/stat.h>

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
    struct sha256 hash;
    sha256_begin(&hash);
    hash_text(&hash, cover_version());
    const int32_t format[] = {DATASET_MAJOR, DATASET_MINOR};
    sha256_add(&hash, format, sizeof format);
    sha256_add(&hash, &job->rules, sizeof job->rules); /* no padding: checked in the header */
    hash_text(&hash, job->plan.label_names);
    hash_text(&hash, job->plan.layouts.data);
    const int32_t classes[] = {job->plan.classes, job->plan.multilabel, job->options->number_labels != 0};
    sha256_add(&hash, classes, sizeof classes);
    for (int c = 0; c < job->plan.classes; c++) hash_text(&hash, job->plan.class_names[c]);
    for (int64_t i = 0; i < job->plan.count; i++) {
        const struct pack_item *item = &job->plan.items[i];
        const char *const texts[] = {item->name, item->class_name, item->patient, item->unusable};
        for (int t = 0; t < 4; t++) hash_text(&hash, texts[t]);
        for (int f = 0; f < item->file_count; f++) hash_file(&hash, item->files[f]);
        if (item->volume) pack_dicom_hash(&hash, &job->plan, item);
        hash_file(&hash, item->label);
        sha256_add(&hash, &item->class_set, sizeof item->class_set);
        const int32_t facts[] = {(int32_t)item->split, item->channels, item->label_classes};
        sha256_add(&hash, facts, sizeof facts);
    }
    sha256_end(&hash, digest);
}
