/* Assertions of OpenJPEG.  Distributions build it with them, and damaged HTJ2K fails one in version 2.5.0 (melp->unstuff): a file must not
 * end the program, so a decode that is under way is left with an error instead.  This module is opened with RTLD_DEEPBIND, so that
 * this function is found before the C library's.  Called by openjpeg.c. */
#include "codecs_parts.h"

#include <stdlib.h>

static _Thread_local jmp_buf *leave; /* of the decode that this thread is in */

void assertion_guard(jmp_buf *place) { leave = place; }

void assertion_leave(void) {
    if (leave) longjmp(*leave, 1);
}

/* glibc's assert() calls it. */
__attribute__((visibility("default"))) _Noreturn void __assert_fail(const char *text, const char *file, unsigned line,
                                                                    const char *function);
_Noreturn void __assert_fail(const char *text, const char *file, unsigned line, const char *function) {
    (void)text, (void)file, (void)line, (void)function;
    assertion_leave();
    abort();
}
