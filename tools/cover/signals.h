/* Signals of the command.  The ones that ask it to stop are one table: signals.c catches them for a verb that works here; ranks_start.c
 * and study_child.c catch them to pass them on to their children, each of which is a command of its own. */
#ifndef COVER_COMMAND_SIGNALS_H
#define COVER_COMMAND_SIGNALS_H

#include "command.h"

#include <signal.h>

/* Catch those that ask for a stop (a hang-up that was ignored, by nohup, stays ignored), and ignore those by which a reader that has gone or a limit on
 * files would end the process: their writes fail instead. */
void signals_catch(void (*handler)(int number));
/* Block those that are caught, and SIGTSTP; *before is for sigprocmask(SIG_SETMASK). */
void signals_block(sigset_t *before);
/* Between fork and exec: what was caught does what it does by default. */
void signals_release(void);
bool signals_asks_for_a_stop(int number);

/* For a verb that works in this process: a signal cancels the context, as soon as there is one. */
void signals_begin(const struct session *session);
void signals_cancel(cover_context *context); /* NULL = none any more */
bool signals_asked(void);

#endif
