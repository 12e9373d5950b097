/* The writer of the plainest HDF5: superblock, the arrays' values one after the other, then what describes them, children before
 * their groups, so that every place is known when it is written down.  See h5_tree.h. */
#include "h5_tree.h"

#include "core/base/files.h"
#include "seal.h"

#include <stdlib.h>
#include <string.h>

/* A B-tree node has room for 2 * NODE_K children, whether it has them or not; a node of symbols for 2 * symbol_k, which is chosen so
 * that every group fits into one. */
enum { NODE_K = 16, NODE_BYTES = H5_NODE_HEAD_BYTES + 8 * (4 * NODE_K + 1), LEAST_SYMBOL_K = 4, MOST_SYMBOLS = UINT16_MAX - 1 };
enum { ALIGNMENT = 8, PIECE_BYTES = 64 * 1024 };
static const uint64_t nowhere = UINT64_MAX;

struct writing {
    cover_context *context;
    const char *path;
    const struct h5_array **arrays; /* group by group, in the order of names */
    int64_t count;
    uint64_t *places; /* of their values */
    uint64_t begin;   /* where the description begins */
    int64_t symbol_k;
    struct text described; /* bytes */
};

/* What a group says of a child. */
struct child {
    const char *name;
    size_t length;
    uint64_t name_offset, header, tree, names; /* tree and names: of a group, else 0 */
};

static void put(struct text *to, uint64_t value, int bytes) { text_add_bytes(to, &value, (size_t)bytes); }
static void put_zeros(struct text *to, size_t bytes) {
    static const uint8_t zeros[64];
    for (size_t now; bytes > 0; bytes -= now) text_add_bytes(to, zeros, now = bytes < sizeof zeros ? bytes : sizeof zeros);
}
static uint64_t here(const struct writing *writing) { return writing->begin + writing->described.length; }

/* As strcmp(), but a '/' comes before all other characters: what a group holds stands together, by name. */
static int by_group(const void *a, const void *b) {
    const struct h5_array *const *left = a, *const *right = b;
    const unsigned char *x = (const unsigned char *)(*left)->path, *y = (const unsigned char *)(*right)->path;
    while (*x && *x == *y) x++, y++;
    const int c = *x == '/' ? 1 : *x ? *x + 1 : 0, d = *y == '/' ? 1 : *y ? *y + 1 : 0;
    return c - d;
}

/* The name behind `skip` characters of the path, and how many arrays from `first` on lie in the group of this name: 0, if it is an
 * array's own. */
static int64_t child_at(const struct writing *writing, struct child *child, int64_t first, int64_t end, size_t skip) {
    const char *path = writing->arrays[first]->path;
    *child = (struct child){.name = path + skip, .length = strcspn(path + skip, "/")};
    if (path[skip + child->length] == 0) return 0;
    int64_t next = first + 1;
    while (next < end && strncmp(writing->arrays[next]->path, path, skip + child->length + 1) == 0) next++;
    return next - first;
}

/* ---- arrays */

static void put_message(struct text *to, unsigned kind, unsigned bytes, unsigned flags) {
    put(to, kind, 2), put(to, bytes, 2), put(to, flags, 4);
}

static struct h5_type type_of(const struct h5_array *array) {
    struct h5_type text = {COVER_U8, {H5_TEXT_CLASS, H5_TEXT_STYLE}, 8};
    for (int i = 0; i < h5_type_count && !array->is_text; i++)
        if (h5_types[i].dtype == array->dtype) return h5_types[i];
    memcpy(text.bytes + 4, &array->bytes, 4);
    return text;
}

static void put_array(struct writing *writing, int64_t index) {
    enum { HEAD = 8, CONSTANT = 1, FILL_BYTES = 8, LAYOUT_BYTES = 24 };
    const struct h5_array *array = writing->arrays[index];
    struct text *to = &writing->described;
    const struct h5_type type = type_of(array);
    const unsigned space = 8 + 8 * (unsigned)array->rank, type_bytes = (unsigned)round_up(type.used, ALIGNMENT);
    put(to, 1, 2), put(to, 4, 2), put(to, 1, 4); /* version, messages, links to it */
    put(to, 4 * HEAD + space + type_bytes + FILL_BYTES + LAYOUT_BYTES, 8);
    put_message(to, H5_DATASPACE, space, 0);
    put(to, 1, 1), put(to, (uint64_t)array->rank, 7);
    for (int axis = 0; axis < array->rank; axis++) put(to, (uint64_t)array->shape[axis], 8);
    put_message(to, H5_DATATYPE, type_bytes, CONSTANT);
    text_add_bytes(to, type.bytes, type_bytes);
    put_message(to, H5_FILL, FILL_BYTES, CONSTANT);
    put(to, 0x01010202, 8); /* version 2, room is taken late, never filled, with the default */
    put_message(to, H5_LAYOUT, LAYOUT_BYTES, 0);
    put(to, 0x0103, 2), put(to, writing->places[index], 8), put(to, array->bytes, 8); /* version 3, contiguous */
    put_zeros(to, LAYOUT_BYTES - 18);
}

