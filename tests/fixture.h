/* What many suites begin with: a context of two threads, and a folder of their own where they ask for one.  Checked fixtures:
 * with_context, without_context; with_folder (a context, too), without_folder. */
#ifndef COVER_FIXTURE_H
#define COVER_FIXTURE_H

#include "check_main.h"

#include <libcover/context.h>

#include <string.h>

static cover_context *context;
static char folder[64];

static inline void with_context(void) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = 2;
    ck_assert_ok(cover_context_create(&context, &options));
}
static inline void without_context(void) { cover_context_destroy(context); }

static inline void with_folder(void) {
    with_context();
    strcpy(folder, "/tmp/cover-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}
static inline void without_folder(void) {
    char command[sizeof folder + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
    without_context();
}

#endif
