/* A grid on the host: blocks one after another, each CUDA thread a fiber.  A thread runs until it waits (barrier, shuffle, vote) or
 * returns; who waits is woken by the last one to arrive.  A thread that never waits costs no switch: its fiber takes the next one.
 * Rules (CUDA C++ Programming Guide, "Synchronization Functions", "Warp Shuffle Functions"): a block's barrier is for all its
 * threads; a warp's words are for all lanes of the mask that have not returned, with one mask, in one place.  What breaks them stops
 * the kernel with a message. */
#include "checker.h"
#include "fiber.h"
#include "launch.h"

#include <cstdio>
#include <memory>
#include <pthread.h>
#include <vector>

__thread struct cudasim_place cudasim_place __attribute__((tls_model("initial-exec")));

namespace {

constexpr unsigned LANES = 32, MAX_THREADS = 1024;
enum wait_kind : unsigned char { NOT_WAITING, AT_BARRIER, AT_WARP_BARRIER, AT_SHUFFLE, AT_BALLOT };
const char *const wait_names[] = {"", "a barrier of the block", "a barrier of the warp", "a shuffle", "a vote"};

struct lane_wait { /* what a lane waits for, and what it gives */
    unsigned mask;
    cudasim_site site;
    wait_kind kind;
    unsigned char bytes, source;
    bool predicate;
    unsigned char value[16];
};
struct warp {
    unsigned exists, returned, waiting; /* lanes */
    lane_wait lanes[LANES];
    uint32_t seen[LANES][LANES]; /* checker.h */
};
struct thread_state {
    fiber *on;
    uint3 index;
    wait_kind waits;
    bool returned;
    cudasim_site site;
};

struct engine { /* one a thread of the host */
    const grid_launch *launch;
    random_bits random{0};
    unsigned threads, started, returned; /* of the block */
    uint3 block;
    thread_state state[MAX_THREADS];
    warp warps[MAX_THREADS / LANES];
    unsigned order[MAX_THREADS]; /* in which threads start */
    unsigned ready[MAX_THREADS], ready_count;
    unsigned current;
    bool running;
    struct {
        unsigned arrived, result, count;
        cudasim_barrier kind;
        cudasim_site site;
        unsigned first;
    } barrier;

    fiber root{};
    fiber *on; /* what runs now */
    std::vector<fiber *> all_fibers, free_fibers;
    std::vector<unsigned char> shared;

    cudaError_t error;
    char message[1600];

    ~engine() {
        for (fiber *f : all_fibers) fiber_destroy(f);
    }
};
thread_local std::unique_ptr<engine> engine_owner;
__thread engine *self __attribute__((tls_model("initial-exec")));

uint3 thread_index(unsigned thread, dim3 size) {
    return uint3{thread % size.x, thread / size.x % size.y, thread / (size.x * size.y)};
}

phrase describe(unsigned thread) {
    uint3 i = self->state[thread].index;
    return phrase("thread (%u,%u,%u)", i.x, i.y, i.z);
}

phrase describe(cudasim_site site) {
    const char *slash = strrchr(site.file, '/');
    return phrase("%s:%d", slash ? slash + 1 : site.file, site.line);
}

[[noreturn]] void run_threads(void *);

fiber *take_fiber() {
    if (self->free_fibers.empty()) {
        fiber *f = fiber_create(run_threads, nullptr, (unsigned)self->all_fibers.size());
        if (!f) grid_fail(cudaErrorMemoryAllocation, "no memory for another stack");
        self->all_fibers.push_back(f);
        return f;
    }
    fiber *f = self->free_fibers.back();
    self->free_fibers.pop_back();
    return f;
}

/* The running thread is this one from now on, on that fiber. */
void become(unsigned thread, const fiber *on) {
    self->current = thread;
    cudasim_place.thread = self->state[thread].index;
    cudasim_place.lane = thread % LANES;
    checker.thread = thread;
    checker.seen = self->warps[thread / LANES].seen;
    checker.stack = reinterpret_cast<uintptr_t>(on->stack);
    checker.stack_bytes = on->stack_bytes;
}

[[noreturn]] void deadlock() {
    char text[900] = "";
    size_t used = 0;
    unsigned told = 0;
    for (unsigned t = 0; t < self->threads && told < 6; t++) {
        const thread_state *s = &self->state[t];
        if (!s->waits || (t && self->state[t - 1].waits == s->waits && self->state[t - 1].site.line == s->site.line)) continue;
        phrase mask("%s", "");
        if (s->waits != AT_BARRIER) mask = phrase(" with mask 0x%08x", self->warps[t / LANES].lanes[t % LANES].mask);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s waits at %s (%s)%s", told++ ? ", " : "", describe(t).text,
                                 wait_names[s->waits], describe(s->site).text, mask.text);
        if (used >= sizeof text) break;
    }
    grid_fail(cudaErrorLaunchTimeout, "no thread can go on: %s; %u have returned", text, self->returned);
}

