/* Checking every access of a kernel to memory: see checker.h.
 *
 * A word of memory (4 bytes) has a cell: who wrote it last and when, who read it since.  Two accesses are in order if a barrier of the
 * block, the end of the kernel, or a barrier of the warp that both lanes took part in lies between; a shuffle or vote is none.  Else,
 * if one of them writes and not both are atomic, it is a race: between threads in shared and global memory, between blocks in
 * global.  Words that are accessed by parts are split into cells of bytes. */
#include "checker.h"

#include "state.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>

__thread struct checker checker __attribute__((tls_model("initial-exec"))) = {};

namespace {

/* A stamp: time << 11 | who.  Of a write: ATOMIC | thread.  Of a read: a thread, 1024 + warp for several lanes of it, MANY. */
constexpr uint32_t WHO_BITS = 11, WHO = (1u << WHO_BITS) - 1, ATOMIC = 1024, MANY = WHO, SPLIT = ~0u;
constexpr uint32_t TIME_MAX = (1u << (32 - WHO_BITS)) - 2, TIME_LEFT = 1 << 16;
struct cell {
    uint32_t write, read;
};
struct note {               /* of shared memory alone */
    uint32_t readers, code; /* lanes; the writer's code, its lower half */
};
enum access { READ, WRITE, UPDATE };
const char *const access_names[] = {"reads", "writes", "updates atomically"};

constexpr size_t SHARED_MAX = 256 << 10;
struct shared_cells {
    cell words[SHARED_MAX / 4], bytes[SHARED_MAX];
    note word_notes[SHARED_MAX / 4], byte_notes[SHARED_MAX];
};
thread_local std::unique_ptr<shared_cells> shared_owner;
__thread shared_cells *in_shared __attribute__((tls_model("initial-exec")));
bool races_between_blocks = true;

uintptr_t device_begin;
size_t device_size;
unsigned char *valid; /* of each 16 bytes of device memory, how many are valid from the left */
cell *words, *bytes;  /* of device memory */
uint32_t clocks[DEVICES_MAX];

phrase who(unsigned thread) {
    const uint3 size = cudasim_place.block_size;
    return phrase("thread (%u,%u,%u)", thread % size.x, thread / size.x % size.y, thread / (size.x * size.y));
}

phrase explain(uintptr_t address, unsigned size) {
    hold locked(state.lock);
    return check_explain(reinterpret_cast<void *>(address), size);
}

[[noreturn]] void fail_access(cudaError_t error, access kind, uintptr_t address, unsigned size, uintptr_t code) {
    checker.here = code;
    grid_fail(error, "%s %u bytes: %s", access_names[kind], size, explain(address, size).text);
}

[[noreturn, gnu::noinline]] void fail_race(access kind, uintptr_t address, uint32_t stamp, access before, const note *n,
                                           uintptr_t code) {
    const bool same_block = stamp >> WHO_BITS >= checker.block;
    const size_t offset = address - checker.shared;
    const uint32_t other = stamp & WHO;
    const phrase place =
        offset < checker.shared_bytes ? phrase("byte %zu of shared memory", offset) : phrase("%s", "global memory");
    const phrase culprit = before != READ  ? who(other & 1023)
                           : other == MANY ? phrase("%s", "several threads")
                           : other >= 1024 ? phrase("lanes of warp %u", other - 1024)
                                           : who(other);
    checker.here = code;
    if (n && before != READ && n->code) checker.other = (code & ~(uintptr_t)UINT32_MAX) | n->code;
    grid_fail(cudaErrorLaunchFailure, "race: %s %s, which %s%s %s with no barrier between", access_names[kind], place.text,
              culprit.text, same_block ? "" : " of another block",
              before == READ    ? "has read"
              : before == WRITE ? "has written"
                                : "has updated atomically");
}

[[noreturn, gnu::noinline]] void fail_not_written(uintptr_t address, uintptr_t code) {
    checker.here = code;
    grid_fail(cudaErrorLaunchFailure, "reads byte %u of shared memory, which nobody has written",
              (unsigned)(address - checker.shared));
}

/* Was what happened at `stamp` before what the running thread does now?  who < 1024: a thread, else lanes of a warp. */
bool in_order(uint32_t stamp, uint32_t who, uint32_t lanes) {
    uint32_t time = stamp >> WHO_BITS;
    if (time < checker.launch) return true;
    if (time < checker.block) return !races_between_blocks;
    if (time < checker.barrier || who == checker.thread) return true;
    unsigned warp = who >= 1024 ? who - 1024 : who / CHECK_LANES;
    if (who == MANY || warp != checker.thread / CHECK_LANES) return false;
    unsigned me = checker.thread % CHECK_LANES;
    if (who < 1024) lanes = 1u << who % CHECK_LANES;
    for (lanes &= ~(1u << me); lanes; lanes &= lanes - 1)
        if (checker.seen[me][__builtin_ctz(lanes)] <= time) return false;
    return true;
}

template <bool SHARED, access KIND> [[gnu::always_inline]] inline void visit(cell *c, note *n, uintptr_t address, uintptr_t code) {
    const uint32_t thread = checker.thread, write = c->write;
    const uint32_t since = (SHARED ? checker.block : checker.launch) << WHO_BITS; /* what was before is of no interest */
    if (SHARED && KIND != WRITE && __builtin_expect(write < since, 0)) fail_not_written(address, code);
    if ((SHARED ? write >= checker.barrier << WHO_BITS && (write & 1023) != thread : write >= since) &&
        !(KIND == UPDATE && (write & ATOMIC)) && !in_order(write, write & 1023, 0))
        fail_race(KIND, address, write, write & ATOMIC ? UPDATE : WRITE, n, code);
    const uint32_t read = c->read, now = checker.now << WHO_BITS;
    if (KIND == READ) {
        const uint32_t warp = thread / CHECK_LANES, lane = 1u << thread % CHECK_LANES;
        if (read == (now | thread) || (read >= checker.barrier << WHO_BITS && (read & WHO) == MANY)) return;
        if (!SHARED && read >= since && read >> WHO_BITS < checker.block) return; /* another block's reading is kept */
        if (read >> WHO_BITS < checker.barrier) {
            c->read = now | thread;
            if (SHARED) n->readers = lane;
            return;
        }
        uint32_t before = read & WHO;
        if (before == thread) {
            c->read = now | thread;
        } else if (before != MANY && (before >= 1024 ? before - 1024 : before / CHECK_LANES) == warp) {
            c->read = now | (1024 + warp);
            if (SHARED) n->readers |= lane;
        } else {
            c->read = now | MANY;
        }
        return;
    }
    if (read >= since && !in_order(read, read & WHO, SHARED ? n->readers : ~0u)) fail_race(KIND, address, read, READ, n, code);
    c->write = now | (KIND == UPDATE ? ATOMIC : 0) | thread;
    c->read = 0;
    if (SHARED) n->code = (uint32_t)code;
}

template <bool SHARED, access KIND>
[[gnu::noinline]] void visit_bytes(cell *word, cell *parts, note *word_note, note *part_notes, uintptr_t address, unsigned first,
                                   unsigned count, uintptr_t code) {
    if (word->write != SPLIT) {
        for (unsigned i = 0; i < 4; i++) {
            parts[i] = *word;
            if (SHARED) part_notes[i] = *word_note;
        }
        word->write = SPLIT;
    }
    for (unsigned i = first; i < first + count; i++)
        visit<SHARED, KIND>(&parts[i], SHARED ? &part_notes[i] : nullptr, address - first + i, code);
}

/* All words that the access touches; offset: from the begin of the memory that the cells belong to. */
template <bool SHARED, access KIND>
inline void visit_words(cell *word_cells, cell *byte_cells, note *word_notes, note *byte_notes, size_t offset, unsigned size,
                        uintptr_t address, uintptr_t code) {
    if (offset % 4 == 0 && size % 4 == 0) { /* nearly always */
        cell *c = &word_cells[offset / 4];
        for (unsigned i = 0; i < size / 4; i++, address += 4) {
            if (__builtin_expect(c[i].write != SPLIT, 1))
                visit<SHARED, KIND>(&c[i], SHARED ? &word_notes[offset / 4 + i] : nullptr, address, code);
            else
                visit_bytes<SHARED, KIND>(&c[i], byte_cells + offset + 4 * i, SHARED ? &word_notes[offset / 4 + i] : nullptr,
                                          SHARED ? byte_notes + offset + 4 * i : nullptr, address, 0, 4, code);
        }
        return;
    }
    while (size) {
        size_t word = offset / 4;
        unsigned first = offset % 4, count = size < 4 - first ? size : 4 - first;
        cell *c = &word_cells[word];
        note *n = SHARED ? &word_notes[word] : nullptr;
        visit_bytes<SHARED, KIND>(c, byte_cells + 4 * word, n, SHARED ? byte_notes + 4 * word : nullptr, address, first, count,
                                  code);
        offset += count, address += count, size -= count;
    }
}

bool all_valid(size_t offset, unsigned size) {
    for (size_t end = offset + size; offset < end;) {
        size_t part = 16 - offset % 16 < end - offset ? 16 - offset % 16 : end - offset;
        if (offset % 16 + part > valid[offset / 16]) return false;
        offset += part;
    }
    return true;
}

int in_constants(struct dl_phdr_info *object, size_t, void *address) {
    for (int i = 0; i < object->dlpi_phnum; i++)
        if (object->dlpi_phdr[i].p_type == PT_LOAD && !(object->dlpi_phdr[i].p_flags & PF_W) &&
            *static_cast<uintptr_t *>(address) - (object->dlpi_addr + object->dlpi_phdr[i].p_vaddr) < object->dlpi_phdr[i].p_memsz)
            return 1;
    return 0;
}

/* Neither shared nor device memory nor the thread's own stack: threadIdx and the like, parameters, constants of the program and pinned
 * memory are allowed. */
[[gnu::noinline]] void visit_foreign(access kind, uintptr_t address, unsigned size, uintptr_t code) {
    static __thread uintptr_t known; /* a page of constants that was found before */
    if (address - reinterpret_cast<uintptr_t>(&cudasim_place) < sizeof cudasim_place ||
        address - checker.parameters < checker.parameters_bytes || address / 4096 == known)
        return;
    if (dl_iterate_phdr(in_constants, &address)) {
        known = address / 4096;
        return;
    }
    {
        hold locked(state.lock);
        if (is_pinned(reinterpret_cast<void *>(address), size)) return;
    }
    fail_access(cudaErrorIllegalAddress, kind, address, size, code);
}

/* Anything but the thread's own stack. */
template <access KIND, unsigned SIZE> [[gnu::noinline]] void check(uintptr_t address, unsigned size, uintptr_t code) {
    if (SIZE) size = SIZE;
    size_t offset = address - checker.shared;
    if (offset < checker.shared_bytes) {
        if (__builtin_expect(checker.shared_bytes - offset < size, 0))
            fail_access(cudaErrorIllegalAddress, KIND, address, size, code);
        visit_words<true, KIND>(in_shared->words, in_shared->bytes, in_shared->word_notes, in_shared->byte_notes, offset, size,
                                address, code);
    } else if ((offset = address - device_begin) < device_size) {
        if ((__builtin_expect(offset % 16 + size > valid[offset / 16], 0) && !all_valid(offset, size)) ||
            __builtin_expect(offset / DEVICE_SPAN != (size_t)checker.device, 0))
            fail_access(cudaErrorIllegalAddress, KIND, address, size, code);
        visit_words<false, KIND>(words, bytes, nullptr, nullptr, offset, size, address, code);
    } else {
        visit_foreign(KIND, address, size, code);
    }
}

/* A thread's own stack is its own; outside of kernels all is. */
template <access KIND, unsigned SIZE> [[gnu::always_inline]] inline void check_any(void *p, size_t size, uintptr_t code) {
    uintptr_t address = reinterpret_cast<uintptr_t>(p);
    if (address - checker.stack >= checker.stack_bytes) check<KIND, SIZE>(address, (unsigned)size, code);
}

void forget_times(int device) {
    memset(in_shared->words, 0, sizeof in_shared->words);
    memset(in_shared->bytes, 0, sizeof in_shared->bytes);
    size_t first = (size_t)device * DEVICE_SPAN, used = state.device[device].next;
    madvise(words + first / 4, (used / 4 + 1) * sizeof *words, MADV_DONTNEED);
    madvise(bytes + first, (used + 4) * sizeof *bytes, MADV_DONTNEED);
    clocks[device] = 1;
}

} // namespace

