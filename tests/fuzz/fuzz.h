/* What the harnesses share: one context, a file of their own that gets the bytes, and a word for "this must not be".
 * Each harness is LLVMFuzzerTestOneInput(); it is run by libFuzzer, or by driver.c where that is not there. */
#ifndef COVER_FUZZ_H
#define COVER_FUZZ_H

#include "core/base/base.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void require(bool right, const char *what) {
    if (right) return;
    fprintf(stderr, "%s: %s\n", what, cover_error_text());
    abort();
}

static inline cover_context *fuzz_context(void) {
    static cover_context *context;
    const cover_context_options options = {.struct_size = sizeof options, .threads = 1, .memory_limit_bytes = (uint64_t)1 << 30};
    if (!context) require(cover_context_create(&context, &options) == COVER_OK, "no context");
    return context;
}

/* The scratch folder of this process, in memory where the system has such a place; removed when it ends as it should. */
static char fuzz_root[64];
static inline void fuzz_clean(void) {
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", fuzz_root);
    if (system(command) != 0) perror(fuzz_root);
}
static inline const char *fuzz_folder(void) {
    if (!*fuzz_root) {
        snprintf(fuzz_root, sizeof fuzz_root, "%s/cover-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        require(mkdtemp(fuzz_root) != NULL, "no scratch folder");
        atexit(fuzz_clean);
    }
    return fuzz_root;
}

/* "FOLDER/NAME", folders made on the way; six of them live at once. */
static inline const char *fuzz_path(const char *name) {
    static char paths[6][160];
    static int next;
    char *path = paths[next++ % 6];
    snprintf(path, sizeof paths[0], "%s/%s", fuzz_folder(), name);
    for (char *c = path + strlen(fuzz_root) + 1; *c; c++)
        if (*c == '/') *c = 0, mkdir(path, 0777), *c = '/';
    return path;
}

static inline const char *fuzz_put(const char *name, const void *data, size_t size) {
    const char *path = fuzz_path(name);
    const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(file >= 0 && write(file, data, size) == (ssize_t)size, "the input cannot be written");
    close(file);
    return path;
}

#endif
