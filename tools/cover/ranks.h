/* The command's ranks: ranks.c finds out which one this process is, ranks_start.c starts those of --ranks and watches over them.
 */
#ifndef COVER_COMMAND_RANKS_H
#define COVER_COMMAND_RANKS_H

#include "command.h"

/* What a launcher tells a process by its environment. */
#define RANK_VARIABLE "COVER_RANK"
#define RANKS_VARIABLE "COVER_RANKS"
#define ADDRESS_VARIABLE "COVER_ADDRESS"
#define TOKEN_VARIABLE "COVER_TOKEN"

/* Run this command as `ranks` processes and wait for them; the exit status. */
int ranks_start(struct session *session, int ranks);

#endif
