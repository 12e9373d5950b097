/* PyTorch files, torch.save() since 1.6 (a ZIP with NAME/data.pkl and NAME/data/KEY) and before (pickles, then
 * storages); torch/serialization.py states both.  Nothing is executed: see pickle.h.  Called through tensor_file.h. */
#include "io/bytes/zip.h"
#include "pickle.h"
#include "tensor_file.h"

#include <stdlib.h>
#include <string.h>

enum {
    PICKLE_BYTES_MAX = 1 << 24, /* a thousand tensors need about 200 kB */
    DEPTH_MAX = 16,
    EXPANDED_MAX = 1 << 20 /* elements of a tensor that repeats its storage */
};

/* ---- what a file may name: tensors and their parts, and plain data that comes along in checkpoints */

enum role { ROLE_DATA, ROLE_STORAGE, ROLE_DTYPE, ROLE_TENSOR, ROLE_PARAMETER };
enum { UNTYPED = -1 };

#define STORAGE(name, type)                                                                                                        \
    {"torch", name, .role = ROLE_STORAGE, .detail = type}, { "torch.cuda", name, .role = ROLE_STORAGE, .detail = type }
#define DTYPE(name, type)                                                                                                          \
    { "torch", name, .role = ROLE_DTYPE, .detail = type }
static const struct pickle_global globals[] = {
    {"torch._utils", "_rebuild_tensor", .role = ROLE_TENSOR},
    {"torch._utils", "_rebuild_tensor_v2", .role = ROLE_TENSOR},
    {"torch._utils", "_rebuild_tensor_v3", .role = ROLE_TENSOR},
    {"torch._utils", "_rebuild_parameter", .role = ROLE_PARAMETER},
    {"torch._utils", "_rebuild_parameter_with_state", .role = ROLE_PARAMETER},
    STORAGE("FloatStorage", TENSOR_F32),
    STORAGE("DoubleStorage", TENSOR_F64),
    STORAGE("HalfStorage", TENSOR_F16),
    STORAGE("BFloat16Storage", TENSOR_BF16),
    STORAGE("LongStorage", TENSOR_I64),
    STORAGE("IntStorage", TENSOR_I32),
    STORAGE("ShortStorage", TENSOR_I16),
    STORAGE("CharStorage", TENSOR_I8),
    STORAGE("ByteStorage", TENSOR_U8),
    STORAGE("BoolStorage", TENSOR_BOOL),
    {"torch.storage", "UntypedStorage", .role = ROLE_STORAGE, .detail = UNTYPED},
    DTYPE("float32", TENSOR_F32),
    DTYPE("float64", TENSOR_F64),
    DTYPE("float16", TENSOR_F16),
    DTYPE("bfloat16", TENSOR_BF16),
    DTYPE("int64", TENSOR_I64),
    DTYPE("int32", TENSOR_I32),
    DTYPE("int16", TENSOR_I16),
    DTYPE("int8", TENSOR_I8),
    DTYPE("uint8", TENSOR_U8),
    DTYPE("uint16", TENSOR_U16),
    DTYPE("uint32", TENSOR_U32),
    DTYPE("uint64", TENSOR_U64),
    DTYPE("bool", TENSOR_BOOL),
    {"collections", "OrderedDict", .mapping = true},
    {"collections", "defaultdict", .mapping = true},
    {"collections", "Counter", .mapping = true},
    {"torch", "Size"},
    {"torch", "device"},
    {"argparse", "Namespace"},
    {"pathlib", "PosixPath"},
    {"pathlib", "PurePosixPath"},
    {"pathlib", "WindowsPath"},
    {"numpy", "dtype"},
    {"numpy", "ndarray"},
    {"numpy.core.multiarray", "scalar"},
    {"numpy._core.multiarray", "scalar"},
    {"numpy.core.multiarray", "_reconstruct"},
    {"numpy._core.multiarray", "_reconstruct"},
    {"_codecs", "encode"},
    {"builtins", "set"},
    {"builtins", "frozenset"},
    {"builtins", "complex"},
    {"builtins", "slice"},
    {"builtins", "dict"},
    {"builtins", "list"},
    {"builtins", "int"},
    {"builtins", "float"},
    {"__builtin__", "set"},
    {"__builtin__", "frozenset"},
    {"__builtin__", "dict"},
    {"__builtin__", "list"},
    {NULL, NULL},
};

