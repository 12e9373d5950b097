/* SHA-256 (FIPS 180-4), the plain form and one for the SHA extension of x86-64; both give the same bits.
 * Called by the seal of our HDF5 files, the hash of weight files, pack, the dataset reader and check. */
#include "sha256.h"

#include <stdatomic.h>
#include <string.h>
#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

/* First 32 bits of the fractional parts of the cube roots of the first 64 primes (section 4.2.2). */
static const uint32_t round_constants[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static inline uint32_t rotate(uint32_t x, int bits) { return x >> bits | x << (32 - bits); }

static inline uint32_t big_endian(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

void sha256_blocks_plain(uint32_t state[8], const uint8_t *data, size_t count) {
    for (; count > 0; count--, data += 64) {
        uint32_t w[64];
        for (int t = 0; t < 16; t++) w[t] = big_endian(data + 4 * t);
        for (int t = 16; t < 64; t++) {
            uint32_t s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
            uint32_t s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;
            w[t] = w[t - 16] + s0 + w[t - 7] + s1;
        }
        uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
        uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
        for (int t = 0; t < 64; t++) {
            uint32_t sum1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25), choice = (e & f) ^ (~e & g);
            uint32_t sum0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22), majority = (a & b) ^ (a & c) ^ (b & c);
            uint32_t t1 = h + sum1 + choice + round_constants[t] + w[t], t2 = sum0 + majority;
            h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
        }
        state[0] += a, state[1] += b, state[2] += c, state[3] += d;
        state[4] += e, state[5] += f, state[6] += g, state[7] += h;
    }
}

#ifdef __x86_64__
static bool ask_processor(void) {
    unsigned a, b, c, d;
    const unsigned ssse3 = 1u << 9, sse41 = 1u << 19, sha = 1u << 29;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & ssse3) == 0 || (c & sse41) == 0) return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & sha) != 0;
}

/* Asked once: in a virtual machine CPUID takes longer than hashing a page. */
bool sha256_has_extension(void) {
    static atomic_int answer; /* 0 = not asked yet, 1 = no, 2 = yes */
    int known = atomic_load_explicit(&answer, memory_order_relaxed);
    if (known == 0) {
        known = ask_processor() ? 2 : 1;
        atomic_store_explicit(&answer, known, memory_order_relaxed);
    }
    return known == 2;
}

/* Equals sha256_blocks_plain.  The instructions want the state as (a b e f) and (c d g h), and do two rounds each. */
__attribute__((target("sha,sse4.1,ssse3"))) void sha256_blocks_extension(uint32_t state[8], const uint8_t *data, size_t count) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i low = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);        /* b a d c */
    __m128i high = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b); /* h g f e */
    __m128i abef = _mm_alignr_epi8(low, high, 8), cdgh = _mm_blend_epi16(high, low, 0xf0);
    for (; count > 0; count--, data += 64) {
        const __m128i abef_before = abef, cdgh_before = cdgh;
        __m128i w[4]; /* the last sixteen words of the schedule */
        for (int t = 0; t < 16; t++) {
            __m128i *now = &w[t & 3];
            if (t < 4) {
                *now = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data + 16 * t)), swap);
            } else {
                __m128i previous = w[(t + 3) & 3];
                __m128i sum =
                    _mm_add_epi32(_mm_sha256msg1_epu32(*now, w[(t + 1) & 3]), _mm_alignr_epi8(previous, w[(t + 2) & 3], 4));
                *now = _mm_sha256msg2_epu32(sum, previous);
            }
            __m128i words = _mm_add_epi32(*now, _mm_load_si128((const __m128i *)(round_constants + 4 * t)));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, words);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(words, 0x0e));
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    low = _mm_shuffle_epi32(abef, 0x1b);  /* f e b a -> a b e f */
    high = _mm_shuffle_epi32(cdgh, 0xb1); /* h g d c -> g h c d */
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(low, high, 0xf0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(high, low, 8));
}
#else
bool sha256_has_extension(void) { return false; }
void sha256_blocks_extension(uint32_t state[8], const uint8_t *data, size_t count) { sha256_blocks_plain(state, data, count); }
#endif

void sha256_begin(struct sha256 *hash) {
    *hash =
        (struct sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
                        .blocks = sha256_has_extension() ? sha256_blocks_extension : sha256_blocks_plain};
}

void sha256_add(struct sha256 *hash, const void *data, size_t bytes) {
    const uint8_t *from = data;
    size_t held = hash->bytes % 64;
    if (bytes == 0) return; /* data may be NULL */
    hash->bytes += bytes;
    if (held > 0) {
        size_t taken = bytes < 64 - held ? bytes : 64 - held;
        memcpy(hash->pending + held, from, taken);
        from += taken, bytes -= taken;
        if (held + taken < 64) return;
        hash->blocks(hash->state, hash->pending, 1);
    }
    hash->blocks(hash->state, from, bytes / 64);
    if (bytes % 64) memcpy(hash->pending, from + bytes / 64 * 64, bytes % 64);
}

void sha256_end(struct sha256 *hash, uint8_t digest[SHA256_BYTES]) {
    static const uint8_t padding[64] = {0x80};
    uint64_t bits = hash->bytes * 8;
    size_t held = hash->bytes % 64;
    uint8_t length[8];
    for (int i = 0; i < 8; i++) length[i] = (uint8_t)(bits >> (56 - 8 * i));
    sha256_add(hash, padding, held < 56 ? 56 - held : 120 - held);
    sha256_add(hash, length, sizeof length);
    for (int i = 0; i < 32; i++) digest[i] = (uint8_t)(hash->state[i / 4] >> (24 - 8 * (i % 4)));
}

void sha256(const void *data, size_t bytes, uint8_t digest[SHA256_BYTES]) {
    struct sha256 hash;
    sha256_begin(&hash);
    sha256_add(&hash, data, bytes);
    sha256_end(&hash, digest);
}

void sha256_text(const uint8_t digest[SHA256_BYTES], char text[SHA256_TEXT]) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < SHA256_BYTES; i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 15];
    }
    text[64] = 0;
}
