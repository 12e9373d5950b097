/* The reader of the plainest HDF5: a walk over bytes in memory, in which every place and length is compared with what is there.
 * See h5_tree.h. */
#include "h5_tree.h"

#include <stdlib.h>
#include <string.h>

const uint8_t h5_signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
const struct h5_type h5_types[] = {
    {COVER_U8, {0x10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0}, 12},
    {COVER_U16, {0x10, 0, 0, 0, 2, 0, 0, 0, 0, 0, 16, 0}, 12},
    {COVER_I16, {0x10, 8, 0, 0, 2, 0, 0, 0, 0, 0, 16, 0}, 12},
    {COVER_I32, {0x10, 8, 0, 0, 4, 0, 0, 0, 0, 0, 32, 0}, 12},
    {COVER_I64, {0x10, 8, 0, 0, 8, 0, 0, 0, 0, 0, 64, 0}, 12},
    {COVER_F32, {0x11, 0x20, 0x1f, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0}, 20},
};
const int h5_type_count = sizeof h5_types / sizeof *h5_types;

enum { GROUPS_DEEP = 8, NODES_DEEP = 16, PIECES = 16 };

struct walk {
    struct h5_tree *tree;
    const char *name; /* of the file */
    const uint8_t *bytes;
    uint64_t count;
    uint64_t left; /* bytes of structures still to be looked at: more than the file has, and they stand in a circle */
};

/* A group being walked. */
struct group {
    const char *path;
    int depth;
    const uint8_t *names;
    uint64_t names_bytes;
    const char *last; /* name: they come in strict order */
};

/* What an object header says. */
struct object {
    const uint8_t *messages[H5_TIME + 1];
    unsigned bytes[H5_TIME + 1];
};

static uint64_t number(const uint8_t *from, int bytes) {
    uint64_t value = 0;
    memcpy(&value, from, (size_t)bytes);
    return value;
}

static cover_status refuse(const struct walk *walk, const char *path, const char *what) {
    return fail(COVER_ERROR_FORMAT, "%s: %s%s%s is not stored as a checkpoint stores it: %s", walk->name, *path ? "'" : "",
                *path ? path : "its root", *path ? "'" : "", what);
}

static bool spend(struct walk *walk, uint64_t bytes) {
    if (bytes > walk->left) return false;
    walk->left -= bytes;
    return true;
}

/* The bytes of a structure. */
static cover_status look(struct walk *walk, const uint8_t **out, const char *path, uint64_t place, uint64_t bytes) {
    if (place > walk->count || bytes > walk->count - place) return refuse(walk, path, "a part of it lies outside of the file");
    if (!spend(walk, bytes)) return refuse(walk, path, "its parts name each other in a circle");
    *out = walk->bytes + place;
    return COVER_OK;
}

/* ---- object headers */

static cover_status add_message(const struct walk *walk, const char *path, struct object *object, unsigned kind, unsigned flags,
                                const uint8_t *data, unsigned bytes) {
    static const bool skipped[H5_TIME + 1] = {
        [H5_NIL] = true,     [H5_OLD_FILL] = true, [H5_FILL] = true, [H5_ATTRIBUTE] = true,
        [H5_COMMENT] = true, [H5_OLD_TIME] = true, [H5_TIME] = true,
    };
    static const unsigned least[H5_TIME + 1] = {[H5_DATASPACE] = 8, [H5_DATATYPE] = 8, [H5_LAYOUT] = 4, [H5_SYMBOL_TABLE] = 16};
    if (kind <= H5_TIME && skipped[kind]) return COVER_OK;
    if (kind > H5_TIME || least[kind] == 0 || flags & 2)
        return refuse(walk, path,
                      "its header has a part that none of a checkpoint has (a filter, raw data elsewhere, a shared type)");
    if (object->messages[kind]) return refuse(walk, path, "its header says a thing twice");
    if (bytes < least[kind]) return refuse(walk, path, "its header is too short");
    object->messages[kind] = data, object->bytes[kind] = bytes;
    return COVER_OK;
}

static cover_status read_header(struct walk *walk, const char *path, struct object *object, uint64_t place) {
    struct {
        uint64_t place, bytes;
    } pieces[PIECES];
    const uint8_t *at;
    *object = (struct object){0};
    TRY(look(walk, &at, path, place, 16));
    if (at[0] != 1) return refuse(walk, path, "its header is of another version");
    pieces[0].place = place + 16, pieces[0].bytes = number(at + 8, 4);
    for (int piece = 0, known = 1; piece < known; piece++) {
        uint64_t left = pieces[piece].bytes;
        TRY(look(walk, &at, path, pieces[piece].place, left));
        while (left >= 8) {
            const unsigned kind = (unsigned)number(at, 2), bytes = (unsigned)number(at + 2, 2), flags = at[4];
            at += 8, left -= 8;
            if (bytes > left) return refuse(walk, path, "its header is cut off");
            if (kind == H5_CONTINUATION) {
                if (bytes < 16 || known == PIECES) return refuse(walk, path, "its header lies in too many pieces");
                pieces[known].place = number(at, 8), pieces[known++].bytes = number(at + 8, 8);
            } else TRY(add_message(walk, path, object, kind, flags, at, bytes));
            at += bytes, left -= bytes;
        }
    }
    return COVER_OK;
}