/* Where the tensors of interest are kept in a checkpoint, most telling first. */
static const char *const wrappers[] = {"state_dict", "model_state_dict", "model_state", "model",
                                       "net",        "network",          "module",      "weights"};

struct storage {
    const char *key;
    enum tensor_type type;
    int64_t elements;              /* as the pickle says */
    uint64_t bytes;                /* as the file has */
    const struct zip_entry *entry; /* NULL in the old form: */
    uint64_t offset;
};
struct strided { /* one tensor, beside its entry */
    struct storage storage;
    int64_t offset, stride[TENSOR_RANK_MAX];
};
struct pth {
    struct zip zip;
    struct strided *tensors;
    int64_t capacity;
    void *loaded; /* the last storage read: neighbours often share one */
    uint64_t loaded_at;
};

static cover_status damaged(const struct tensor_file *file, const char *what) {
    return fail(COVER_ERROR_FORMAT, "%s: a damaged PyTorch file: %s", file->source.name, what);
}

/* ---- from values to tensors */

static int role_of(const struct pickle_value *value, enum pickle_kind kind) {
    return value && value->kind == kind ? value->object.global->role : -1;
}

static bool whole_number(const struct pickle_value *value, int64_t *number) {
    if (!value || value->kind != PICKLE_INTEGER || value->integer < 0) return false;
    *number = value->integer;
    return true;
}

/* ('storage', torch.FloatStorage, key, location, elements[, view]); dtype: of _rebuild_tensor_v3, else NULL. */
static cover_status read_storage(const struct tensor_file *file, struct storage *storage, const struct pickle_value *reference,
                                 const struct pickle_value *dtype) {
    if (!reference || reference->kind != PICKLE_PERSISTENT) return damaged(file, "a tensor without a storage");
    const struct pickle_value *tuple = reference->object.argument, *class = pickle_item(tuple, 1), *key = pickle_item(tuple, 2),
                              *view = pickle_item(tuple, 5);
    if (!pickle_is_text(pickle_item(tuple, 0), "storage") || role_of(class, PICKLE_GLOBAL) != ROLE_STORAGE || !key ||
        key->kind != PICKLE_TEXT || !whole_number(pickle_item(tuple, 4), &storage->elements))
        return damaged(file, "a storage that is not described as PyTorch does");
    if (view && view->kind != PICKLE_NONE)
        return fail(COVER_ERROR_UNSUPPORTED,
                    "%s: storages that are views of others (PyTorch before 0.4); save it again with "
                    "a newer PyTorch",
                    file->source.name);
    int type = class->object.global->detail;
    storage->key = key->text.data;
    if (type == UNTYPED) {
        if (role_of(dtype, PICKLE_GLOBAL) != ROLE_DTYPE) return damaged(file, "an untyped storage without a dtype");
        type = dtype->object.global->detail;
        storage->elements /= tensor_types[type].bytes;
    }
    storage->type = (enum tensor_type)type;
    return COVER_OK;
}

/* The largest element that shape and strides reach must lie in the storage. */
static cover_status check_reach(const struct tensor_file *file, const struct tensor_entry *entry, const struct strided *tensor) {
    int64_t last = tensor->offset, step;
    for (int axis = 0; axis < entry->rank && entry->elements > 0; axis++)
        if (!multiply(entry->shape[axis] - 1, tensor->stride[axis], &step) || __builtin_add_overflow(last, step, &last))
            last = INT64_MAX;
    if (entry->elements > 0 && last >= tensor->storage.elements)
        return fail(COVER_ERROR_FORMAT, "%s: tensor %.200s reaches beyond its storage of %lld elements", file->source.name,
                    entry->name, (long long)tensor->storage.elements);
    if (entry->elements > tensor->storage.elements && entry->elements > EXPANDED_MAX)
        return fail(COVER_ERROR_UNSUPPORTED, "%s: tensor %.200s repeats its storage (stride 0); save it after .contiguous()",
                    file->source.name, entry->name);
    return COVER_OK;
}