/* Which thread runs next?  True: one that has not started yet (order[started]). */
bool choose(unsigned *thread) {
    bool fresh = self->started < self->threads;
    if (self->ready_count == 0) {
        if (!fresh) deadlock();
    } else if (!fresh || !self->launch->seed || (self->random.next() & 7)) {
        unsigned at = self->launch->seed ? self->random.below(self->ready_count) : self->ready_count - 1;
        *thread = self->ready[at];
        self->ready[at] = self->ready[--self->ready_count];
        return false;
    }
    *thread = self->order[self->started++];
    return true;
}

/* The running thread waits: another fiber goes on, until somebody has made it ready again. */
void suspend(wait_kind kind, cudasim_site site) {
    unsigned me = self->current, next;
    self->state[me].waits = kind;
    self->state[me].site = site;
    bool fresh = choose(&next);
    fiber *mine = self->on, *to;
    if (fresh) {
        to = take_fiber();
        to->thread = next;
        self->state[next].on = to;
    } else {
        to = self->state[next].on;
    }
    become(next, to);
    self->on = to;
    fiber_switch(mine, to);
}

void make_ready(unsigned thread) {
    self->state[thread].waits = NOT_WAITING;
    self->ready[self->ready_count++] = thread;
}

/* Lanes of `group` have all arrived: what each asked for is worked out, and all but the running thread are made ready. */
void complete(warp *w, unsigned first_thread, unsigned group) {
    unsigned char results[LANES][16];
    unsigned votes = 0;
    wait_kind kind = w->lanes[__builtin_ctz(group)].kind;
    if (kind == AT_BALLOT)
        for (unsigned left = group; left; left &= left - 1)
            votes |= (unsigned)w->lanes[__builtin_ctz(left)].predicate << __builtin_ctz(left);
    for (unsigned left = group; left; left &= left - 1) {
        unsigned lane = (unsigned)__builtin_ctz(left);
        const lane_wait *wait = &w->lanes[lane];
        if (kind == AT_BALLOT) {
            memcpy(results[lane], &votes, sizeof votes);
        } else if (kind == AT_SHUFFLE) {
            if (!(group >> wait->source & 1))
                grid_fail(cudaErrorLaunchFailure, "%s: a shuffle of %s reads lane %u, which %s (mask 0x%08x)",
                          describe(wait->site).text, describe(first_thread + lane).text, wait->source,
                          !(w->exists >> wait->source & 1)  ? "does not exist"
                          : w->returned >> wait->source & 1 ? "has returned"
                                                            : "does not take part",
                          wait->mask);
            memcpy(results[lane], w->lanes[wait->source].value, 16);
        }
    }
    if (kind == AT_WARP_BARRIER) check_warp_barrier(w->seen, group);
    w->waiting &= ~group;
    for (unsigned left = group; left; left &= left - 1) {
        unsigned lane = (unsigned)__builtin_ctz(left);
        if (kind != AT_WARP_BARRIER) memcpy(w->lanes[lane].value, results[lane], 16);
        if (self->state[first_thread + lane].waits) make_ready(first_thread + lane);
    }
}

/* Have all lanes arrived that `lane` waits for? */
bool all_arrived(const warp *w, unsigned first_thread, unsigned lane, unsigned *group) {
    const lane_wait *wait = &w->lanes[lane];
    *group = wait->mask & w->exists & ~w->returned;
    if (*group & ~w->waiting) return false;
    for (unsigned left = *group; left; left &= left - 1) {
        unsigned other = (unsigned)__builtin_ctz(left);
        const lane_wait *its = &w->lanes[other];
        if (its->mask == wait->mask && its->kind == wait->kind && its->site.line == wait->site.line) continue;
        if (!(its->mask >> lane & 1) && its->mask != wait->mask) return false; /* it waits for others first, and comes later */
        grid_fail(cudaErrorLaunchFailure,
                  "lanes of a warp wait for each other in different ways: %s at %s (%s, mask 0x%08x), %s at "
                  "%s (%s, mask 0x%08x)",
                  describe(first_thread + lane).text, wait_names[wait->kind], describe(wait->site).text, wait->mask,
                  describe(first_thread + other).text, wait_names[its->kind], describe(its->site).text, its->mask);
    }
    return true;
}

