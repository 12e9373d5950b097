/* What the segments of a task are called in DICOM (R44): codes from the task's JSON, else from the class's name by codes.def, else a
 * private one, with a warning.  Called by the writers of this room and by fine-tuning. */
#ifndef COVER_DICOM_CODES_H
#define COVER_DICOM_CODES_H

#include "core/base/base.h"

struct dicom_code {
    char value[17], scheme[17], meaning[65]; /* value "": there is none */
};
struct dicom_segment {
    char label[65];
    struct dicom_code category, type, modifier, region;
    uint8_t rgb[3];
    uint16_t lab[3]; /* the same colour, as Recommended Display CIELab Value has it */
};

/* Segments of the classes behind the background, in their order: memory_free().  names NULL: those of the JSON, which then stand for 1, 2,
 * ...; json NULL: by name alone. */
cover_status dicom_segments_make(struct dicom_segment **segments, int *count, cover_context *context, const char *const *names,
                                 int classes, const char *json);
/* ASCII as DICOM's texts have it, cut to fit: what else there is becomes '?', a backslash '/'. */
void dicom_clean_text(char *to, size_t room, const char *text);

#endif
