/* Files of named tensors in one form: safetensors, PyTorch's .pth, libcover's checkpoints.  One row a format; the first
 * row whose detect() likes the first bytes opens the file.  Opening checks every name, shape and place against the
 * bytes present; values are read when they are asked for.  Called by weights.c, `cover convert` and the tests. */
#ifndef COVER_TENSOR_FILE_H
#define COVER_TENSOR_FILE_H

#include "io/bytes/arena.h"
#include "io/bytes/source.h"

enum { TENSOR_RANK_MAX = 8, TENSOR_NAME_MAX = 1024 };

/* Element types; the order is that of tensor_types[]. */
enum tensor_type {
    TENSOR_BOOL,
    TENSOR_U8,
    TENSOR_I8,
    TENSOR_U16,
    TENSOR_I16,
    TENSOR_F16,
    TENSOR_BF16,
    TENSOR_U32,
    TENSOR_I32,
    TENSOR_F32,
    TENSOR_U64,
    TENSOR_I64,
    TENSOR_F64,
    TENSOR_TYPES
};
struct tensor_type_info {
    const char *name; /* safetensors' spelling, "F32" */
    int bytes;
};
extern const struct tensor_type_info tensor_types[TENSOR_TYPES];

struct tensor_entry {
    const char *name;
    enum tensor_type type;
    int rank; /* 0 = one number */
    int64_t shape[TENSOR_RANK_MAX];
    int64_t elements; /* their product */
    uint64_t bytes;   /* dense */
    uint64_t place;   /* the format's own: an offset or an index */
};
struct tensor_pair {
    const char *key, *value;
};

/* Weights that lie beside those that were taken: an average of them, another network. */
struct tensor_set {
    const char *key;
    int64_t tensors;
};

struct tensor_file;
struct tensor_format {
    const char *name; /* "safetensors" */
    bool (*detect)(const uint8_t *head, size_t bytes, const char *path);
    cover_status (*open)(struct tensor_file *file); /* fills entries, metadata and state */
    cover_status (*read)(struct tensor_file *file, const struct tensor_entry *entry, void *out);
    void (*close)(struct tensor_file *file); /* may be NULL; also after a failed open() */
};
extern const struct tensor_format *const tensor_formats[]; /* NULL ends it */

/* One thread at a time.  Everything it points to lives until tensor_file_close(). */
struct tensor_file {
    cover_context *context;
    struct arena arena;
    struct source source;
    const struct tensor_format *format;
    int64_t count;
    struct tensor_entry *entries;       /* in the file's order */
    const struct tensor_entry **sorted; /* by name */
    int64_t metadata_count;
    struct tensor_pair *metadata;
    const char *key; /* only what lies under it is taken, without it in the names; NULL = what the format takes for the weights */
    int64_t left_count;
    struct tensor_set *left_out;
    void *state; /* the format's own */
};

cover_status tensor_file_open(struct tensor_file **file, cover_context *context, const char *path);
/* Only the tensors under a key: those whose names begin with KEY and a dot, which is taken off.  NULL = as tensor_file_open().
 * COVER_ERROR_MISMATCH names the keys that there are. */
cover_status tensor_file_open_under(struct tensor_file **file, cover_context *context, const char *path, const char *key);
/* From memory that outlives the file; `name` stands for the path. */
cover_status tensor_file_open_memory(struct tensor_file **file, cover_context *context, const char *name, const void *memory,
                                     uint64_t bytes);
void tensor_file_close(struct tensor_file *file); /* takes NULL */

/* NULL when there is none. */
const struct tensor_entry *tensor_file_find(const struct tensor_file *file, const char *name);
const char *tensor_file_metadata(const struct tensor_file *file, const char *key);

/* The values as stored, dense, little-endian: entry->bytes bytes. */
cover_status tensor_read(struct tensor_file *file, const struct tensor_entry *entry, void *out);
/* The values as float32: entry->elements floats. */
cover_status tensor_read_f32(struct tensor_file *file, const struct tensor_entry *entry, float *out);
/* The same into fresh memory (memory_free). */
cover_status tensor_load_f32(struct tensor_file *file, const struct tensor_entry *entry, float **out);

/* For formats: check the shape and set elements and bytes; the error names file and tensor. */
cover_status tensor_entry_measure(struct tensor_entry *entry, const char *file_name);

#endif
