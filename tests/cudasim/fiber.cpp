/* Fibers: see fiber.h. */
#include "fiber.h"

#include <cstdint>
#include <cstring>
#include <new>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
constexpr size_t STACK_BYTES = 512 << 10;
#else
constexpr size_t STACK_BYTES = 128 << 10;
#endif
constexpr size_t GUARD_BYTES = 4096;

#ifdef CUDASIM_OWN_SWITCH
extern "C" void cudasim_switch(void **save, void *load);
asm(R"(
    .text
    .type cudasim_switch, @function
cudasim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size cudasim_switch, . - cudasim_switch
    .type cudasim_enter, @function
cudasim_enter:                     # the first "return" of a fiber: its entry lies in rbx, the argument in r12
    movq %r12, %rdi
    callq *%rbx
    ud2
    .size cudasim_enter, . - cudasim_enter
)");
extern "C" void cudasim_enter(void);
#endif

void fiber_restart(fiber *f, void (*entry)(void *), void *argument, unsigned colour) {
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(f->stack, f->stack_bytes);
    f->fake_stack = nullptr;
#endif
#ifdef CUDASIM_OWN_SWITCH
    unsigned char *top = f->stack + f->stack_bytes - 16 - (colour % 32) * 192; /* a multiple of 16 */
    void **frame = reinterpret_cast<void **>(top) - 7;
    memset(frame, 0, 9 * sizeof *frame);
    frame[3] = argument;                        /* r12 */
    frame[4] = reinterpret_cast<void *>(entry); /* rbx */
    frame[6] = reinterpret_cast<void *>(cudasim_enter);
    f->stack_pointer = frame;
#else
    (void)colour;
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = f->stack_bytes;
    f->context.uc_link = nullptr;
    uintptr_t e = reinterpret_cast<uintptr_t>(entry), a = reinterpret_cast<uintptr_t>(argument);
    void (*enter)(unsigned, unsigned, unsigned, unsigned) = [](unsigned e1, unsigned e0, unsigned a1, unsigned a0) {
        auto join = [](unsigned hi, unsigned lo) { return reinterpret_cast<void *>((uintptr_t)((uint64_t)hi << 32 | lo)); };
        reinterpret_cast<void (*)(void *)>(join(e1, e0))(join(a1, a0));
    };
    makecontext(&f->context, reinterpret_cast<void (*)()>(enter), 4, (unsigned)((uint64_t)e >> 32), (unsigned)e,
                (unsigned)((uint64_t)a >> 32), (unsigned)a);
#endif
}

fiber *fiber_create(void (*entry)(void *), void *argument, unsigned colour) {
    void *memory =
        mmap(nullptr, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    mprotect(memory, GUARD_BYTES, PROT_NONE); /* a stack that runs over stops here */
    fiber *f = new fiber();
    f->stack = static_cast<unsigned char *>(memory) + GUARD_BYTES;
    f->stack_bytes = STACK_BYTES;
    fiber_restart(f, entry, argument, colour);
    return f;
}

void fiber_destroy(fiber *f) {
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(f->stack, f->stack_bytes); /* what is mapped here next is no stack */
#endif
    munmap(f->stack - GUARD_BYTES, GUARD_BYTES + f->stack_bytes);
    delete f;
}

void fiber_switch(fiber *from, fiber *to) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->stack_bytes);
#endif
#ifdef CUDASIM_OWN_SWITCH
    cudasim_switch(&from->stack_pointer, to->stack_pointer);
#else
    swapcontext(&from->context, &to->context);
#endif
#if defined(__SANITIZE_ADDRESS__)
    fiber_arrived(from);
#endif
}

void fiber_arrived(fiber *self) {
#if defined(__SANITIZE_ADDRESS__)
    const void *stack;
    size_t bytes;
    __sanitizer_finish_switch_fiber(self->fake_stack, &stack, &bytes);
    (void)stack, (void)bytes;
#else
    (void)self;
#endif
}
