/* Fibers: stacks that one thread of the host runs in turn.  A switch is a dozen instructions on x86-64; others go
 * through ucontext; sanitizers are told.  Used by block.cpp alone. */
#ifndef CUDASIM_FIBER_H
#define CUDASIM_FIBER_H

#include <cstddef>

#if defined(__x86_64__) && !defined(CUDASIM_UCONTEXT) /* CUDASIM_UCONTEXT: to test the other way */
#define CUDASIM_OWN_SWITCH
#else
#include <ucontext.h>
#endif

struct fiber {
#ifdef CUDASIM_OWN_SWITCH
    void *stack_pointer;
#else
    ucontext_t context;
#endif
    unsigned char *stack; /* nullptr: the thread's own stack */
    size_t stack_bytes;
    void *fake_stack; /* AddressSanitizer's */
    unsigned thread;  /* the CUDA thread that it runs */
};

/* A fiber that will call entry(argument) when it is first switched to; entry never returns.  `colour` shifts the stack, so that fibers
 * do not all use the same lines of the cache.  nullptr: no memory. */
fiber *fiber_create(void (*entry)(void *argument), void *argument, unsigned colour);
void fiber_destroy(fiber *f);
/* What was abandoned on its stack is forgotten: it starts anew. */
void fiber_restart(fiber *f, void (*entry)(void *argument), void *argument, unsigned colour);
void fiber_switch(fiber *from, fiber *to);
/* To be called first in entry. */
void fiber_arrived(fiber *self);

#endif
