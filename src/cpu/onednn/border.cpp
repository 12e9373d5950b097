/* Every call of border.h inside of a try. */
#include "border.h"

#include <new>

template <auto call> struct border;
template <typename... Arguments, dnnl_status_t (*call)(Arguments...)> struct border<call> {
    static dnnl_status_t run(Arguments... arguments) noexcept {
        try {
            return call(arguments...);
        } catch (const std::bad_alloc &) {
            return dnnl_out_of_memory;
        } catch (...) {
            return dnnl_runtime_error;
        }
    }
};

#define CALL(name) decltype(dnnl_##name) *const onednn_##name = border<dnnl_##name>::run;
ONEDNN_CALLS(CALL)
