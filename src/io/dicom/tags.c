/* See tags.h. */
#include "tags.h"

#include <stdio.h>

static const struct {
    uint32_t tag;
    const char *name;
} names[] = {
#define DICOM_TAG(id, tag, name) {tag, name},
#include "tags.def"
#undef DICOM_TAG
};

const char *dicom_tag_name(char text[DICOM_TAG_TEXT], uint32_t tag) {
    const char *name = "";
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].tag == tag) name = names[i].name;
    snprintf(text, DICOM_TAG_TEXT, "%s%s(%04x,%04x)", name, *name ? " " : "", (unsigned)(tag >> 16), (unsigned)(tag & 0xffff));
    return text;
}