bool check_reserve(uintptr_t begin, size_t size) {
    auto map = [](size_t bytes) {
        return mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    };
    void *v = map(size / 16), *w = map(size / 4 * sizeof(cell)), *b = map(size * sizeof(cell));
    if (v == MAP_FAILED || w == MAP_FAILED || b == MAP_FAILED) return false;
    valid = static_cast<unsigned char *>(v), words = static_cast<cell *>(w), bytes = static_cast<cell *>(b);
    device_begin = begin, device_size = size;
    return true;
}

void check_set_valid(uintptr_t begin, size_t size, bool is) {
    size_t first = (begin - device_begin) / 16, whole = size / 16;
    memset(valid + first, is ? 16 : 0, whole);
    if (size % 16) valid[first + whole] = is ? (unsigned char)(size % 16) : 0;
}

void check_launch_begins(const grid_launch *launch, uintptr_t shared) {
    if (!in_shared) {
        shared_owner.reset(new shared_cells());
        in_shared = shared_owner.get();
    }
    checker.shared = shared;
    checker.shared_bytes = launch->shared_bytes;
    checker.parameters = reinterpret_cast<uintptr_t>(launch->closure);
    checker.parameters_bytes = launch->closure_bytes;
    checker.device = launch->device;
    if (clocks[launch->device] > TIME_MAX - TIME_LEFT) forget_times(launch->device);
    memset(in_shared->words, 0, (launch->shared_bytes + 3) / 4 * sizeof *in_shared->words); /* their times were another device's */
    memset(in_shared->bytes, 0, (launch->shared_bytes + 3) / 4 * 4 * sizeof *in_shared->bytes);
    checker.now = checker.launch = ++clocks[launch->device];
    checker.here = checker.other = 0;
}

