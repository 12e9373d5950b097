/* Random images (sevr_random.h): Philox and Box-Muller, LANES counters abreast in loops that the compiler vectorises.
 * Logarithm, sine and cosine are polynomials, so that the numbers do not depend on the C library. */
#include "sevr_random.h"

#include <string.h>

/* A group is LANES Philox counters of four words; place i of the image is word (i % GROUP) / LANES of counter
 * i / GROUP * LANES + i % LANES, so that a word of all lanes is one run of places. */
enum { LANES = 8, WORDS = 4, GROUP = LANES * WORDS };

static inline void draw_group(uint32_t word[WORDS][LANES], const struct random_image *image, uint64_t group) {
    uint64_t counter = group * LANES;
    uint32_t k0 = (uint32_t)image->seed, k1 = (uint32_t)(image->seed >> 32);
    uint32_t use = (uint32_t)image->use | image->plane << 8 | (uint32_t)(counter >> 32) << 16;
    for (int i = 0; i < LANES; i++) {
        word[0][i] = (uint32_t)counter + (uint32_t)i;
        word[1][i] = use, word[2][i] = image->step, word[3][i] = image->sample;
    }
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < LANES; i++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * word[0][i], p1 = (uint64_t)0xCD9E8D57u * word[2][i];
            uint32_t high0 = (uint32_t)(p0 >> 32), high1 = (uint32_t)(p1 >> 32);
            word[0][i] = high1 ^ word[1][i] ^ k0, word[1][i] = (uint32_t)p1;
            word[2][i] = high0 ^ word[3][i] ^ k1, word[3][i] = (uint32_t)p0;
        }
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
}

static inline void uniform_group(float values[GROUP], const struct random_image *image, uint64_t group) {
    uint32_t word[WORDS][LANES];
    draw_group(word, image, group);
    for (int w = 0; w < WORDS; w++)
        for (int i = 0; i < LANES; i++) values[w * LANES + i] = (float)(int32_t)(word[w][i] >> 8) * 0x1p-24f;
}

static inline int32_t bits_of(float value) {
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
static inline float float_of(int32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* -2 ln(u), 0 < u <= 1: u = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), ln(1 + f) = f - f^2/2 + f^3 P(f). */
static inline float minus_two_log(float u) {
    int32_t bits = bits_of(u), exponent = (bits - bits_of(0.70710678f)) >> 23;
    float f = float_of(bits - (int32_t)((uint32_t)exponent << 23)) - 1.0f;
    float p = 0.09126061f;
    p = p * f - 0.14062281f;
    p = p * f + 0.14694774f;
    p = p * f - 0.16599189f;
    p = p * f + 0.19984502f;
    p = p * f - 0.25000781f;
    p = p * f + 0.33333415f;
    return -2.0f * ((float)exponent * 0.69314718f + (f - f * f * (0.5f - f * p)));
}

/* Cosine and sine of 2 pi u, 0 <= u < 1: the nearest quarter turn, and polynomials of the rest in [-1/2, 1/2] quarters.
 */
static inline void cos_sin_turn(float u, float *cosine, float *sine) {
    float quarters = 4.0f * u;
    int32_t quarter = (int32_t)(quarters + 0.5f);
    float r = quarters - (float)quarter, z = r * r;
    float s = r * (1.57079637f + z * (-0.64596349f + z * (0.07968003f - z * 0.00460165786f)));
    float c = 1.0f + z * (-1.23370051f + z * (0.25366917f + z * (-0.02085994f + z * 0.00090336f)));
    int32_t swap = -(quarter & 1) & (bits_of(s) ^ bits_of(c)); /* sine and cosine change places at odd quarters */
    *cosine = float_of((bits_of(c) ^ swap) ^ (int32_t)((uint32_t)(quarter + 1) << 30 & 0x80000000u));
    *sine = float_of((bits_of(s) ^ swap) ^ (int32_t)((uint32_t)quarter << 30 & 0x80000000u));
}

static inline void normal_group(float values[GROUP], const struct random_image *image, uint64_t group) {
    uint32_t word[WORDS][LANES];
    draw_group(word, image, group);
    for (int w = 0; w < WORDS; w += 2)
        for (int i = 0; i < LANES; i++) {
            float u = (float)(int32_t)((word[w][i] >> 8) + 1) * 0x1p-24f;
            float radius = __builtin_sqrtf(minus_two_log(u)), cosine, sine;
            cos_sin_turn((float)(int32_t)(word[w + 1][i] >> 8) * 0x1p-24f, &cosine, &sine);
            values[w * LANES + i] = radius * cosine, values[(w + 1) * LANES + i] = radius * sine;
        }
}

/* Whole groups straight into `values`, the ends through a buffer. */
#define FILL(draw)                                                                                                                 \
    for (int64_t done = 0; done < count;) {                                                                                        \
        uint64_t group = (uint64_t)(first + done) / GROUP;                                                                         \
        int64_t skip = (first + done) % GROUP, take = GROUP - skip < count - done ? GROUP - skip : count - done;                   \
        if (take == GROUP) draw(values + done, image, group);                                                                      \
        else {                                                                                                                     \
            float part[GROUP];                                                                                                     \
            draw(part, image, group);                                                                                              \
            memcpy(values + done, part + skip, (size_t)take * sizeof *values);                                                     \
        }                                                                                                                          \
        done += take;                                                                                                              \
    }

void random_image_uniform(float *values, const struct random_image *image, int64_t first, int64_t count) { FILL(uniform_group) }

void random_image_normal(float *values, const struct random_image *image, int64_t first, int64_t count) { FILL(normal_group) }
