/* Foreign text inside a text for people: names of files, classes and hosts, words out of files.  Whatever bytes they hold, they can
 * neither begin a line nor steer a terminal nor turn the direction of what follows: such bytes are shown as \xNN.
 * Called by error.c, log.c, text.c and, compiled in there as well, by the command. */
#ifndef COVER_SHOWN_H
#define COVER_SHOWN_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Bytes of the UTF-8 character at c (Unicode 15, table 3-7); 0 when there is none. */
size_t utf8_length(const unsigned char *c);

/* Does the character of `length` bytes at c steer whoever shows it?  Controls (C0, DEL, C1), marks and overrides of direction,
 * separators of lines and paragraphs. */
bool character_steers(const unsigned char *c, size_t length);

/* vsnprintf() in the C locale where each %s is shown so; the format itself is ours and may hold line breaks.  Takes the conversions
 * d i u x c s p a e f g with flags, width, precision and the lengths h l ll z j t.  Returns the length of the whole text. */
int shown_print_list(char *text, size_t bytes, const char *format, va_list arguments);
int shown_print(char *text, size_t bytes, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The last line of defence, in place: of a whole text that was put together, what steers and is no line break becomes '?'. */
void shown_whole(char *text);

#endif
