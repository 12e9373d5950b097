/* The style sheet of every page that libcover writes: the library's reports, and the command's studies. */
#ifndef COVER_REPORT_STYLE_H
#define COVER_REPORT_STYLE_H

extern const char report_style[];

#endif