static cover_status grow(struct tensor_file *file) {
    struct pth *pth = file->state;
    if (file->count < pth->capacity) return COVER_OK;
    int64_t capacity = pth->capacity ? 2 * pth->capacity : 128;
    struct tensor_entry *entries = arena_alloc(&file->arena, (size_t)capacity * sizeof *entries);
    struct strided *tensors = arena_alloc(&file->arena, (size_t)capacity * sizeof *tensors);
    if (!entries || !tensors) return COVER_ERROR_MEMORY;
    if (file->count) {
        memcpy(entries, file->entries, (size_t)file->count * sizeof *entries);
        memcpy(tensors, pth->tensors, (size_t)file->count * sizeof *tensors);
    }
    file->entries = entries, pth->tensors = tensors, pth->capacity = capacity;
    return COVER_OK;
}

/* _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks); v3 has a dtype at 6. */
static cover_status add_tensor(struct tensor_file *file, const char *name, const struct pickle_value *object) {
    TRY(grow(file));
    struct pth *pth = file->state;
    struct tensor_entry *entry = &file->entries[file->count];
    struct strided *tensor = &pth->tensors[file->count];
    const struct pickle_value *arguments = object->object.argument, *size = pickle_item(arguments, 2),
                              *stride = pickle_item(arguments, 3), *dtype = pickle_item(arguments, 6);
    *entry = (struct tensor_entry){.name = name, .place = (uint64_t)file->count};
    *tensor = (struct strided){0};
    TRY(read_storage(file, &tensor->storage, pickle_item(arguments, 0), dtype));
    entry->type = tensor->storage.type;
    if (!whole_number(pickle_item(arguments, 1), &tensor->offset) || !size || !stride || size->kind != PICKLE_TUPLE ||
        stride->kind != PICKLE_TUPLE || size->sequence.count != stride->sequence.count)
        return damaged(file, "a tensor that is not described as PyTorch does");
    if (size->sequence.count > TENSOR_RANK_MAX)
        return fail(COVER_ERROR_UNSUPPORTED, "%s: tensor %.200s: %zu axes, but at most %d are taken", file->source.name, name,
                    size->sequence.count, TENSOR_RANK_MAX);
    entry->rank = (int)size->sequence.count;
    for (int axis = 0; axis < entry->rank; axis++)
        if (!whole_number(pickle_item(size, (size_t)axis), &entry->shape[axis]) ||
            !whole_number(pickle_item(stride, (size_t)axis), &tensor->stride[axis]))
            return damaged(file, "a tensor with a size or stride that is no whole number >= 0");
    TRY(tensor_entry_measure(entry, file->source.name));
    TRY(check_reach(file, entry, tensor));
    file->count++;
    return COVER_OK;
}

/* The name of an item of a mapping, "prefix.key". */
static cover_status item_name(struct tensor_file *file, const char **name, const char *prefix, const struct pickle_value *key) {
    const char *dot = *prefix ? "." : "";
    if (key->kind == PICKLE_INTEGER) {
        *name = arena_print(&file->arena, "%s%s%lld", prefix, dot, (long long)key->integer);
    } else {
        if (strlen(prefix) + key->text.length > TENSOR_NAME_MAX || strlen(key->text.data) != key->text.length)
            return damaged(file, "a name that is too long or holds a zero byte");
        *name = arena_print(&file->arena, "%s%s%s", prefix, dot, key->text.data);
    }
    return *name ? COVER_OK : COVER_ERROR_MEMORY;
}

/* Every tensor below a mapping; what is no tensor is passed over. */
static cover_status collect(struct tensor_file *file, struct pickle_value *mapping, const char *prefix, int depth) {
    if (mapping->visited || depth > DEPTH_MAX) return COVER_OK;
    mapping->visited = true;
    for (size_t i = 0; i + 1 < mapping->sequence.count; i += 2) {
        const struct pickle_value *key = mapping->sequence.items[i];
        struct pickle_value *value = mapping->sequence.items[i + 1];
        const char *name;
        if (role_of(value, PICKLE_OBJECT) == ROLE_PARAMETER) value = pickle_item(value->object.argument, 0);
        bool is_tensor = role_of(value, PICKLE_OBJECT) == ROLE_TENSOR;
        if (!is_tensor && (!value || value->kind != PICKLE_MAPPING)) continue;
        if (key->kind != PICKLE_TEXT && key->kind != PICKLE_INTEGER) continue;
        TRY(item_name(file, &name, prefix, key));
        if (is_tensor) TRY(add_tensor(file, name, value));
        else TRY(collect(file, value, name, depth + 1));
    }
    return COVER_OK;
}