void check_block_begins(void) {
    if (checker.now > TIME_MAX - TIME_LEFT) {
        forget_times(checker.device);
        checker.now = checker.launch = clocks[checker.device];
    }
    checker.block = checker.barrier = ++checker.now;
    checker.on = true;
}

void check_launch_ends(void) {
    checker.on = false;
    checker.stack = 0;
    checker.stack_bytes = SIZE_MAX;
    clocks[checker.device] = checker.now;
}

void check_warp_barrier(uint32_t (*seen)[CHECK_LANES], unsigned group) {
    uint32_t known[CHECK_LANES] = {};
    checker.now++;
    for (unsigned left = group; left; left &= left - 1)
        for (unsigned lane = 0; lane < CHECK_LANES; lane++) {
            uint32_t time = seen[__builtin_ctz(left)][lane];
            known[lane] = time > known[lane] ? time : known[lane];
        }
    for (unsigned left = group; left; left &= left - 1) known[__builtin_ctz(left)] = checker.now;
    for (unsigned left = group; left; left &= left - 1) memcpy(seen[__builtin_ctz(left)], known, sizeof known);
}

phrase check_explain(const void *pointer, size_t size) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(pointer);
    if (checker.on && address - checker.shared < checker.shared_bytes + 4096)
        return phrase("byte %zu of %zu of shared memory", address - checker.shared, checker.shared_bytes);
    if (!device_begin || address - device_begin >= device_size)
        return phrase("%p is not device memory (an address of the host?)", pointer);
    uintptr_t begin;
    int device;
    const allocation *found = find_allocation(pointer, &begin, &device);
    if (!found) return phrase("%p lies before all memory of device %d", pointer, device);
    const size_t offset = address - begin;
    if (offset >= found->bytes)
        return phrase("%zu bytes behind the end of an allocation of %zu", offset - found->bytes, found->bytes);
    if (found->freed) return phrase("byte %zu of %zu of memory that was freed", offset, found->bytes);
    if (size > found->bytes - offset) return phrase("%zu bytes from byte %zu of an allocation of %zu", size, offset, found->bytes);
    return phrase("memory of device %d, on device %d", device, checker.device);
}