/* ---- groups */

static uint64_t put_names(struct writing *writing, struct child *children, int64_t count) {
    struct text *to = &writing->described;
    const uint64_t segment = here(writing);
    put_zeros(to, ALIGNMENT); /* the empty name, at offset 0 */
    for (int64_t i = 0; i < count; i++) {
        children[i].name_offset = here(writing) - segment;
        text_add_bytes(to, children[i].name, children[i].length);
        put_zeros(to, round_up(children[i].length + 1, ALIGNMENT) - children[i].length);
    }
    const uint64_t heap = here(writing);
    text_add_bytes(to, "HEAP\0\0\0", 8);                            /* version 0 */
    put(to, heap - segment, 8), put(to, 1, 8), put(to, segment, 8); /* nothing of it is free */
    return heap;
}

static uint64_t put_symbols(struct writing *writing, const struct child *children, int64_t count) {
    struct text *to = &writing->described;
    const uint64_t node = here(writing);
    text_add_bytes(to, "SNOD\1", 6), put(to, (uint64_t)count, 2);
    for (int64_t i = 0; i < count; i++) {
        put(to, children[i].name_offset, 8), put(to, children[i].header, 8);
        put(to, children[i].tree ? 1 : 0, 8), put(to, children[i].tree, 8), put(to, children[i].names, 8);
    }
    put_zeros(to, (size_t)(2 * writing->symbol_k - count) * H5_SYMBOL_BYTES);
    return node;
}

static uint64_t put_tree(struct writing *writing, uint64_t symbols, uint64_t last_name) {
    struct text *to = &writing->described;
    const uint64_t tree = here(writing);
    text_add_bytes(to, "TREE\0", 6), put(to, 1, 2); /* of a group, level 0, with one child */
    put(to, nowhere, 8), put(to, nowhere, 8);       /* nothing beside it */
    put(to, 0, 8), put(to, symbols, 8), put(to, last_name, 8);
    put_zeros(to, NODE_BYTES - H5_NODE_HEAD_BYTES - 24);
    return tree;
}

/* The group of arrays [first, end), whose names begin behind `skip` characters of their paths. */
static cover_status put_group(struct writing *writing, struct child *group, int64_t first, int64_t end, size_t skip) {
    cover_status status = COVER_OK;
    struct text *to = &writing->described;
    int64_t count = 0;
    struct child *children = memory_alloc(writing->context, (size_t)(end - first) * sizeof *children);
    if (!children) return COVER_ERROR_MEMORY;
    for (int64_t i = first, inside; i < end; i += inside ? inside : 1) {
        struct child *child = &children[count++];
        inside = child_at(writing, child, i, end, skip);
        if (inside) GO(put_group(writing, child, i, i + inside, skip + child->length + 1));
        else child->header = here(writing), put_array(writing, i);
    }
    if (count > MOST_SYMBOLS) GO(fail(COVER_ERROR_UNSUPPORTED, "%s: more than %d names in a group", writing->path, MOST_SYMBOLS));
    group->names = put_names(writing, children, count);
    const uint64_t symbols = put_symbols(writing, children, count);
    group->tree = put_tree(writing, symbols, children[count - 1].name_offset);
    group->header = here(writing);
    put(to, 1, 2), put(to, 1, 2), put(to, 1, 4), put(to, 24, 8);
    put_message(to, H5_SYMBOL_TABLE, 16, 0);
    put(to, group->tree, 8), put(to, group->names, 8);
done:
    memory_free(writing->context, children);
    return status;
}

static void put_superblock(struct text *to, const struct writing *writing, const struct child *root) {
    text_add_bytes(to, h5_signature, sizeof h5_signature);
    put(to, 0, 5), put(to, 8, 1), put(to, 8, 2); /* versions; bytes of an address and of a length */
    put(to, (uint64_t)writing->symbol_k, 2), put(to, NODE_K, 6);
    put(to, SEAL_BYTES, 8), put(to, nowhere, 8), put(to, SEAL_BYTES + here(writing), 8), put(to, nowhere, 8);
    put(to, 0, 8), put(to, root->header, 8), put(to, 1, 8), put(to, root->tree, 8), put(to, root->names, 8);
}

/* ---- the file, made twice: for its hash, and onto the disk */

struct sink {
    struct sha256 hash;
    struct replacement *file; /* NULL: only the hash */
    uint8_t *piece;
    size_t held;
};

