/* The module libcover-codecs.so: opened when the first frame that needs it is met.  Called by
 * jpeg_2000.c and info.c. */
#ifndef COVER_DICOM_CODECS_H
#define COVER_DICOM_CODECS_H

#include "codecs_module.h"

#include "core/base/base.h"

/* `what` needs it: the error says so where it is not there. */
cover_status dicom_codecs_open(const struct codecs_module **module, const char *what);
/* Is it beside the library?  It is not opened. */
bool dicom_codecs_found(void);
/* dicom_codecs_open() of a file that need not stand beside the library: for tests. */
cover_status dicom_codecs_open_file(const struct codecs_module **module, const char *path, const char *what);

#endif
