/* Draws a seed of fuzz_checkpoint: a checkpoint without all but its smallest arrays, so that most changes fall on what describes them.
 * Usage: checkpoint_seed CHECKPOINT OUTPUT      called by corpus/make.py */
#include "fuzz.h"

#include "io/weights/checkpoint.h"

enum { MOST_BYTES = 1500, MOST_TENSORS = 4 };

int main(int count, char **word) {
    struct checkpoint_file *file;
    struct h5_array kept[64];
    int64_t keep = 0, tensors = 0;
    if (count != 3) return fputs("usage: checkpoint_seed CHECKPOINT OUTPUT\n", stderr), 2;
    require(checkpoint_open(&file, fuzz_context(), word[1]) == COVER_OK, word[1]);
    for (int64_t i = 0; i < file->tree.count && keep < 64; i++) {
        const struct h5_array *array = &file->tree.arrays[i];
        const bool tensor = array->dtype == COVER_F32;
        if (array->bytes > MOST_BYTES + 4096 * (uint64_t)(array->dtype == COVER_U8) || (tensor && tensors++ % 16 != 0)) continue;
        if (tensor && tensors / 16 >= MOST_TENSORS) continue;
        kept[keep++] = *array;
    }
    require(h5_tree_write(fuzz_context(), word[2], "checkpoint", CHECKPOINT_MAJOR, CHECKPOINT_MINOR, kept, keep) == COVER_OK,
            word[2]);
    checkpoint_close(file);
    cover_context_destroy(fuzz_context());
    return 0;
}
