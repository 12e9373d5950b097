/* How blocks walk over feature maps.  A block is vectors of channels across and pixels down, so that its threads lie in memory order
 * and a thread keeps its channels: what belongs to a channel is loaded once, and no index is divided.  Included by kernels/. */
#ifndef COVER_CUDA_WALK_CUH
#define COVER_CUDA_WALK_CUH

#include "../cuda.h"
#include "../kernels.h"

namespace { // every file has its own copy

/* Threads of a block.  __launch_bounds__(BLOCK, n) gives ptxas all the registers that n blocks on a processor leave, where by itself it
 * would rather spill a few than have fewer blocks. */
constexpr int BLOCK = 256;
constexpr int GRID_Y_MOST = 65535;

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t at_least_one(int64_t a) { return a < 1 ? 1 : a; }

/* The block for pixels of so many vectors of channels; blocks beside each other make up for more vectors than it is wide. */
inline dim3 block_for(int64_t vectors, int64_t pixels) {
    const int64_t across = vectors < BLOCK ? at_least_one(vectors) : BLOCK, down = BLOCK / across;
    return dim3((unsigned)across, (unsigned)at_least_one(pixels < down ? pixels : down));
}
inline unsigned tiles_for(int64_t vectors, const dim3 &block) { return (unsigned)ceil_div(vectors, block.x); }
inline unsigned grid_of_images(int images) { return (unsigned)(images < GRID_Y_MOST ? images : GRID_Y_MOST); }

/* Kernels that go over the pixels of images: x over pixels, y over tiles of channels, z over images. */
inline dim3 grid_for(const dim3 &block, int64_t vectors, int64_t pixels, int images, int each) {
    return dim3((unsigned)at_least_one(ceil_div(pixels, (int64_t)block.y * each)), tiles_for(vectors, block),
                grid_of_images(images));
}
/* The vector of channels of this thread. */
__device__ inline int64_t my_vector() { return (int64_t)blockIdx.y * blockDim.x + threadIdx.x; }
/* The body that follows runs for each pixel of this thread. */
#define EACH_PIXEL(p, pixels)                                                                                                      \
    for (int64_t p = (int64_t)blockIdx.x * blockDim.y + threadIdx.y; p < (pixels); p += (int64_t)gridDim.x * blockDim.y)
#define EACH_IMAGE(image, images) for (int image = (int)blockIdx.z; image < (images); image += (int)gridDim.z)

/* Kernels that go over rows: a block takes a row of one image, its z and h are the same for all threads. */
struct sizes { /* of a grid, for kernels; one plane in 2D */
    int d, h, w;
};
struct row {
    int64_t image;
    int z, h;
};
inline sizes sizes_of(const struct grid *grid) { return sizes{(int)grid->size[0], (int)grid->size[1], (int)grid->size[2]}; }
__device__ inline row my_row(const sizes &s) {
    const unsigned plane = blockIdx.x / (unsigned)s.h;
    return row{plane / (unsigned)s.d, (int)(plane % (unsigned)s.d), (int)(blockIdx.x % (unsigned)s.h)};
}
inline dim3 grid_of_rows(const sizes &s, int images, int64_t vectors, const dim3 &block) {
    return dim3((unsigned)images * (unsigned)s.d * (unsigned)s.h, tiles_for(vectors, block));
}
#define EACH_COLUMN(w, width) for (int w = (int)threadIdx.y; w < (width); w += (int)blockDim.y)
/* Pixel (z, h, w) of an image. */
__device__ inline int64_t pixel_at(const sizes &s, int64_t image, int z, int h, int w) {
    return ((image * s.d + z) * s.h + h) * s.w + w;
}

/* i, or the nearest that an axis has. */
__device__ inline int clamped(int i, int size) { return i < 0 ? 0 : i < size ? i : size - 1; }

/* Flat vectors: enough blocks to fill a large chip, a loop for the rest. */
inline dim3 grid_for_count(int64_t count, int each) {
    const int64_t blocks = ceil_div(count, (int64_t)BLOCK * each), most = 4096;
    return dim3((unsigned)at_least_one(blocks < most ? blocks : most));
}
constexpr int VECTORS_EACH = 4; /* of a thread, as long as the grid is not full */
/* The body that follows runs for each whole vector of this thread; TAIL is the element that it does behind them, if that exists. */
#define EACH_VECTOR(i, V, count)                                                                                                   \
    for (int64_t i = ((int64_t)blockIdx.x * BLOCK + threadIdx.x) * (V); i <= (count) - (V); i += (int64_t)gridDim.x * BLOCK * (V))
#define TAIL(V, count) ((count) / (V) * (V) + (int64_t)blockIdx.x * BLOCK + threadIdx.x)

} // namespace

#endif
