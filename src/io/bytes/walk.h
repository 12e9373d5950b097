/* All that lies below a folder.  Each folder is walked once, whatever links lead to it: those that are there come first, then where links
 * lead, in the order of their names; hidden files and folders are left out.  Called by pack_walk.c and by DICOM's set.c. */
#ifndef COVER_WALK_H
#define COVER_WALK_H

#include "arena.h"

#include <sys/stat.h>

struct walk_visitor {
    /* One entry that is not a folder, or that is a link to one: `relative` to the folder that is walked lives in the arena, `path` until
     * the call ends; about: what it is, or a link leads to; NULL of a broken link.  The order is that of the file system. */
    cover_status (*visit)(void *user, const char *relative, const char *path, bool linked, const struct stat *about);
    void *user;
    cover_progress_fn *progress; /* may be NULL */
    void *progress_user;
    const char *doing; /* "looking for images" */
};
cover_status walk(cover_context *context, struct arena *arena, const char *folder, const struct walk_visitor *visitor);

#endif
