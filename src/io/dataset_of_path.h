/* A dataset from whatever a user has: a packed file as it is, or a folder that is packed on the way and kept for the
 * next time (docs/dataset.md, "Folders in place of a packed file").  Called by fine-tuning and evaluation. */
#ifndef COVER_DATASET_OF_PATH_H
#define COVER_DATASET_OF_PATH_H

#include <libcover/dataset.h>

/* Opens `path`.  What is no packed file (a folder, a description file, an image) is packed into
 * cache_folder/dataset.h5 first, as `options` say (NULL = as it comes; its resume is not looked at): an interrupted
 * pack goes on, and a finished one is taken as it is while sources and options stay the same.  A folder's own
 * labels.csv counts as `labels` unless the options name another file, or the folder is an nnU-Net dataset. Errors are
 * those of cover_pack() and cover_dataset_open(). */
cover_status dataset_of_path(cover_dataset **dataset, cover_context *context, const char *path,
                             const char *cache_folder, const cover_pack_options *options);

#endif
