/* PyTorch files, torch.save() since 1.6 (a ZIP with NAME/data.pkl and NAME/data/KEY) and before (pickles, then
 * storages); torch/serialization.py states both.  Nothing is executed: see pickle.h.  Called through tensor_file.h. */
#include "pth.h"

#include <stdlib.h>
#include <string.h>

enum { PICKLE_BYTES_MAX = 1 << 24 }; /* a thousand tensors need about 200 kB */

/* ---- the form since PyTorch 1.6: a ZIP */

static cover_status read_entry(struct tensor_file *file, const struct zip_entry *entry, uint8_t **data) {
    struct pth *pth = file->state;
    *data = arena_alloc(&file->arena, entry->bytes);
    return *data ? zip_read(&pth->zip, file->context, entry, *data) : COVER_ERROR_MEMORY;
}

/* The entry "NAME/data.pkl"; *folder: "NAME/". */
static cover_status find_pickle(struct tensor_file *file, const struct zip_entry **found, const char **folder) {
    const struct pth *pth = file->state;
    for (int64_t i = 0; i < pth->zip.count; i++) {
        const char *name = pth->zip.entries[i].name, *slash = strchr(name, '/');
        if (!slash || strcmp(slash, "/data.pkl") != 0) continue;
        *found = &pth->zip.entries[i];
        *folder = arena_text(&file->arena, name, (size_t)(slash + 1 - name));
        return *folder ? COVER_OK : COVER_ERROR_MEMORY;
    }
    return fail(COVER_ERROR_FORMAT, "%s: a ZIP archive, but not one of torch.save(): it has no data.pkl", file->source.name);
}

static cover_status check_byte_order(struct tensor_file *file, const char *folder) {
    const struct pth *pth = file->state;
    uint8_t *order;
    char *name = arena_print(&file->arena, "%sbyteorder", folder);
    if (!name) return COVER_ERROR_MEMORY;
    const struct zip_entry *entry = zip_find(&pth->zip, name);
    if (!entry) return COVER_OK; /* before PyTorch 2.1 */
    if (entry->bytes > 16) return pth_damaged(file, "its byteorder is neither little nor big");
    TRY(read_entry(file, entry, &order));
    if (entry->bytes == 6 && memcmp(order, "little", 6) == 0) return COVER_OK;
    return fail(COVER_ERROR_UNSUPPORTED, "%s: its numbers are big-endian; save it again on a little-endian machine",
                file->source.name);
}

static cover_status place_in_zip(struct tensor_file *file, const char *folder) {
    struct pth *pth = file->state;
    for (int64_t i = 0; i < file->count; i++) {
        struct storage *storage = &pth->tensors[i].storage;
        char *name = arena_print(&file->arena, "%sdata/%s", folder, storage->key);
        if (!name) return COVER_ERROR_MEMORY;
        storage->entry = zip_find(&pth->zip, name);
        if (!storage->entry)
            return fail(COVER_ERROR_FORMAT, "%s: tensor %.200s: its storage %.64s is missing", file->source.name,
                        file->entries[i].name, storage->key);
        storage->bytes = storage->entry->bytes;
    }
    return COVER_OK;
}

static cover_status open_zip(struct tensor_file *file) {
    struct pth *pth = file->state;
    const struct zip_entry *entry;
    const char *folder;
    struct pickle pickle;
    uint8_t *data;
    TRY(zip_open(&pth->zip, &file->arena, &file->source));
    TRY(find_pickle(file, &entry, &folder));
    TRY(check_byte_order(file, folder));
    if (entry->bytes > PICKLE_BYTES_MAX)
        return fail(COVER_ERROR_UNSUPPORTED, "%s: its data.pkl has %llu bytes, but at most %d are taken", file->source.name,
                    (unsigned long long)entry->bytes, PICKLE_BYTES_MAX);
    TRY(read_entry(file, entry, &data));
    TRY(pickle_read(&pickle, &file->arena, file->source.name, pth_globals, data, entry->bytes));
    TRY(pth_collect(file, pickle.value));
    return place_in_zip(file, folder);
}

/* ---- the older form: magic number, version, system, value and storage keys as pickles, then the storages */

/* The magic number as pickles of protocol 2 and later have it: LONG1 of ten bytes, in front of it protocol and, since 4, a frame. */
static const uint8_t old_magic[] = {0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, '.'};
enum { PROTO = 0x80, FRAME = 0x95 };

static bool has_old_magic(const uint8_t *head, size_t bytes) {
    size_t at = 2;
    if (bytes < at || head[0] != PROTO) return false;
    if (bytes > at && head[at] == FRAME) at += 1 + sizeof(uint64_t);
    return bytes >= at + sizeof old_magic && memcmp(head + at, old_magic, sizeof old_magic) == 0;
}