/* ---- arrays */

static cover_status read_shape(const struct walk *walk, struct h5_array *array, const struct object *object, int64_t *elements) {
    const uint8_t *space = object->messages[H5_DATASPACE];
    if (space[0] != 1) return refuse(walk, array->path, "its shape is of another version");
    if (space[1] > COVER_MAX_RANK) return refuse(walk, array->path, "it has too many axes");
    array->rank = space[1];
    if (object->bytes[H5_DATASPACE] < 8 + 8u * space[1]) return refuse(walk, array->path, "its header is too short");
    *elements = 1;
    for (int axis = 0; axis < array->rank; axis++) {
        array->shape[axis] = (int64_t)number(space + 8 + 8 * axis, 8);
        if (!multiply(*elements, array->shape[axis], elements)) return refuse(walk, array->path, "its shape is impossibly large");
    }
    return COVER_OK;
}

static cover_status read_type(const struct walk *walk, struct h5_array *array, const struct object *object, uint64_t *bytes) {
    const uint8_t *type = object->messages[H5_DATATYPE];
    const unsigned padding = type[1] & 15, letters = type[1] >> 4; /* of a text: NUL-ended, NULs, spaces; ASCII, UTF-8 */
    *bytes = number(type + 4, 4);
    array->dtype = COVER_U8;
    array->is_text = type[0] == H5_TEXT_CLASS && padding <= 2 && letters <= 1;
    if (array->is_text) return array->rank == 0 ? COVER_OK : refuse(walk, array->path, "it is a row of texts");
    for (int i = 0; i < h5_type_count; i++)
        if (object->bytes[H5_DATATYPE] >= h5_types[i].used && memcmp(type, h5_types[i].bytes, h5_types[i].used) == 0) {
            array->dtype = h5_types[i].dtype;
            return COVER_OK;
        }
    return refuse(walk, array->path, "its type is none of a checkpoint");
}

/* Where its values lie: in one piece of the file, or in the header itself. */
static cover_status read_layout(const struct walk *walk, struct h5_array *array, const struct object *object) {
    enum { COMPACT, CONTIGUOUS };
    const uint8_t *layout = object->messages[H5_LAYOUT];
    const unsigned bytes = object->bytes[H5_LAYOUT];
    if (layout[0] != 3 || layout[1] > CONTIGUOUS) return refuse(walk, array->path, "it lies in pieces or in other files");
    if (layout[1] == COMPACT) {
        if (number(layout + 2, 2) != array->bytes || array->bytes > bytes - 4)
            return refuse(walk, array->path, "its length is not that of its shape");
        array->data = layout + 4;
        return COVER_OK;
    }
    if (bytes < 18) return refuse(walk, array->path, "its header is too short");
    const uint64_t place = number(layout + 2, 8);
    if (number(layout + 10, 8) != array->bytes) return refuse(walk, array->path, "its length is not that of its shape");
    if (array->bytes > 0 && (place > walk->count || array->bytes > walk->count - place))
        return refuse(walk, array->path, "its values lie outside of the file");
    array->data = walk->bytes + (array->bytes > 0 ? place : 0);
    return COVER_OK;
}

static cover_status add_array(struct walk *walk, const char *path, const struct object *object) {
    struct h5_tree *tree = walk->tree;
    struct h5_array array = {.path = path};
    int64_t elements, bytes;
    uint64_t element;
    if (!object->messages[H5_DATASPACE] || !object->messages[H5_DATATYPE] || !object->messages[H5_LAYOUT])
        return refuse(walk, path, "it is neither a group nor an array");
    TRY(read_shape(walk, &array, object, &elements));
    TRY(read_type(walk, &array, object, &element));
    if (!multiply(elements, (int64_t)element, &bytes)) return refuse(walk, path, "its shape is impossibly large");
    array.bytes = (uint64_t)bytes;
    TRY(read_layout(walk, &array, object));
    if (!array_grow(tree->arena.context, &tree->arrays, &tree->capacity, tree->count + 1, sizeof array)) return COVER_ERROR_MEMORY;
    tree->arrays[tree->count++] = array;
    return COVER_OK;
}

/* ---- groups: a B-tree whose leaves are nodes of symbols, which are a name and the place of an object header */

static cover_status walk_object(struct walk *walk, const char *path, int depth, uint64_t place);

static cover_status read_name(struct walk *walk, struct group *group, char **path, uint64_t offset) {
    if (offset >= group->names_bytes) return refuse(walk, group->path, "a name lies outside of its names");
    const char *name = (const char *)group->names + offset;
    const uint64_t most = group->names_bytes - offset;
    const size_t length = strnlen(name, most < H5_NAME_MAX + 1 ? most : H5_NAME_MAX + 1);
    if (length == 0 || length == most || length > H5_NAME_MAX || memchr(name, '/', length) || strcmp(name, ".") == 0)
        return refuse(walk, group->path, "a name in it is none");
    if (group->last && strcmp(group->last, name) >= 0) return refuse(walk, group->path, "its names are not in order");
    if (!spend(walk, strlen(group->path) + length)) return refuse(walk, group->path, "its parts name each other in a circle");
    group->last = name;
    *path =
        *group->path ? arena_print(&walk->tree->arena, "%s/%s", group->path, name) : arena_text(&walk->tree->arena, name, length);
    return *path ? COVER_OK : COVER_ERROR_MEMORY;
}

