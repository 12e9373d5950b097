/* From what a pickle says to tensors: which of its values are weights, and where in which storage each lies (PyTorch's torch._utils says how
 * tensors are rebuilt).  Called by pth.c. */
#include "pth.h"

#include <string.h>

enum {
    DEPTH_MAX = 16,
    EXPANDED_MAX = 1 << 20 /* elements of a tensor that repeats its storage */
};

/* ---- what a file may name: tensors and their parts, and plain data that comes along in checkpoints */

enum role { ROLE_DATA, ROLE_STORAGE, ROLE_DTYPE, ROLE_TENSOR, ROLE_PARAMETER };
enum { UNTYPED = -1 };
/* Which argument of a tensor's callable says what is still to be done to its values; _rebuild_tensor_v3 has the dtype before it. */
enum { NO_METADATA = -1, METADATA_V2 = 6, METADATA_V3 = 7 };

#define STORAGE(name, type)                                                                                                        \
    {"torch", name, .role = ROLE_STORAGE, .detail = type}, { "torch.cuda", name, .role = ROLE_STORAGE, .detail = type }
#define DTYPE(name, type)                                                                                                          \
    { "torch", name, .role = ROLE_DTYPE, .detail = type }
const struct pickle_global pth_globals[] = {
    {"torch._utils", "_rebuild_tensor", .role = ROLE_TENSOR, .detail = NO_METADATA},
    {"torch._utils", "_rebuild_tensor_v2", .role = ROLE_TENSOR, .detail = METADATA_V2},
    {"torch._utils", "_rebuild_tensor_v3", .role = ROLE_TENSOR, .detail = METADATA_V3},
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

cover_status pth_damaged(const struct tensor_file *file, const char *what) {
    return fail(COVER_ERROR_FORMAT, "%s: a damaged PyTorch file: %s", file->source.name, what);
}

/* ---- from values to tensors */

static int role_of(const struct pickle_value *value, enum pickle_kind kind) {
    return value && value->kind == kind ? value->object.global->role : -1;
}

bool pth_whole_number(const struct pickle_value *value, int64_t *number) {
    if (!value || value->kind != PICKLE_INTEGER || value->integer < 0) return false;
    *number = value->integer;
    return true;
}

cover_status pth_read_storage(const struct tensor_file *file, struct storage *storage, const struct pickle_value *reference,
                              const struct pickle_value *dtype) {
    if (!reference || reference->kind != PICKLE_PERSISTENT) return pth_damaged(file, "a tensor without a storage");
    const struct pickle_value *tuple = reference->object.argument, *class = pickle_item(tuple, 1), *key = pickle_item(tuple, 2),
                              *view = pickle_item(tuple, 5);
    if (!pickle_is_text(pickle_item(tuple, 0), "storage") || role_of(class, PICKLE_GLOBAL) != ROLE_STORAGE || !key ||
        key->kind != PICKLE_TEXT || !pth_whole_number(pickle_item(tuple, 4), &storage->elements))
        return pth_damaged(file, "a storage that is not described as PyTorch does");
    if (view && view->kind != PICKLE_NONE)
        return fail(COVER_ERROR_UNSUPPORTED,
                    "%s: storages that are views of others (PyTorch before 0.4); save it again with "
                    "a newer PyTorch",
                    file->source.name);
    int type = class->object.global->detail;
    storage->key = key->text.data;
    if (type == UNTYPED) {
        if (role_of(dtype, PICKLE_GLOBAL) != ROLE_DTYPE) return pth_damaged(file, "an untyped storage without a dtype");
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

static bool is_true(const struct pickle_value *value) { return value->kind == PICKLE_BOOL && value->integer; }

/* {'neg': True}: the values are the negative of what is stored.  Whatever else is to be done to them is not done here. */
static cover_status read_metadata(const struct tensor_file *file, const char *name, struct strided *tensor,
                                  const struct pickle_value *metadata) {
    if (!metadata || metadata->kind == PICKLE_NONE) return COVER_OK;
    if (metadata->kind != PICKLE_MAPPING) return pth_damaged(file, "a tensor that is not described as PyTorch does");
    for (size_t i = 0; i + 1 < metadata->sequence.count; i += 2) {
        const struct pickle_value *key = metadata->sequence.items[i], *value = metadata->sequence.items[i + 1];
        bool negative = pickle_is_text(key, "neg");
        if (negative) tensor->negative = is_true(value);
        else if (is_true(value) || value->kind != PICKLE_BOOL)
            return fail(COVER_ERROR_UNSUPPORTED, "%s: tensor %.200s is a lazy view (%s) of what is stored; save it after .clone()",
                        file->source.name, name, pickle_is_text(key, "conj") ? "conj" : "of a kind not known here");
    }
    if (tensor->negative && tensor->storage.type == TENSOR_BOOL) return pth_damaged(file, "the negative of true and false");
    return COVER_OK;
}

/* _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks, metadata); v3 has a dtype before the metadata. */
static cover_status add_tensor(struct tensor_file *file, const char *name, const struct pickle_value *object) {
    TRY(grow(file));
    struct pth *pth = file->state;
    struct tensor_entry *entry = &file->entries[file->count];
    struct strided *tensor = &pth->tensors[file->count];
    const int metadata = object->object.global->detail;
    const struct pickle_value *arguments = object->object.argument, *size = pickle_item(arguments, 2),
                              *stride = pickle_item(arguments, 3),
                              *dtype = metadata == METADATA_V3 ? pickle_item(arguments, METADATA_V3 - 1) : NULL;
    *entry = (struct tensor_entry){.name = name, .place = (uint64_t)file->count};
    *tensor = (struct strided){0};
    TRY(pth_read_storage(file, &tensor->storage, pickle_item(arguments, 0), dtype));
    entry->type = tensor->storage.type;
    if (!pth_whole_number(pickle_item(arguments, 1), &tensor->offset) || !size || !stride || size->kind != PICKLE_TUPLE ||
        stride->kind != PICKLE_TUPLE || size->sequence.count != stride->sequence.count)
        return pth_damaged(file, "a tensor that is not described as PyTorch does");
    if (size->sequence.count > TENSOR_RANK_MAX)
        return fail(COVER_ERROR_UNSUPPORTED, "%s: tensor %.200s: %zu axes, but at most %d are taken", file->source.name, name,
                    size->sequence.count, TENSOR_RANK_MAX);
    entry->rank = (int)size->sequence.count;
    for (int axis = 0; axis < entry->rank; axis++)
        if (!pth_whole_number(pickle_item(size, (size_t)axis), &entry->shape[axis]) ||
            !pth_whole_number(pickle_item(stride, (size_t)axis), &tensor->stride[axis]))
            return pth_damaged(file, "a tensor with a size or stride that is no whole number >= 0");
    if (metadata != NO_METADATA) TRY(read_metadata(file, name, tensor, pickle_item(arguments, (size_t)metadata)));
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
            return pth_damaged(file, "a name that is too long or holds a zero byte");
        *name = arena_print(&file->arena, "%s%s%s", prefix, dot, key->text.data);
    }
    return *name ? COVER_OK : COVER_ERROR_MEMORY;
}

static bool is_weight(const struct pickle_value *value) {
    const int role = role_of(value, PICKLE_OBJECT);
    return role == ROLE_TENSOR || role == ROLE_PARAMETER;
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

/* ---- which of a checkpoint's mappings are the weights */

struct unwrapping {
    struct pickle_value *holder; /* of what was taken, and of other things */
    const char *prefix;          /* how it is reached from the outermost */
};

/* Tensors below a mapping under names alone: an optimiser's state has numbers for keys. */
static int64_t count_tensors(struct pickle_value *mapping, int depth) {
    int64_t tensors = 0;
    if (mapping->visited || depth > DEPTH_MAX) return 0;
    mapping->visited = true;
    for (size_t i = 0; i + 1 < mapping->sequence.count; i += 2) {
        struct pickle_value *value = mapping->sequence.items[i + 1];
        if (mapping->sequence.items[i]->kind != PICKLE_TEXT || !value) continue;
        if (is_weight(value)) tensors++;
        else if (value->kind == PICKLE_MAPPING) tensors += count_tensors(value, depth + 1);
    }
    return tensors;
}

/* Room grows at each power of two. */
static cover_status add_left_out(struct tensor_file *file, const struct tensor_set *set) {
    if ((file->left_count & (file->left_count - 1)) == 0) {
        struct tensor_set *sets = arena_alloc(&file->arena, (size_t)(2 * file->left_count + 1) * sizeof *sets);
        if (!sets) return COVER_ERROR_MEMORY;
        if (file->left_count) memcpy(sets, file->left_out, (size_t)file->left_count * sizeof *sets);
        file->left_out = sets;
    }
    file->left_out[file->left_count++] = *set;
    return COVER_OK;
}

/* Other mappings of tensors beside what was taken. */
static cover_status note_left_out(struct tensor_file *file, const struct unwrapping *level) {
    const struct pickle_value *holder = level->holder;
    for (size_t i = 0; i + 1 < holder->sequence.count; i += 2) {
        const struct pickle_value *key = holder->sequence.items[i];
        struct pickle_value *value = holder->sequence.items[i + 1];
        const char *name;
        if (key->kind != PICKLE_TEXT || !value || value->kind != PICKLE_MAPPING) continue;
        const int64_t tensors = count_tensors(value, 0);
        if (tensors == 0) continue;
        TRY(item_name(file, &name, level->prefix, key));
        TRY(add_left_out(file, &(struct tensor_set){name, tensors}));
    }
    return COVER_OK;
}

/* The mapping in `value` that holds the weights, as far as wrappers tell; *levels of what was passed on the way. */
static cover_status unwrap(struct tensor_file *file, struct pickle_value **value, struct unwrapping level[DEPTH_MAX], int *levels) {
    const char *prefix = "";
    *levels = 0;
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++) {
        struct pickle_value *inner = pickle_get(*value, wrappers[i]);
        if (!inner || inner->kind != PICKLE_MAPPING || inner->visited || *levels == DEPTH_MAX) continue;
        level[(*levels)++] = (struct unwrapping){*value, prefix};
        prefix = arena_print(&file->arena, "%s%s%s", prefix, *prefix ? "." : "", wrappers[i]);
        if (!prefix) return COVER_ERROR_MEMORY;
        (*value)->visited = true; /* a mapping that wraps itself must end */
        *value = inner;
        i = (size_t)-1;
    }
    return COVER_OK;
}

cover_status pth_collect(struct tensor_file *file, struct pickle_value *value) {
    struct unwrapping level[DEPTH_MAX];
    int levels = 0;
    if (!file->key) TRY(unwrap(file, &value, level, &levels));
    if (value->kind == PICKLE_MAPPING) {
        value->visited = false;
        TRY(collect(file, value, "", 0));
    }
    for (int i = 0; i < levels; i++) TRY(note_left_out(file, &level[i]));
    if (file->count > 0) return COVER_OK;
    return fail(COVER_ERROR_FORMAT, "%s: no tensors in it; a file of torch.save(model.state_dict(), FILE) is expected",
                file->source.name);
}
