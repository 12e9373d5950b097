/* Numbers and words as text, the same in every locale: a host program may have called setlocale(), and then printf and strtod
 * want its decimal point and strcasecmp its letters.  Called wherever the library reads or writes a number, or ignores case. */
#ifndef COVER_NUMBER_H
#define COVER_NUMBER_H

#include "base.h"

#include <locale.h>

/* strtod() and strtof(), with a decimal point. */
double number_read(const char *text, char **end);
float number_read_float(const char *text, char **end);
/* snprintf() and vsnprintf(), with a decimal point. */
int number_print(char *text, size_t bytes, const char *format, ...) PRINTF_LIKE(3, 4);
int number_print_list(char *text, size_t bytes, const char *format, va_list arguments);

/* Between the two calls this thread has the C locale; for libraries that read or write numbers themselves. */
locale_t locale_enter(void);
void locale_leave(locale_t before);

/* A to Z and a to z are the same, other bytes as they are. */
bool same_word(const char *a, const char *b);
static inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

#endif