std::string check_source_line(uintptr_t code) {
    Dl_info object;
    if (!code || !dladdr(reinterpret_cast<void *>(code), &object) || !object.dli_fname || strchr(object.dli_fname, '\'')) return "";
    char command[4400], line[512];
    snprintf(command, sizeof command, "addr2line -i -s -e '%s' 0x%zx 2>/dev/null", object.dli_fname,
             (size_t)(code - 1 - reinterpret_cast<uintptr_t>(object.dli_fbase)));
    FILE *pipe = popen(command, "r");
    std::string found;
    while (pipe && fgets(line, sizeof line, pipe)) { /* from the innermost inlined function outwards: the first of the kernels */
        line[strcspn(line, " \n")] = 0;
        if (found.empty() && !strchr(line, '?') && !strstr(line, "cudasim_device.h") && !strstr(line, "cuda_bf16.h")) found = line;
    }
    if (pipe) pclose(pipe);
    return found;
}

/* ---- what kernels call: atomics always, the rest where kernels are instrumented for us and not for the sanitizers of the build */
#define CODE reinterpret_cast<uintptr_t>(__builtin_return_address(0))
void cudasim_atomic(void *address, unsigned bytes) {
    uintptr_t at = reinterpret_cast<uintptr_t>(address);
    if (checker.on && at % bytes) {
        checker.here = CODE;
        grid_fail(cudaErrorMisalignedAddress, "an atomic update of %u bytes at %p, which is no multiple of that", bytes, address);
    }
    check_any<UPDATE, 0>(address, bytes, CODE);
}

