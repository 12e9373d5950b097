/* The emulator's cooperative_groups.h: the block, and tiles of 1 to 32 lanes of a warp, as kernels of src/cuda use them.  All waiting
 * goes through the same rendezvous as __syncthreads() and the shuffles (block.cpp). */
#ifndef CUDASIM_COOPERATIVE_GROUPS_H
#define CUDASIM_COOPERATIVE_GROUPS_H

#include "cuda_runtime.h"

namespace cooperative_groups {

class thread_block {
  public:
    void sync(CUDASIM_SITE) const { cudasim_block_barrier(CUDASIM_BARRIER, 0, CUDASIM_HERE); }
    static unsigned thread_rank() { return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z); }
    static unsigned num_threads() { return blockDim.x * blockDim.y * blockDim.z; }
    static unsigned size() { return num_threads(); }
    static dim3 group_index() { return blockIdx; }
    static dim3 thread_index() { return threadIdx; }
    static dim3 dim_threads() { return blockDim; }
};
inline thread_block this_thread_block() { return thread_block(); }

template <unsigned Size, typename Parent = void> class thread_block_tile {
    static_assert(Size >= 1 && Size <= 32 && (Size & (Size - 1)) == 0, "tiles are powers of two up to a warp");
    static unsigned mask() { return (unsigned)(((1ull << Size) - 1) << (cudasim_lane() & ~(Size - 1))); }
    static unsigned first() { return cudasim_lane() & ~(Size - 1); }

  public:
    void sync(CUDASIM_SITE) const { cudasim_warp_barrier(mask(), CUDASIM_HERE); }
    static unsigned thread_rank() { return cudasim_lane() & (Size - 1); }
    static constexpr unsigned num_threads() { return Size; }
    static constexpr unsigned size() { return Size; }
    static unsigned meta_group_rank() { return thread_block::thread_rank() / Size; }
    static unsigned meta_group_size() { return (thread_block::num_threads() + Size - 1) / Size; }
    template <typename T> T shfl(T value, int source, CUDASIM_SITE) const {
        return __shfl_sync(mask(), value, source, (int)Size, file, line);
    }
    template <typename T> T shfl_up(T value, unsigned delta, CUDASIM_SITE) const {
        return __shfl_up_sync(mask(), value, delta, (int)Size, file, line);
    }
    template <typename T> T shfl_down(T value, unsigned delta, CUDASIM_SITE) const {
        return __shfl_down_sync(mask(), value, delta, (int)Size, file, line);
    }
    template <typename T> T shfl_xor(T value, int lanes, CUDASIM_SITE) const {
        return __shfl_xor_sync(mask(), value, lanes, (int)Size, file, line);
    }
    unsigned ballot(int predicate, CUDASIM_SITE) const { return cudasim_ballot(mask(), predicate, CUDASIM_HERE) >> first(); }
    int any(int predicate, CUDASIM_SITE) const { return cudasim_ballot(mask(), predicate, CUDASIM_HERE) != 0; }
    int all(int predicate, CUDASIM_SITE) const { return cudasim_ballot(mask(), !predicate, CUDASIM_HERE) == 0; }
};
template <unsigned Size, typename Parent> inline thread_block_tile<Size, Parent> tiled_partition(const Parent &) {
    return thread_block_tile<Size, Parent>();
}
template <typename Group> inline void sync(const Group &group, CUDASIM_SITE) { group.sync(file, line); }

template <typename T> struct plus {
    T operator()(T a, T b) const { return a + b; }
};
template <typename T> struct less {
    T operator()(T a, T b) const { return b < a ? b : a; }
};
template <typename T> struct greater {
    T operator()(T a, T b) const { return b > a ? b : a; }
};
template <unsigned Size, typename Parent, typename T, typename F>
inline T reduce(const thread_block_tile<Size, Parent> &tile, T value, F join, CUDASIM_SITE) {
    for (unsigned lanes = Size / 2; lanes; lanes /= 2) value = join(value, tile.shfl_xor(value, (int)lanes, file, line));
    return value;
}

} // namespace cooperative_groups
#endif