/* Protocols 0 and 1 have it as digits. */
static bool has_magic_digits(const uint8_t *head, size_t bytes) {
    static const char digits[] = "L119547037146038801333356L\n.";
    return bytes >= sizeof digits - 1 && memcmp(head, digits, sizeof digits - 1) == 0;
}

static int by_key(const void *a, const void *b) {
    const struct storage *left = a, *right = b;
    return strcmp(left->key, right->key);
}

/* Every storage that the pickle refers to, once, by key: all must be known to step over them. */
static cover_status list_storages(struct tensor_file *file, const struct pickle *pickle, struct storage **list, size_t *count) {
    size_t all = 0, kept = 0;
    for (const struct pickle_value *at = pickle->persistent; at; at = at->object.next) all++;
    struct storage *storages = arena_alloc(&file->arena, all * sizeof *storages);
    if (!storages) return COVER_ERROR_MEMORY;
    all = 0;
    for (const struct pickle_value *at = pickle->persistent; at; at = at->object.next)
        TRY(pth_read_storage(file, &storages[all++], at, NULL));
    qsort(storages, all, sizeof *storages, by_key);
    for (size_t i = 0; i < all; i++)
        if (kept == 0 || by_key(&storages[kept - 1], &storages[i]) != 0) storages[kept++] = storages[i];
    *list = storages, *count = kept;
    return COVER_OK;
}

/* Each storage: its number of elements, 8 bytes, then the elements. */
static cover_status place_in_sequence(struct tensor_file *file, const struct pickle *pickle, const struct pickle_value *keys,
                                      uint64_t at) {
    struct pth *pth = file->state;
    struct storage *storages, *found;
    size_t count;
    TRY(list_storages(file, pickle, &storages, &count));
    for (size_t i = 0; pickle_item(keys, i); i++) {
        const struct pickle_value *key = pickle_item(keys, i);
        int64_t elements;
        if (key->kind != PICKLE_TEXT) return pth_damaged(file, "a storage key that is no text");
        found = bsearch(&(struct storage){.key = key->text.data}, storages, count, sizeof *storages, by_key);
        if (!found) return pth_damaged(file, "a storage that no tensor uses");
        TRY(source_read(&file->source, at, &elements, sizeof elements));
        if (elements != found->elements) return pth_damaged(file, "a storage of another size than described");
        found->offset = at + sizeof elements;
        found->bytes = (uint64_t)elements * (uint64_t)tensor_types[found->type].bytes;
        if ((uint64_t)elements > file->source.bytes || found->bytes > file->source.bytes - found->offset)
            return pth_damaged(file, "it ends within a storage");
        at = found->offset + found->bytes;
    }
    for (int64_t i = 0; i < file->count; i++) {
        struct storage *storage = &pth->tensors[i].storage;
        found = bsearch(storage, storages, count, sizeof *storages, by_key);
        if (!found || found->offset == 0) return pth_damaged(file, "the storage of a tensor is missing");
        storage->offset = found->offset, storage->bytes = found->bytes;
    }
    return COVER_OK;
}

static cover_status open_sequence(struct tensor_file *file) {
    enum { MAGIC, VERSION, SYSTEM, VALUE, KEYS, PICKLES };
    struct pickle pickles[PICKLES];
    size_t at = 0;
    size_t bytes = file->source.bytes < PICKLE_BYTES_MAX ? (size_t)file->source.bytes : PICKLE_BYTES_MAX;
    uint8_t *data = arena_alloc(&file->arena, bytes);
    if (!data) return COVER_ERROR_MEMORY;
    TRY(source_read(&file->source, 0, data, bytes));
    if (has_magic_digits(data, bytes))
        return fail(COVER_ERROR_UNSUPPORTED,
                    "%s: its pickles are of protocol 0 or 1; save it again with pickle_protocol=2 or higher", file->source.name);
    for (int i = 0; i < PICKLES; i++) {
        TRY(pickle_read(&pickles[i], &file->arena, file->source.name, pth_globals, data + at, bytes - at));
        at += pickles[i].used;
    }
    int64_t version;
    if (!pth_whole_number(pickles[VERSION].value, &version) || version != 1001)
        return fail(COVER_ERROR_UNSUPPORTED,
                    "%s: a form of PyTorch files that is not known; save it again with a newer "
                    "PyTorch",
                    file->source.name);
    const struct pickle_value *little = pickle_get(pickles[SYSTEM].value, "little_endian");
    if (!little || little->kind != PICKLE_BOOL || !little->integer)
        return fail(COVER_ERROR_UNSUPPORTED, "%s: its numbers are big-endian; save it again on a little-endian machine",
                    file->source.name);
    TRY(pth_collect(file, pickles[VALUE].value));
    return place_in_sequence(file, &pickles[VALUE], pickles[KEYS].value, at);
}

