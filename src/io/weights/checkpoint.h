/* Checkpoints: everything that training needs to go on exactly, in one sealed HDF5 file (docs/weights.md states its
 * content).  Called by the trainer; export and match read the weights through tensor_file.h. */
#ifndef COVER_CHECKPOINT_H
#define COVER_CHECKPOINT_H

#include "core/graph/parameters.h"
#include "io/bytes/h5_tree.h"

enum { CHECKPOINT_MAJOR = 1, CHECKPOINT_MINOR = 0 };

/* What an objective keeps beside weights (twins, queues); COVER itself keeps nothing. */
struct checkpoint_state {
    const char *name;
    const void *data;
    int64_t bytes;
};

struct checkpoint {
    int64_t step;    /* steps made */
    int64_t updates; /* t of Adam: fewer, when steps had no valid pixel */
    int64_t seed;
    const char *config;       /* every resolved setting, JSON */
    const char *dataset_hash; /* hexadecimal */
    const char *backbone;     /* its name */
    const char *objective;    /* "cover", or: */
#define OBJECTIVE_OF_TASKS "task"
    const struct parameters *parameters;
    const float *weights, *m, *v; /* flat */
    const struct checkpoint_state *states;
    int state_count;
};

/* Replaces `path` in one move: killed at any moment or on a full disk, the file is the old or the new one.  Equal
 * content gives equal bytes.  COVER_ERROR_IO; COVER_ERROR_MEMORY. */
cover_status checkpoint_write(cover_context *context, const char *path, const struct checkpoint *checkpoint);

/* An open checkpoint whose seal, length and hash were right: the bytes that had the hash, and what they hold. */
struct checkpoint_file {
    cover_context *context;
    char *path;
    int64_t step, updates, seed;
    char *config, *dataset_hash, *objective;
    uint8_t *content; /* behind the seal */
    struct h5_tree tree;
};
cover_status checkpoint_open(struct checkpoint_file **file, cover_context *context, const char *path);
void checkpoint_close(struct checkpoint_file *file); /* takes NULL */

/* Fill flat buffers of a network; m and v may be NULL.  COVER_ERROR_MISMATCH names the first parameter that is not
 * there in this shape.  On error the buffers hold a mixture. */
cover_status checkpoint_read(struct checkpoint_file *file, const struct parameters *parameters, float *weights, float *m, float *v);
/* A state of the objective (memory_free); COVER_ERROR_MISMATCH when there is none of this name. */
cover_status checkpoint_read_state(struct checkpoint_file *file, const char *name, uint8_t **data, int64_t *bytes);

#endif