lane_wait *arrive(wait_kind kind, unsigned mask, cudasim_site site) {
    unsigned lane = self->current % LANES;
    lane_wait *wait = &self->warps[self->current / LANES].lanes[lane];
    if (!(mask >> lane & 1))
        grid_fail(cudaErrorLaunchFailure, "%s: mask 0x%08x of %s does not name the calling lane %u", describe(site).text, mask,
                  wait_names[kind], lane);
    wait->mask = mask;
    wait->site = site;
    wait->kind = kind;
    return wait;
}

void rendezvous(const lane_wait *wait) {
    unsigned me = self->current, lane = me % LANES, group;
    warp *w = &self->warps[me / LANES];
    w->waiting |= 1u << lane;
    if (all_arrived(w, me - lane, lane, &group)) complete(w, me - lane, group);
    else suspend(wait->kind, wait->site);
}

void thread_returns() {
    unsigned me = self->current, lane = me % LANES;
    warp *w = &self->warps[me / LANES];
    self->state[me].returned = true;
    self->returned++;
    w->returned |= 1u << lane;
    if (self->barrier.arrived)
        grid_fail(cudaErrorLaunchFailure, "returns, but %s waits at a barrier of the block (%s)",
                  describe(self->barrier.first).text, describe(self->barrier.site).text);
    for (unsigned left = w->waiting; left; left &= left - 1) { /* they may have waited for this lane alone */
        unsigned other = (unsigned)__builtin_ctz(left), group;
        if (w->waiting >> other & 1 && w->lanes[other].mask >> lane & 1 && all_arrived(w, me - lane, other, &group))
            complete(w, me - lane, group);
    }
}

[[noreturn]] void run_threads(void *) {
    fiber *mine = self->on;
    fiber_arrived(mine);
    for (;;) {
        self->launch->run(self->launch->closure);
        thread_returns();
        unsigned next;
        if (self->returned == self->threads) {
            self->free_fibers.push_back(mine);
            self->on = &self->root;
            fiber_switch(mine, &self->root);
        } else if (choose(&next)) {
            mine->thread = next;
            self->state[next].on = mine;
            become(next, mine);
        } else {
            self->free_fibers.push_back(mine);
            fiber *to = self->state[next].on;
            become(next, to);
            self->on = to;
            fiber_switch(mine, to);
        }
    }
}

void run_block(uint3 block) {
    const grid_launch *launch = self->launch;
    self->block = block;
    self->started = self->returned = self->ready_count = 0;
    self->barrier.arrived = self->barrier.count = 0;
    for (unsigned w = 0; w * LANES < self->threads; w++) {
        unsigned lanes = self->threads - w * LANES;
        self->warps[w].exists = lanes >= LANES ? ~0u : (1u << lanes) - 1;
        self->warps[w].returned = self->warps[w].waiting = 0;
    }
    for (unsigned t = 0; t < self->threads; t++) {
        self->state[t].waits = NOT_WAITING;
        self->state[t].returned = false;
        unsigned at = launch->seed ? self->random.below(t + 1) : t;
        self->order[t] = self->order[at];
        self->order[at] = t;
    }
    cudasim_place.block = block;
    unsigned first = self->order[self->started++];
    fiber *f = take_fiber();
    f->thread = first;
    self->state[first].on = f;
    become(first, f);
    check_block_begins();
    self->on = f;
    fiber_switch(&self->root, f);
}

} // namespace

phrase::phrase(const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
}

bool grid_running(void) { return self && self->running; }

