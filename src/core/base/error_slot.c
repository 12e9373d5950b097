/* Where the text of the last error lies, one a thread.  A file of its own because a module (module.h) has fail() but not this: its errors
 * go into the library's slot. */
#include "base.h"

static _Thread_local char error_text[ERROR_TEXT_BYTES];

char *error_slot(void) { return error_text; }
const char *cover_error_text(void) { return error_text; }
