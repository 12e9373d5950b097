/* Images and their label maps by name, inside of pack. */
#ifndef COVER_PACK_PAIRS_H
#define COVER_PACK_PAIRS_H

#include "pack_roles.h"

/* A file of either kind. */
struct pack_pair {
    const char *relative, *path; /* below the source, and with it */
    const char *folder;          /* that gives it its role */
    const char *name;            /* in the dataset; the same for an image and its label map but for the extension */
    enum pack_role role;
    int split;
};

/* Each image becomes an item, with the label map of its name. */
cover_status pack_pairs(struct pack_plan *plan, const char *prefix, const char *source, const struct pack_pair *files,
                        int64_t count);
/* A plain folder may hold label maps: a warning where some of its folders have the names of theirs, or where one beside images/, of any
 * name, holds the same names. */
cover_status pack_warn_of_labels(const struct pack_plan *plan, const char *source, const struct pack_files *files);

#endif
