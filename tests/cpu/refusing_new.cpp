/* operator new of the whole program, oneDNN's calls included, which refuses once.  Called by test_onednn.c. */
#include <cstdlib>
#include <new>

extern "C" {
long new_left = -1; /* calls that are still served before one is refused; below 0: all */
long new_refused;
}

void *operator new(std::size_t bytes) {
    if (new_left >= 0 && new_left-- == 0) {
        new_refused++;
        throw std::bad_alloc();
    }
    void *memory = std::malloc(bytes ? bytes : 1);
    if (!memory) throw std::bad_alloc();
    return memory;
}
void *operator new[](std::size_t bytes) { return operator new(bytes); }
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete[](void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void *memory, std::size_t) noexcept { std::free(memory); }