#if CUDASIM_CHECKED
#define HOOK extern "C" CUDASIM_API void
#define HOOKS(size)                                                                                                                \
    HOOK __tsan_read##size(void *p) { check_any<READ, size>(p, size, CODE); }                                                      \
    HOOK __tsan_write##size(void *p) { check_any<WRITE, size>(p, size, CODE); }                                                    \
    HOOK __tsan_unaligned_read##size(void *p) { check_any<READ, size>(p, size, CODE); }                                            \
    HOOK __tsan_unaligned_write##size(void *p) { check_any<WRITE, size>(p, size, CODE); }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
HOOK __tsan_read_range(void *p, size_t bytes) { check_any<READ, 0>(p, bytes, CODE); }
HOOK __tsan_write_range(void *p, size_t bytes) { check_any<WRITE, 0>(p, bytes, CODE); }
HOOK __tsan_init(void) {}
HOOK __tsan_vptr_update(void **, void *) {}
HOOK __tsan_vptr_read(void **) {}
HOOK __tsan_func_entry(void *) {}
HOOK __tsan_func_exit(void *) {}

struct ubsan_place {
    const char *file;
    uint32_t line, column;
};
struct ubsan_type {
    uint16_t kind, info;
    char name[1];
};
struct ubsan_mismatch {
    ubsan_place place;
    const ubsan_type *type;
    unsigned char log_alignment, kind;
};
struct ubsan_bounds {
    ubsan_place place;
    const ubsan_type *array, *index;
};
HOOK __ubsan_handle_type_mismatch_v1(ubsan_mismatch *what, uintptr_t pointer) {
    if (!checker.on) return;
    if (!pointer)
        grid_fail(cudaErrorIllegalAddress, "follows a null pointer to %s (%s:%u)", what->type->name, what->place.file,
                  what->place.line);
    grid_fail(cudaErrorMisalignedAddress, "misaligned: %s at %p, which is no multiple of %u bytes (%s:%u)", what->type->name,
              reinterpret_cast<void *>(pointer), 1u << what->log_alignment, what->place.file, what->place.line);
}
HOOK __ubsan_handle_out_of_bounds(ubsan_bounds *what, uintptr_t index) {
    if (checker.on)
        grid_fail(cudaErrorIllegalAddress, "index %lld is outside of %s (%s:%u)", (long long)index, what->array->name,
                  what->place.file, what->place.line);
}
#endif
