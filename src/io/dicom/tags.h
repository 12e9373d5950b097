/* The attributes of DICOM (PS3.6) that are read or written here, by the names that the standard gives them.
 * Called by everything in this room; dicom_tag_name() is for messages. */
#ifndef COVER_DICOM_TAGS_H
#define COVER_DICOM_TAGS_H

#include <stdint.h>

enum dicom_tag {
#define DICOM_TAG(id, tag, name) TAG_##id = (int)tag,
#include "tags.def"
#undef DICOM_TAG
};

/* "Pixel Spacing (0028,0030)"; a tag that is not in tags.def has no name: "(0009,1001)".  Returns text. */
enum { DICOM_TAG_TEXT = 80 };
const char *dicom_tag_name(char text[DICOM_TAG_TEXT], uint32_t tag);

#endif