void grid_fail(cudaError_t error, const char *format, ...) {
    char text[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    const char *name = self->launch->name; /* LAUNCH's argument: a template's stands in brackets */
    const bool brackets = *name == '(';
    const int length = (int)strlen(name) - 2 * brackets;
    uint3 b = self->block;
    snprintf(self->message, sizeof self->message, "%.*s, block (%u,%u,%u), %s: %s", length, name + brackets, b.x, b.y, b.z,
             describe(self->current).text, text);
    self->error = error;
    fiber *from = self->on;
    self->on = &self->root;
    fiber_switch(from, &self->root); /* the fibers are abandoned */
    __builtin_unreachable();
}

cudaError_t grid_run(const grid_launch *launch, std::string *message) {
    if (!self) {
        engine_owner = std::make_unique<engine>();
        self = engine_owner.get();
#if defined(__SANITIZE_ADDRESS__)
        pthread_attr_t attributes;
        void *stack;
        pthread_getattr_np(pthread_self(), &attributes);
        pthread_attr_getstack(&attributes, &stack, &self->root.stack_bytes);
        self->root.stack = static_cast<unsigned char *>(stack);
        pthread_attr_destroy(&attributes);
#endif
    }
    self->launch = launch;
    self->random = random_bits(launch->seed);
    self->threads = launch->block.x * launch->block.y * launch->block.z;
    self->error = cudaSuccess;
    for (unsigned t = 0; t < self->threads; t++) self->state[t].index = thread_index(t, launch->block);
    self->shared.resize(launch->shared_bytes + 64);
    unsigned char *shared = self->shared.data();
    cudasim_place.shared = shared + (-(uintptr_t)shared & 63);
    cudasim_place.block_size = launch->block;
    cudasim_place.grid_size = launch->grid;

    uint64_t blocks = (uint64_t)launch->grid.x * launch->grid.y * launch->grid.z;
    uint64_t step = 1, at = 0; /* a random order: b -> (at + b step) mod blocks, step prime and no divisor */
    if (launch->seed && blocks > 1) {
        step = 2147483647u % blocks && blocks != 2147483647u ? 2147483647u : 1;
        at = self->random.below((uint32_t)(blocks < UINT32_MAX ? blocks : UINT32_MAX));
        if (self->random.next() & 1) step = blocks - step % blocks;
    }
    for (unsigned w = 0; w * LANES < self->threads; w++) memset(self->warps[w].seen, 0, sizeof self->warps[w].seen);
    check_launch_begins(launch, reinterpret_cast<uintptr_t>(cudasim_place.shared));
    self->running = true;
    for (uint64_t b = 0; b < blocks && self->error == cudaSuccess; b++, at = (at + step) % blocks) {
        memset(cudasim_place.shared, 0xff, launch->shared_bytes); /* NaN to whoever reads what nobody wrote */
        run_block(uint3{(unsigned)(at % launch->grid.x), (unsigned)(at / launch->grid.x % launch->grid.y),
                        (unsigned)(at / launch->grid.x / launch->grid.y)});
    }
    self->running = false;
    check_launch_ends();
    if (self->error != cudaSuccess) {
        *message = self->message;
        std::string here = check_source_line(checker.here), other = check_source_line(checker.other);
        if (!here.empty()) *message += " (" + here + (other.empty() ? "" : ", the other at " + other) + ")";
        self->free_fibers.clear(); /* a fiber may have been left anywhere */
        for (unsigned i = 0; i < self->all_fibers.size(); i++) {
            fiber_restart(self->all_fibers[i], run_threads, nullptr, i);
            self->free_fibers.push_back(self->all_fibers[i]);
        }
    }
    return self->error;
}

/* ---- what kernels call */
int cudasim_block_barrier(cudasim_barrier kind, int predicate, cudasim_site site) {
    engine *e = self;
    if (e->returned)
        grid_fail(cudaErrorLaunchFailure, "%s: a barrier of the block, but %u threads have returned", describe(site).text,
                  e->returned);
    if (!e->barrier.arrived) {
        e->barrier.site = site;
        e->barrier.kind = kind;
        e->barrier.first = e->current;
    } else if (e->barrier.site.line != site.line || e->barrier.kind != kind) {
        grid_fail(cudaErrorLaunchFailure, "waits at the block's barrier at %s, while %s waits at that of %s", describe(site).text,
                  describe(e->barrier.first).text, describe(e->barrier.site).text);
    }
    e->barrier.count += predicate != 0;
    if (++e->barrier.arrived < e->threads) {
        suspend(AT_BARRIER, site);
    } else {
        unsigned count = e->barrier.count;
        e->barrier.result = kind == CUDASIM_BARRIER_AND ? count == e->threads : kind == CUDASIM_BARRIER_OR ? count > 0 : count;
        e->barrier.arrived = e->barrier.count = 0;
        check_barrier();
        for (unsigned t = 0; t < e->threads; t++)
            if (t != e->current) make_ready(t);
    }
    return (int)e->barrier.result;
}

void cudasim_warp_barrier(unsigned mask, cudasim_site site) { rendezvous(arrive(AT_WARP_BARRIER, mask, site)); }

void cudasim_shuffle(unsigned mask, void *value, unsigned bytes, unsigned source, cudasim_site site) {
    lane_wait *wait = arrive(AT_SHUFFLE, mask, site);
    wait->source = (unsigned char)(source % LANES);
    memcpy(wait->value, value, bytes);
    rendezvous(wait);
    memcpy(value, wait->value, bytes);
}

unsigned cudasim_ballot(unsigned mask, int predicate, cudasim_site site) {
    lane_wait *wait = arrive(AT_BALLOT, mask, site);
    wait->predicate = predicate != 0;
    rendezvous(wait);
    unsigned votes;
    memcpy(&votes, wait->value, sizeof votes);
    return votes;
}

unsigned cudasim_active_lanes(void) {
    const warp *w = &self->warps[self->current / LANES];
    return w->exists & ~w->returned;
}

void cudasim_trap(const char *what, cudasim_site site) { grid_fail(cudaErrorLaunchFailure, "%s: %s", describe(site).text, what); }
