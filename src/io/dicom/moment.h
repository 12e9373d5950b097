/* A time of day on a calendar, with how far its place is from UTC: from ISO 8601 or from the clock, to DICOM's DA, TM and offset.
 * Called by derived.c. */
#ifndef COVER_DICOM_MOMENT_H
#define COVER_DICOM_MOMENT_H

#include <stdbool.h>

struct moment {
    int year, month, day, hour, minute, second, microsecond;
    bool zoned;
    int zone; /* minutes east of UTC */
};

/* "2026-11-30T12:00:00.5+01:00"; seconds, fraction and zone ("Z", "+01:00", "+0100") may be left out.  False: it is none. */
bool moment_read(struct moment *moment, const char *text);
/* Of the clock, in the place that the process is in. */
void moment_now(struct moment *moment);
/* The same instant in a zone "+0100"; nothing where either is not known. */
void moment_to_zone(struct moment *moment, const char *zone);
/* DA, TM, and "+0100" or "". */
void moment_print(const struct moment *moment, char date[9], char time[16], char zone[6]);

#endif
