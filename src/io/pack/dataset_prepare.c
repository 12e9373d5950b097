/* A folder is packed once: beside the packed file lies a key, the hash of everything that the pack depended on (names,
 * sizes and times of all files, options) and the content hash of what came out.  Called by fine-tuning and evaluation.
 */

#include "core/base/descriptor.h"
#include "core/base/files.h"
#include "pack_job.h"

#include <stdio.h>
#include <string.h>

/* Two hashes in hexadecimal, a line each. */
enum { KEY_BYTES = 2 * SHA256_TEXT };

struct cache {
    cover_context *context;
    char *dataset, *key, *labels; /* paths; labels may be NULL */
    char now[SHA256_TEXT];        /* what a pack would depend on now */
};

static void write_key(char text[KEY_BYTES + 1], const char *plan, const char *content) {
    snprintf(text, KEY_BYTES + 1, "%.64s\n%.64s\n", plan, content);
}

/* The dataset of an earlier call, or NULL: whatever is wrong with it, it is packed again. */
static cover_status open_earlier(cover_dataset **dataset, const struct cache *cache) {
    cover_dataset_info info = COVER_DATASET_INFO_INIT;
    char wanted[KEY_BYTES + 1];
    uint8_t *key;
    size_t bytes;
    *dataset = NULL;
    if (!file_exists(cache->key) || !file_exists(cache->dataset)) return COVER_OK;
    cover_status status = file_read(cache->context, cache->key, KEY_BYTES, &key, &bytes);
    if (status != COVER_OK) return status == COVER_ERROR_MEMORY ? status : COVER_OK;
    status = cover_dataset_open(dataset, cache->context, cache->dataset);
    if (status == COVER_OK) {
        cover_dataset_get_info(&info, *dataset);
        write_key(wanted, cache->now, info.hash);
        if (bytes != KEY_BYTES || memcmp(key, wanted, KEY_BYTES) != 0) {
            cover_dataset_destroy(*dataset);
            *dataset = NULL;
        }
    }
    memory_free(cache->context, key);
    return status == COVER_ERROR_MEMORY ? status : COVER_OK;
}

static cover_status pack_now(cover_dataset **dataset, const struct cache *cache, const char *path, cover_pack_options *options) {
    cover_dataset_info info = COVER_DATASET_INFO_INIT;
    char key[KEY_BYTES + 1];
    log_line(cache->context, COVER_LOG_INFO, "%s: packing it into %s, once", path, cache->dataset);
    options->resume = 1;
    if (!pack_may_replace(cache->dataset)) path_remove(cache->dataset); /* damaged; the folder is ours */
    cover_status status = cover_dataset_pack(NULL, cache->context, &path, 1, cache->dataset, options);
    if (status == COVER_ERROR_MISMATCH) { /* what was interrupted was another pack */
        options->resume = 0;
        status = cover_dataset_pack(NULL, cache->context, &path, 1, cache->dataset, options);
    }
    TRY(status);
    TRY(cover_dataset_open(dataset, cache->context, cache->dataset));
    cover_dataset_get_info(&info, *dataset);
    write_key(key, cache->now, info.hash);
    status = file_replace(cache->context, cache->key, key, KEY_BYTES);
    if (status == COVER_OK) return status;
    cover_dataset_destroy(*dataset);
    return status;
}

/* What a pack would depend on now, and whether it would leave images out. */
static cover_status plan_key(char key[SHA256_TEXT], cover_context *context, const char *path, const cover_pack_options *options) {
    uint8_t digest[SHA256_BYTES + 1];
    TRY(pack_digest(context, &path, 1, options, digest));
    digest[SHA256_BYTES] = options->skip_bad != 0;
    sha256(digest, sizeof digest, digest);
    sha256_text(digest, key);
    return COVER_OK;
}

/* A folder's own labels.csv speaks of its images, unless a dataset.json does. */
static cover_status find_labels(struct cache *cache, const char *path) {
    if (!folder_exists(path)) return COVER_OK;
    char *description = path_join(cache->context, path, "dataset.json");
    if (!description) return COVER_ERROR_MEMORY;
    const bool described = file_exists(description);
    memory_free(cache->context, description);
    if (described) return COVER_OK;
    cache->labels = path_join(cache->context, path, "labels.csv");
    if (!cache->labels) return COVER_ERROR_MEMORY;
    if (file_exists(cache->labels)) return COVER_OK;
    memory_free(cache->context, cache->labels);
    cache->labels = NULL;
    return COVER_OK;
}

cover_status cover_dataset_prepare(cover_dataset **out, cover_context *context, const char *path, const char *cache_folder,
                                   const cover_pack_options *given) {
    if (!out || !context || !path || !cache_folder)
        return fail(COVER_ERROR_ARGUMENT, "dataset: a context, a path and a folder for what is packed are needed");
    if (!folder_exists(path) && !has_suffix(path, ".json") && !image_format_of(path)) return cover_dataset_open(out, context, path);
    cover_status status;
    struct cache cache = {.context = context};
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    cover_dataset *dataset = NULL;
    TRY(options_read(&options, sizeof options, given, "pack options"));
    options.resume = 0;
    GO(folder_create(cache_folder));
    cache.dataset = path_join(context, cache_folder, "dataset.h5");
    cache.key = path_join(context, cache_folder, "dataset.key");
    GO(cache.dataset && cache.key ? COVER_OK : COVER_ERROR_MEMORY);
    if (!options.labels) GO(find_labels(&cache, path));
    if (cache.labels) options.labels = cache.labels;
    GO(plan_key(cache.now, context, path, &options));
    GO(open_earlier(&dataset, &cache));
    if (!dataset) GO(pack_now(&dataset, &cache, path, &options));
    *out = dataset;
done:
    memory_free(context, cache.dataset);
    memory_free(context, cache.key);
    memory_free(context, cache.labels);
    return status;
}
