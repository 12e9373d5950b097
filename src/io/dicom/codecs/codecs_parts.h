/* The parts of libcover-codecs.so.  Read by each of them. */
#ifndef COVER_CODECS_PARTS_H
#define COVER_CODECS_PARTS_H

#include "../codecs_module.h"

#include <setjmp.h>

bool openjpeg_decode(struct codecs_frame *frame, char *error, size_t error_bytes);

/* Where this thread goes when an assertion fails; NULL: nowhere any more. */
void assertion_guard(jmp_buf *place);
void assertion_leave(void);

#endif
