/* Philox 4x32-10, a counter-based random generator (Salmon et al., SC 2011): a number depends on what it is for, never
 * on what was drawn before, so results do not depend on threads, ranks or resume. */
#ifndef COVER_PHILOX_H
#define COVER_PHILOX_H

#include <math.h>
#include <stdint.h>

/* Uses of random numbers; the first counter word, so that streams never meet.  Each keeps its number for good: add behind the last. */
enum random_use {
    RANDOM_INIT_WEIGHTS = 1,
    RANDOM_EPOCH_ORDER,
    RANDOM_VIEW_CROP,
    RANDOM_VIEW_AFFINE,
    RANDOM_VIEW_APPEARANCE,
    RANDOM_VIEW_NOISE,
    RANDOM_VIEW_INPAINT,
    RANDOM_VIEW_DEFORM,
    RANDOM_BOOTSTRAP,
    RANDOM_TASK_CROP,
    RANDOM_TASK_FLIP,
    RANDOM_TASK_SPLIT,
    RANDOM_EMBEDDING,
    RANDOM_ANALYSIS,
    RANDOM_TEST,
    RANDOM_LOOK_BOX,
    RANDOM_LOOK_INTENSITY,
    RANDOM_LOOK_CORRUPT,
    RANDOM_LOOK_MASK,
    RANDOM_LOOK_DAMAGE,
    RANDOM_LOOK_POSE,
    RANDOM_PARTNER,
    RANDOM_CLUSTERS,
    RANDOM_POINTS
};

struct random4 {
    uint32_t word[4];
};

static inline struct random4 philox(uint64_t key, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3) {
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c0 = n0, c1 = (uint32_t)p1, c2 = n2, c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    return (struct random4){{c0, c1, c2, c3}};
}

/* [0, 1) with 24 bits, exactly representable. */
static inline float uniform01(uint32_t word) { return (float)(word >> 8) * 0x1p-24f; }
/* Two standard normals from two words (Box-Muller). */
static inline void normal2(uint32_t a, uint32_t b, float out[2]) {
    float radius = sqrtf(-2.0f * logf(((float)(a >> 8) + 1.0f) * 0x1p-24f));
    float angle = 6.28318530717958648f * uniform01(b);
    out[0] = radius * cosf(angle), out[1] = radius * sinf(angle);
}

/* A stream of draws for one purpose: key = seed, counter = (use, sample-in-step, step, running number). */
struct random_stream {
    uint64_t seed;
    uint32_t use, sample, step, next;
    struct random4 block;
    int left;
};
static inline struct random_stream random_stream(uint64_t seed, enum random_use use, uint32_t step, uint32_t sample) {
    return (struct random_stream){.seed = seed, .use = (uint32_t)use, .sample = sample, .step = step};
}
static inline uint32_t random_word(struct random_stream *stream) {
    if (stream->left == 0) {
        stream->block = philox(stream->seed, stream->next++, stream->use, stream->step, stream->sample);
        stream->left = 4;
    }
    return stream->block.word[4 - stream->left--];
}
static inline float random_uniform(struct random_stream *stream, float low, float high) {
    return low + (high - low) * uniform01(random_word(stream));
}

#endif
