/* A DICOMDIR (PS3.3, annex F) gives the files of its records; of its own folder alone (R2).  Called by set.c. */
#ifndef COVER_DICOMDIR_H
#define COVER_DICOMDIR_H

#include "core/base/base.h"

/* By what is in it, whatever its name. */
cover_status dicomdir_is_one(const char *path, bool *is);
/* take() gets the path of each file that exists below its folder, in the order of the records. */
cover_status dicomdir_list(cover_context *context, const char *path, cover_status (*take)(void *user, const char *path),
                           void *user);
/* The same of any bytes; folder: its real path. */
struct source;
cover_status dicomdir_read(cover_context *context, const struct source *source, const char *folder,
                           cover_status (*take)(void *user, const char *path), void *user);

#endif
