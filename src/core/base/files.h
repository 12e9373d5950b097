/* Little file helpers: whole files in, whole files out in one move, folders, paths. */
#ifndef COVER_FILES_H
#define COVER_FILES_H

#include "base.h"

/* COVER_ERROR_IO: "PATH: cannot be opened: what errno says". */
cover_status fail_system(const char *path, const char *doing);

/* Read a whole file; error over limit_bytes.  data has one NUL byte behind its end. */
cover_status file_read(cover_context *context, const char *path, uint64_t limit_bytes, uint8_t **data, size_t *bytes);

/* ---- results (replacement.c).  Written to a temporary file in the same folder, synced, renamed, the folder synced: path is the old or
 * the new file, never half.  A file that is replaced gives its mode and, where we may, owner and group to the new one; its other names
 * (hard links) keep the old content.  A link is followed: what it leads to is replaced, in that place.  A device of characters is
 * written to; folders, pipes, sockets and other devices are refused.  A folder that cannot be synced is a warning. */
cover_status file_replace(cover_context *context, const char *path, const void *data, size_t bytes);
/* The same for content that arrives in pieces: begin, write (or to the descriptor), then commit or abandon. */
struct replacement {
    char *path, *target, *temporary; /* as given; behind all links; NULL for a device */
    int descriptor;
    bool replaces; /* something that was there */
    bool private;
};
cover_status replacement_begin(struct replacement *file, cover_context *context, const char *path);
/* For what its owner alone may read, mode 0600, whatever the mode of a file that it replaces. */
cover_status replacement_begin_private(struct replacement *file, cover_context *context, const char *path);
cover_status replacement_write(struct replacement *file, const void *data, size_t bytes);
cover_status replacement_commit(struct replacement *file, cover_context *context);
void replacement_abandon(struct replacement *file, cover_context *context);
/* A new file in the folder of `path`, which nobody else has or can foresee (nor plant a link there), open for reading and writing, and
 * locked.  *name is from memory_alloc(). */
cover_status temporary_beside(char **name, int *descriptor, cover_context *context, const char *path);
/* Remove those of a folder, or of the folder of a file, whose process is no more.  A folder that cannot be listed is left as it is. */
cover_status temporaries_remove(cover_context *context, const char *folder);
cover_status temporaries_remove_beside(cover_context *context, const char *path);
/* Is there no file or a regular one?  For results that are not written in one piece. */
cover_status output_takes_file(const char *path);
/* A result must not replace what it is made of; NULL = no source. */
cover_status output_is_not(const char *output, const char *source);
bool same_file(const char *a, const char *b); /* by any name */
/* Two results need two files, which need not be there yet; NULL = not wanted. */
cover_status outputs_differ(cover_context *context, const char *a, const char *b);

/* ---- folders and paths */
cover_status folder_create(const char *path); /* with parents; exists = OK */
bool file_exists(const char *path);
bool folder_exists(const char *path);
/* "a/b", from the context's allocator; NULL with the error set. */
char *path_join(cover_context *context, const char *folder, const char *name);
/* A file in the folder of the shared library (or the program) that this code lies in. */
cover_status path_beside_library(char *path, size_t bytes, const char *name);
const char *path_name(const char *path);               /* behind the last slash */
bool has_suffix(const char *text, const char *suffix); /* ignores case */

#endif
