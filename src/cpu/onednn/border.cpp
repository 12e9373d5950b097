/* Every call of border.h inside of a try. */
#include "border.h"

template <auto call> struct border;
template <typename... Arguments, dnnl_status_t (*call)(Arguments...)> struct border<call> {
    static dnnl_status_t run(Arguments... arguments) noexcept {
        try {
            return call(arguments...);
        } catch (...) { /* std::bad_alloc, and what follows from it: a promise of another thread that was broken */
            return dnnl_out_of_memory;
        }
    }
};

#define CALL(name) decltype(dnnl_##name) *const onednn_##name = border<dnnl_##name>::run;
ONEDNN_CALLS(CALL)
