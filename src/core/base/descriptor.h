/* What the library asks of the system about files, here and nowhere else (tests/test_calls.py): each call goes on after a signal and after a
 * short write, and errno says why one failed.  Descriptors are closed on exec and never 0, 1 or 2: where the host has closed those, what
 * is printed would end up in a file of ours.  Called by files.c, replacement.c, journal.c and by those who keep a file open. */
#ifndef COVER_DESCRIPTOR_H
#define COVER_DESCRIPTOR_H

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int descriptor_open(const char *path, int flags);         /* a new file with mode 0666, as the process masks it; -1 = refused */
int descriptor_open_private(const char *path, int flags); /* a new file with mode 0600 */
bool descriptor_close(int descriptor);                    /* false: what was written may be lost */
/* Read until the end of the file or `bytes`: how many there were, -1 = refused. */
int64_t descriptor_read(int descriptor, void *to, size_t bytes);
int64_t descriptor_read_at(int descriptor, void *to, size_t bytes, uint64_t offset);
/* How many bytes were written: all, or errno says why not. */
size_t descriptor_write(int descriptor, const void *from, size_t bytes);
bool descriptor_write_at(int descriptor, const void *from, size_t bytes, uint64_t offset);
bool descriptor_sync(int descriptor);
bool descriptor_cut(int descriptor, uint64_t bytes); /* the file ends there */
/* For this process alone, until the descriptor is closed: whatever ends the process gives the lock back. */
enum descriptor_lock { LOCK_OURS, LOCK_OF_ANOTHER, LOCK_IMPOSSIBLE /* the file system has no locks */ };
enum descriptor_lock descriptor_lock(int descriptor);
/* The same, waiting for another to give it back, so long at most. */
enum descriptor_lock descriptor_lock_within(int descriptor, double seconds);

bool path_rename(const char *from, const char *to);
bool path_remove(const char *path);
bool path_make_folder(const char *path);
bool path_remove_folder(const char *path); /* if it is empty */
DIR *path_list(const char *folder);        /* NULL = refused; closedir() ends it */

#endif
