/* What a machine can do at best, as an executor measures it.  Used by bench for the floors of operations. */
#ifndef COVER_PEAK_H
#define COVER_PEAK_H

struct peak_rates {
    double f32;   /* FLOP/s of fused multiply-adds, counted as two */
    double bf16;  /* FLOP/s of bfloat16 dot products with float32 sums; 0 = no such instruction */
    double bytes; /* bytes/s to and from memory, past the caches */
};
struct peak {
    struct peak_rates one, all; /* one thread; all of the context's at once */
};

#endif