/* ---- the format's row */

static bool detect(const uint8_t *head, size_t bytes, const char *path) {
    (void)path;
    return (bytes >= 4 && memcmp(head, "PK\3\4", 4) == 0) || has_old_magic(head, bytes) || has_magic_digits(head, bytes);
}

static cover_status open_file(struct tensor_file *file) {
    uint8_t first = 0;
    struct pth *pth = file->state = arena_alloc(&file->arena, sizeof *pth);
    if (!pth) return COVER_ERROR_MEMORY;
    TRY(source_read(&file->source, 0, &first, 1));
    TRY(first == 'P' ? open_zip(file) : open_sequence(file));
    for (int64_t i = 0; i < file->count; i++) {
        const struct storage *storage = &pth->tensors[i].storage;
        int64_t bytes;
        if (!multiply(storage->elements, tensor_types[storage->type].bytes, &bytes) || (uint64_t)bytes > storage->bytes)
            return fail(COVER_ERROR_FORMAT, "%s: tensor %.200s: its storage should have %lld elements, but has %llu bytes",
                        file->source.name, file->entries[i].name, (long long)storage->elements, (unsigned long long)storage->bytes);
    }
    return COVER_OK;
}

static void release_storage(struct tensor_file *file) {
    struct pth *pth = file->state;
    if (pth) memory_free(file->context, pth->loaded), pth->loaded = NULL;
}

static cover_status load_storage(struct tensor_file *file, const struct storage *storage) {
    struct pth *pth = file->state;
    uint64_t at = storage->entry ? storage->entry->header : storage->offset;
    if (pth->loaded && pth->loaded_at == at) return COVER_OK;
    release_storage(file);
    void *data = memory_alloc(file->context, storage->bytes);
    if (!data) return COVER_ERROR_MEMORY;
    cover_status status = storage->entry ? zip_read(&pth->zip, file->context, storage->entry, data)
                                         : source_read(&file->source, storage->offset, data, storage->bytes);
    if (status != COVER_OK) {
        memory_free(file->context, data);
        return status;
    }
    pth->loaded = data, pth->loaded_at = at;
    return COVER_OK;
}

/* Elements in the order of the shape, from where the strides say; innermost axis last. */
static uint8_t *gather(uint8_t *out, const uint8_t *from, const struct tensor_entry *entry, const struct strided *tensor, int axis,
                       size_t width) {
    if (axis == entry->rank) return memcpy(out, from, width) + width;
    for (int64_t i = 0; i < entry->shape[axis]; i++)
        out = gather(out, from + (size_t)(i * tensor->stride[axis]) * width, entry, tensor, axis + 1, width);
    return out;
}

/* In place; of integers two's complement, as PyTorch does. */
static void negate(uint8_t *values, enum tensor_type type, int64_t count) {
    const bool real = type == TENSOR_F16 || type == TENSOR_BF16 || type == TENSOR_F32 || type == TENSOR_F64;
    const size_t width = (size_t)tensor_types[type].bytes;
    for (uint8_t *at = values; count > 0; count--, at += width) {
        uint64_t bits = 0;
        memcpy(&bits, at, width);
        bits = real ? bits ^ UINT64_C(1) << (8 * width - 1) : 0 - bits;
        memcpy(at, &bits, width);
    }
}

static cover_status read_tensor(struct tensor_file *file, const struct tensor_entry *entry, void *out) {
    struct pth *pth = file->state;
    const struct strided *tensor = &pth->tensors[entry->place];
    size_t width = (size_t)tensor_types[entry->type].bytes;
    if (entry->elements == 0) return COVER_OK;
    TRY(load_storage(file, &tensor->storage));
    const uint8_t *from = (const uint8_t *)pth->loaded + (size_t)tensor->offset * width;
    int64_t dense = 1;
    bool contiguous = true;
    for (int axis = entry->rank - 1; axis >= 0; dense *= entry->shape[axis--])
        contiguous = contiguous && (entry->shape[axis] == 1 || tensor->stride[axis] == dense);
    if (contiguous) memcpy(out, from, entry->bytes);
    else gather(out, from, entry, tensor, 0, width);
    if (tensor->negative) negate(out, entry->type, entry->elements);
    return COVER_OK;
}

const struct tensor_format pth_format = {"PyTorch", detect, open_file, read_tensor, release_storage};
