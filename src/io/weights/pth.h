/* What the two halves of the reader of PyTorch files share: pth.c finds pickle and storages in a file, pth_tensors.c makes tensors of
 * what the pickle says. */
#ifndef COVER_PTH_H
#define COVER_PTH_H

#include "io/bytes/zip.h"
#include "pickle.h"
#include "tensor_file.h"

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
    bool negative; /* the values are the negative of those stored (torch._neg_view) */
};
struct pth {
    struct zip zip;
    struct strided *tensors;
    int64_t capacity;
    void *loaded; /* the last storage read: neighbours often share one */
    uint64_t loaded_at;
};

/* What a file may name. */
extern const struct pickle_global pth_globals[];

/* An error: `what` is wrong in the file. */
cover_status pth_damaged(const struct tensor_file *file, const char *what);
/* Is it an integer >= 0? */
bool pth_whole_number(const struct pickle_value *value, int64_t *number);
/* ('storage', torch.FloatStorage, key, location, elements[, view]); dtype: of _rebuild_tensor_v3, else NULL. */
cover_status pth_read_storage(const struct tensor_file *file, struct storage *storage, const struct pickle_value *reference,
                              const struct pickle_value *dtype);
/* The tensors of interest below a value, into the file's entries and pth->tensors. */
cover_status pth_collect(struct tensor_file *file, struct pickle_value *value);

#endif
