/* Little file helpers: whole files in, whole files out in one move, folders, paths. */
#ifndef COVER_FILES_H
#define COVER_FILES_H

#include "base.h"

/* Read a whole file; error over limit_bytes.  data has one NUL byte behind its end. */
cover_status file_read(cover_context *context, const char *path, uint64_t limit_bytes, uint8_t **data, size_t *bytes);
/* Write to a temporary file beside path, fsync, rename, fsync the folder: path is the old or the new file, never half. */
cover_status file_replace(cover_context *context, const char *path, const void *data, size_t bytes);
/* A new file beside `path`, which nobody else has or can foresee (nor plant a link there): "path.tmp-NUMBER", open for reading and
 * writing.  *name is from memory_alloc(). */
cover_status temporary_beside(char **name, int *descriptor, cover_context *context, const char *path);
/* Remove such files of `name` in a folder, or with NULL of all its files, that a killed process has left.  For who alone writes them. */
void temporaries_remove(cover_context *context, const char *folder, const char *name);
/* The same for content that arrives in pieces: begin, write to fileno(stream) or stream, then commit or abandon. */
struct replacement {
    char *path, *temporary;
    int descriptor;
};
cover_status replacement_begin(struct replacement *file, cover_context *context, const char *path);
cover_status replacement_write(struct replacement *file, const void *data, size_t bytes);
cover_status replacement_commit(struct replacement *file, cover_context *context);
void replacement_abandon(struct replacement *file, cover_context *context);

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
