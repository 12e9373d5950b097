/* DICOM (PS3.10) is not read, but known, so that who gives it hears what to do.  Called by image.c and pack. */
#ifndef COVER_DICOM_H
#define COVER_DICOM_H

#include "core/base/base.h"

#define DICOM_REMEDY "DICOM is not read yet; convert it to NIfTI with dcm2niix"

/* "DICM" behind a preamble of 128 bytes. */
bool dicom_detect(const uint8_t *head, size_t bytes);
/* By its name, or by its content where the name has no extension, as scanners and archives write it. */
bool dicom_is_file(const char *path);

#endif
