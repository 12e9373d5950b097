/* The forms of plain/smooth.c: its loops, as the compiler makes them of this instruction set. */
#include "vec.h"

#undef PLAIN
#define PLAIN(kernel) FORM(kernel)
#include "../plain/smooth.c"