static cover_status sink_flush(struct sink *sink) {
    const size_t held = sink->held;
    sink->held = 0;
    return sink->file && held > 0 ? replacement_write(sink->file, sink->piece, held) : COVER_OK;
}

static cover_status sink_write(struct sink *sink, const void *data, uint64_t bytes) {
    if (!sink->file) {
        sha256_add(&sink->hash, data, bytes);
        return COVER_OK;
    }
    if (sink->held + bytes > PIECE_BYTES) TRY(sink_flush(sink));
    if (bytes > PIECE_BYTES) return replacement_write(sink->file, data, bytes);
    if (bytes > 0) memcpy(sink->piece + sink->held, data, bytes);
    sink->held += bytes;
    return COVER_OK;
}

static cover_status emit(const struct writing *writing, const struct text *superblock, struct sink *sink) {
    static const uint8_t zeros[ALIGNMENT];
    TRY(sink_write(sink, superblock->data, superblock->length));
    for (int64_t i = 0; i < writing->count; i++) {
        const uint64_t bytes = writing->arrays[i]->bytes;
        TRY(sink_write(sink, writing->arrays[i]->data, bytes));
        TRY(sink_write(sink, zeros, round_up(bytes, ALIGNMENT) - bytes));
    }
    TRY(sink_write(sink, writing->described.data, writing->described.length));
    return sink_flush(sink);
}

/* Places of the values, and the most symbols that a group may have. */
static void arrange(struct writing *writing, const struct h5_array *arrays) {
    for (int64_t i = 0; i < writing->count; i++) writing->arrays[i] = &arrays[i];
    qsort(writing->arrays, (size_t)writing->count, sizeof *writing->arrays, by_group);
    writing->begin = H5_SUPERBLOCK_BYTES;
    for (int64_t i = 0; i < writing->count; i++) {
        const uint64_t bytes = writing->arrays[i]->bytes;
        writing->places[i] = bytes > 0 ? writing->begin : nowhere;
        writing->begin += round_up(bytes, ALIGNMENT);
    }
}

/* The names in the largest group below; one more level of `skip` for each group. */
static int64_t largest_group(const struct writing *writing, int64_t first, int64_t end, size_t skip) {
    int64_t count = 0, most = 0;
    for (int64_t i = first, inside; i < end; i += inside ? inside : 1, count++) {
        struct child child;
        inside = child_at(writing, &child, i, end, skip);
        const int64_t below = inside ? largest_group(writing, i, i + inside, skip + child.length + 1) : 0;
        if (below > most) most = below;
    }
    return count > most ? count : most;
}

cover_status h5_tree_write(cover_context *context, const char *path, const char *format, unsigned major, unsigned minor,
                           const struct h5_array *arrays, int64_t count) {
    cover_status status = COVER_OK;
    struct writing writing = {.context = context, .path = path, .count = count, .described = {.context = context}};
    struct text superblock = {.context = context};
    struct replacement output = {.descriptor = -1};
    struct seal seal = {.major = major, .minor = minor, .begin = SEAL_BYTES};
    struct child root;
    struct sink sink = {0};
    uint8_t block[SEAL_BYTES];
    writing.arrays = memory_alloc(context, (size_t)count * sizeof *writing.arrays);
    writing.places = memory_alloc(context, (size_t)count * sizeof *writing.places);
    sink.piece = memory_alloc(context, PIECE_BYTES);
    GO(writing.arrays && writing.places && sink.piece ? COVER_OK : COVER_ERROR_MEMORY);
    arrange(&writing, arrays);
    const int64_t most = largest_group(&writing, 0, count, 0);
    writing.symbol_k = most > 2 * LEAST_SYMBOL_K ? (most + 1) / 2 : LEAST_SYMBOL_K;
    GO(put_group(&writing, &root, 0, count, 0));
    put_superblock(&superblock, &writing, &root);
    GO(writing.described.failed || superblock.failed ? COVER_ERROR_MEMORY : COVER_OK);
    strncpy(seal.format, format, sizeof seal.format - 1);
    seal.bytes = here(&writing);
    seal.file_bytes = SEAL_BYTES + seal.bytes;
    sha256_begin(&sink.hash);
    GO(emit(&writing, &superblock, &sink));
    sha256_end(&sink.hash, seal.hash);
    seal_encode(block, &seal);
    GO(replacement_begin(&output, context, path));
    sink.file = &output;
    GO(sink_write(&sink, block, sizeof block));
    GO(emit(&writing, &superblock, &sink));
    GO(replacement_commit(&output, context));
done:
    replacement_abandon(&output, context);
    text_free(&superblock);
    text_free(&writing.described);
    memory_free(context, sink.piece);
    memory_free(context, writing.places);
    memory_free(context, writing.arrays);
    return status == COVER_ERROR_MEMORY ? fail_in(status, "%s", path) : status;
}