static cover_status collect_weights(struct tensor_file *file, struct pickle_value *value) {
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++) {
        struct pickle_value *inner = pickle_get(value, wrappers[i]);
        if (!inner || inner->kind != PICKLE_MAPPING || inner->visited) continue;
        value->visited = true; /* a mapping that wraps itself must end */
        value = inner;
        i = (size_t)-1;
    }
    if (value->kind == PICKLE_MAPPING) {
        value->visited = false;
        TRY(collect(file, value, "", 0));
    }
    if (file->count > 0) return COVER_OK;
    return fail(COVER_ERROR_FORMAT, "%s: no tensors in it; a file of torch.save(model.state_dict(), FILE) is expected",
                file->source.name);
}

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
    if (entry->bytes > 16) return damaged(file, "its byteorder is neither little nor big");
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
    TRY(pickle_read(&pickle, &file->arena, file->source.name, globals, data, entry->bytes));
    TRY(collect_weights(file, pickle.value));
    return place_in_zip(file, folder);
}

/* ---- the older form: magic number, version, system, value and storage keys as pickles, then the storages */

static const uint8_t old_magic[] = {0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, '.'};

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
        TRY(read_storage(file, &storages[all++], at, NULL));
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
        if (key->kind != PICKLE_TEXT) return damaged(file, "a storage key that is no text");
        found = bsearch(&(struct storage){.key = key->text.data}, storages, count, sizeof *storages, by_key);
        if (!found) return damaged(file, "a storage that no tensor uses");
        TRY(source_read(&file->source, at, &elements, sizeof elements));
        if (elements != found->elements) return damaged(file, "a storage of another size than described");
        found->offset = at + sizeof elements;
        found->bytes = (uint64_t)elements * (uint64_t)tensor_types[found->type].bytes;
        if ((uint64_t)elements > file->source.bytes || found->bytes > file->source.bytes - found->offset)
            return damaged(file, "it ends within a storage");
        at = found->offset + found->bytes;
    }
    for (int64_t i = 0; i < file->count; i++) {
        struct storage *storage = &pth->tensors[i].storage;
        found = bsearch(storage, storages, count, sizeof *storages, by_key);
        if (!found || found->offset == 0) return damaged(file, "the storage of a tensor is missing");
        storage->offset = found->offset, storage->bytes = found->bytes;
    }
    return COVER_OK;
}

static cover_status open_sequence(struct tensor_file *file) {
    enum { VERSION, SYSTEM, VALUE, KEYS, PICKLES };
    struct pickle pickles[PICKLES];
    size_t at = sizeof old_magic;
    size_t bytes = file->source.bytes < PICKLE_BYTES_MAX ? (size_t)file->source.bytes : PICKLE_BYTES_MAX;
    uint8_t *data = arena_alloc(&file->arena, bytes);
    if (!data) return COVER_ERROR_MEMORY;
    TRY(source_read(&file->source, 0, data, bytes));
    for (int i = 0; i < PICKLES; i++) {
        TRY(pickle_read(&pickles[i], &file->arena, file->source.name, globals, data + at, bytes - at));
        at += pickles[i].used;
    }
    int64_t version;
    if (!whole_number(pickles[VERSION].value, &version) || version != 1001)
        return fail(COVER_ERROR_UNSUPPORTED,
                    "%s: a form of PyTorch files that is not known; save it again with a newer "
                    "PyTorch",
                    file->source.name);
    const struct pickle_value *little = pickle_get(pickles[SYSTEM].value, "little_endian");
    if (!little || little->kind != PICKLE_BOOL || !little->integer)
        return fail(COVER_ERROR_UNSUPPORTED, "%s: its numbers are big-endian; save it again on a little-endian machine",
                    file->source.name);
    TRY(collect_weights(file, pickles[VALUE].value));
    return place_in_sequence(file, &pickles[VALUE], pickles[KEYS].value, at);
}

/* ---- the format's row */

static bool detect(const uint8_t *head, size_t bytes, const char *path) {
    (void)path;
    return (bytes >= 4 && memcmp(head, "PK\3\4", 4) == 0) ||
           (bytes >= sizeof old_magic && memcmp(head, old_magic, sizeof old_magic) == 0);
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
    return COVER_OK;
}

const struct tensor_format pth_format = {"PyTorch", detect, open_file, read_tensor, release_storage};