static cover_status walk_symbols(struct walk *walk, struct group *group, uint64_t place) {
    const uint8_t *at;
    TRY(look(walk, &at, group->path, place, 8));
    if (memcmp(at, "SNOD\1", 5) != 0) return refuse(walk, group->path, "a node of its names is damaged");
    const unsigned count = (unsigned)number(at + 6, 2);
    TRY(look(walk, &at, group->path, place + 8, (uint64_t)count * H5_SYMBOL_BYTES));
    for (unsigned i = 0; i < count; i++, at += H5_SYMBOL_BYTES) {
        char *path;
        TRY(read_name(walk, group, &path, number(at, 8)));
        if (number(at + 16, 4) > 1) return refuse(walk, path, "it is a link to elsewhere");
        TRY(walk_object(walk, path, group->depth + 1, number(at + 8, 8)));
    }
    return COVER_OK;
}

/* `level` is what the node above expects; negative for the topmost. */
static cover_status walk_nodes(struct walk *walk, struct group *group, uint64_t place, int level) {
    const uint8_t *at;
    TRY(look(walk, &at, group->path, place, H5_NODE_HEAD_BYTES));
    if (memcmp(at, "TREE\0", 5) != 0 || at[5] > NODES_DEEP || (level >= 0 && at[5] != level))
        return refuse(walk, group->path, "a node above its names is damaged");
    level = at[5];
    const unsigned count = (unsigned)number(at + 6, 2);
    TRY(look(walk, &at, group->path, place + H5_NODE_HEAD_BYTES, 16ull * count)); /* key, child, key, child, ... */
    for (unsigned i = 0; i < count; i++) {
        const uint64_t child = number(at + 16 * i + 8, 8);
        TRY(level > 0 ? walk_nodes(walk, group, child, level - 1) : walk_symbols(walk, group, child));
    }
    return COVER_OK;
}

static cover_status walk_group(struct walk *walk, const char *path, int depth, const uint8_t *symbol_table) {
    struct group group = {.path = path, .depth = depth};
    const uint8_t *heap;
    if (depth >= GROUPS_DEEP) return refuse(walk, path, "it lies too deep");
    TRY(look(walk, &heap, path, number(symbol_table + 8, 8), 32));
    if (memcmp(heap, "HEAP\0", 5) != 0) return refuse(walk, path, "its names are damaged");
    group.names_bytes = number(heap + 8, 8);
    TRY(look(walk, &group.names, path, number(heap + 24, 8), group.names_bytes));
    return walk_nodes(walk, &group, number(symbol_table, 8), -1);
}

static cover_status walk_object(struct walk *walk, const char *path, int depth, uint64_t place) {
    struct object object;
    TRY(read_header(walk, path, &object, place));
    const uint8_t *table = object.messages[H5_SYMBOL_TABLE];
    if (!table && depth == 0) return refuse(walk, path, "it is no group");
    return table ? walk_group(walk, path, depth, table) : add_array(walk, path, &object);
}

/* ---- the whole */

static int by_path(const void *a, const void *b) {
    const struct h5_array *left = a, *right = b;
    return strcmp(left->path, right->path);
}

cover_status h5_tree_read(struct h5_tree *tree, const char *name, const uint8_t *bytes, uint64_t count) {
    struct walk walk = {.tree = tree, .name = name, .bytes = bytes, .count = count, .left = 2 * count};
    const uint8_t *at;
    TRY(look(&walk, &at, "", 0, H5_SUPERBLOCK_BYTES));
    if (memcmp(at, h5_signature, sizeof h5_signature) != 0) return refuse(&walk, "", "it does not begin as HDF5 does");
    if (at[8] != 0) return refuse(&walk, "", "HDF5 of a newer form (its superblock is not of version 0)");
    if (at[13] != 8 || at[14] != 8) return refuse(&walk, "", "its addresses are not of 8 bytes");
    TRY(walk_object(&walk, "", 0, number(at + 64, 8)));
    if (tree->count > 0) qsort(tree->arrays, (size_t)tree->count, sizeof *tree->arrays, by_path);
    return COVER_OK;
}

const struct h5_array *h5_tree_find(const struct h5_tree *tree, const char *path) {
    const struct h5_array key = {.path = path};
    return tree->count > 0 ? bsearch(&key, tree->arrays, (size_t)tree->count, sizeof key, by_path) : NULL;
}

void h5_tree_free(struct h5_tree *tree) {
    memory_free(tree->arena.context, tree->arrays);
    arena_free(&tree->arena);
    *tree = (struct h5_tree){.arena = {.context = tree->arena.context}};
}
