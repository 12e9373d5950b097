/* The hash of tensors and metadata, written and compared.  See tensor_hash.h. */
#include "tensor_hash.h"

#include <stdlib.h>
#include <string.h>

enum { EACH_DIGITS = 8 }; /* of a tensor's digest: enough to say which one is damaged */

/* Of everything; and of each tensor, in the order of their names. */
static const char *const keys[TENSOR_HASH_PAIRS] = {"sha256", "sha256_tensors"};

bool tensor_hash_owns(const char *key) { return strcmp(key, keys[0]) == 0 || strcmp(key, keys[1]) == 0; }

static int by_name(const void *a, const void *b) {
    const struct hashed_tensor *left = a, *right = b;
    return strcmp(left->name, right->name);
}

static int by_key(const void *a, const void *b) {
    const struct tensor_pair *left = a, *right = b;
    return strcmp(left->key, right->key);
}

/* With the zero behind it, so that where a text ends is part of the hash. */
static void add_text(struct sha256 *hash, const char *text) { sha256_add(hash, text, strlen(text) + 1); }

static void add_tensor(struct sha256 *hash, const struct hashed_tensor *tensor) {
    add_text(hash, tensor->name);
    add_text(hash, tensor_types[tensor->type].name);
    for (int axis = 0; axis < tensor->rank; axis++) {
        uint8_t size[8]; /* little-endian, as in the file */
        memcpy(size, &tensor->shape[axis], sizeof size);
        sha256_add(hash, size, sizeof size);
    }
    sha256_add(hash, tensor->digest, sizeof tensor->digest);
}

cover_status tensor_hash_pairs(struct tensor_pair pairs[TENSOR_HASH_PAIRS], struct arena *arena, struct hashed_tensor *tensors,
                               int64_t count, const struct tensor_pair *metadata, int64_t metadata_count) {
    struct sha256 hash;
    uint8_t digest[SHA256_BYTES];
    struct tensor_pair *others = arena_alloc(arena, (size_t)(metadata_count + 1) * sizeof *others);
    char *all = arena_alloc(arena, SHA256_TEXT), *each = arena_alloc(arena, (size_t)count * EACH_DIGITS + SHA256_TEXT);
    int64_t used = 0;
    if (!others || !all || !each) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < metadata_count; i++)
        if (!tensor_hash_owns(metadata[i].key)) others[used++] = metadata[i];
    qsort(others, (size_t)used, sizeof *others, by_key);
    if (count) qsort(tensors, (size_t)count, sizeof *tensors, by_name);
    sha256_begin(&hash);
    for (int64_t i = 0; i < used; i++) add_text(&hash, others[i].key), add_text(&hash, others[i].value);
    for (int64_t i = 0; i < count; i++) {
        add_tensor(&hash, &tensors[i]);
        sha256_text(tensors[i].digest, each + i * EACH_DIGITS); /* the next one overwrites all but the first digits */
    }
    each[count * EACH_DIGITS] = 0;
    sha256_end(&hash, digest);
    sha256_text(digest, all);
    pairs[0] = (struct tensor_pair){keys[0], all}, pairs[1] = (struct tensor_pair){keys[1], each};
    return COVER_OK;
}

/* ---- comparing */

static cover_status hash_values(struct tensor_file *file, struct hashed_tensor *tensors) {
    cover_status status = COVER_OK;
    uint64_t most = 1;
    for (int64_t i = 0; i < file->count; i++)
        if (file->entries[i].bytes > most) most = file->entries[i].bytes;
    void *values = memory_alloc(file->context, most);
    if (!values) return fail_in(COVER_ERROR_MEMORY, "%s", file->source.name);
    for (int64_t i = 0; i < file->count && status == COVER_OK; i++) {
        const struct tensor_entry *entry = &file->entries[i];
        tensors[i] = (struct hashed_tensor){.name = entry->name, .type = entry->type, .rank = entry->rank, .shape = entry->shape};
        status = tensor_read(file, entry, values);
        if (status == COVER_OK) sha256(values, entry->bytes, tensors[i].digest);
    }
    memory_free(file->context, values);
    return status;
}

/* What differs, as far as the digits of each tensor tell. */
static cover_status say_damage(const struct tensor_file *file, const struct hashed_tensor *tensors, const char *each) {
    static const char advice[] = "the file is damaged, or was changed by a program that kept sha256 in its metadata";
    const char *written = tensor_file_metadata(file, keys[1]);
    const size_t digits = (size_t)file->count * EACH_DIGITS;
    int64_t bad = 0, first = -1;
    if (written && strlen(written) == digits)
        for (int64_t i = file->count - 1; i >= 0; i--)
            if (memcmp(written + i * EACH_DIGITS, each + i * EACH_DIGITS, EACH_DIGITS) != 0) bad++, first = i;
    if (first < 0)
        return fail(COVER_ERROR_FORMAT, "%s: its names, shapes, metadata or their hash are not those that were written; %s",
                    file->source.name, advice);
    return fail(COVER_ERROR_FORMAT, "%s: the values of %lld of %lld tensors are not those that were written, first %s; %s",
                file->source.name, (long long)bad, (long long)file->count, tensors[first].name, advice);
}

cover_status tensor_hash_verify(struct tensor_file *file, bool *present) {
    const char *written = tensor_file_metadata(file, keys[0]), *each = tensor_file_metadata(file, keys[1]);
    struct tensor_pair pairs[TENSOR_HASH_PAIRS];
    if (present) *present = written || each;
    if (!written && !each) return COVER_OK;
    struct hashed_tensor *tensors = arena_alloc(&file->arena, (size_t)file->count * sizeof *tensors);
    if (!tensors) return COVER_ERROR_MEMORY;
    TRY(hash_values(file, tensors));
    TRY(tensor_hash_pairs(pairs, &file->arena, tensors, file->count, file->metadata, file->metadata_count));
    const bool same = written && each && strcmp(pairs[0].value, written) == 0 && strcmp(pairs[1].value, each) == 0;
    return same ? COVER_OK : say_damage(file, tensors, pairs[1].value);
}
