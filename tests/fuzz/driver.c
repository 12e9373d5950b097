/* Runs a harness without libFuzzer: each file of a corpus, then `count` of them changed at random, the same ones for the same seed.
 * Usage: fuzz_NAME CORPUS [COUNT [SEED]]      or CORPUS a file: that one alone, to look at a finding. */
#include "fuzz.h"

#include <dirent.h>

enum { LONGEST = 1 << 18 };

struct input {
    uint8_t *data;
    size_t size;
};
static struct input *inputs;
static long input_count;

static uint64_t state;
static uint64_t draw(uint64_t below) { /* splitmix64 */
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (z ^ (z >> 31)) % below;
}

static void add(const char *path) {
    FILE *file = fopen(path, "rb");
    struct input input = {.data = malloc(LONGEST)};
    require(file && input.data, path);
    input.size = fread(input.data, 1, LONGEST, file);
    fclose(file);
    inputs = realloc(inputs, (size_t)(input_count + 1) * sizeof *inputs);
    require(inputs != NULL, "memory");
    inputs[input_count++] = input;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void read_corpus(const char *path) {
    struct dirent **entries;
    const int count = scandir(path, &entries, NULL, by_name);
    if (count < 0) add(path);
    for (int i = 0; i < count; i++) {
        char name[1024];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') add(name);
        free(entries[i]);
    }
    if (count >= 0) free(entries);
}

/* Numbers at the edges of their types, as headers may hold them. */
static const uint32_t edges[] = {0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000u, 0xFFFFFFFFu};

static size_t change(uint8_t *data, size_t size) {
    const size_t at = size ? draw(size) : 0, rest = size - at;
    switch (draw(8)) {
    case 0:
        if (size) data[at] ^= (uint8_t)(1u << draw(8));
        break;
    case 1:
        if (size) data[at] = (uint8_t)draw(256);
        break;
    case 2: { /* a number */
        const uint32_t value = edges[draw(sizeof edges / sizeof *edges)];
        memcpy(data + at, &value, rest < 4 ? rest : 4);
        break;
    }
    case 3: /* the end is gone */
        return size ? draw(size) : 0;
    case 4: { /* some bytes are gone */
        const size_t gone = rest ? 1 + draw(rest < 16 ? rest : 16) : 0;
        memmove(data + at, data + at + gone, rest - gone);
        return size - gone;
    }
    case 5: { /* some come twice */
        const size_t more = rest ? 1 + draw(rest < 16 ? rest : 16) : 0;
        if (size + more > LONGEST) break;
        memmove(data + at + more, data + at, rest);
        return size + more;
    }
    case 6: { /* a piece of another input */
        const struct input *other = &inputs[draw((uint64_t)input_count)];
        const size_t from = other->size ? draw(other->size) : 0, count = other->size - from < rest ? other->size - from : rest;
        memcpy(data + at, other->data + from, count);
        break;
    }
    default:
        for (size_t i = at; i < size && i < at + 4; i++) data[i] = (uint8_t)draw(256);
    }
    return size;
}

/* What is being tried lies in a file, so that a crash can be looked at again. */
static void keep(const uint8_t *data, size_t size) {
    static const char *name;
    if (!name) name = getenv("FUZZ_KEEP");
    FILE *file = name ? fopen(name, "wb") : NULL;
    if (file) fwrite(data, 1, size, file), fclose(file);
}

int main(int count, char **word) {
    if (count < 2) return fputs("usage: fuzz_NAME CORPUS [COUNT [SEED]]\n", stderr), 2;
    const long tries = count > 2 ? atol(word[2]) : 0;
    uint8_t *data = malloc(LONGEST + 16);
    read_corpus(word[1]);
    require(data && input_count > 0, "an empty corpus");
    state = count > 3 ? (uint64_t)atol(word[3]) : 1;
    for (long i = 0; i < input_count + tries; i++) {
        const struct input *from = &inputs[i < input_count ? (uint64_t)i : draw((uint64_t)input_count)];
        size_t size = from->size;
        memcpy(data, from->data, size);
        for (uint64_t changes = i < input_count ? 0 : 1 + draw(6); changes > 0; changes--) size = change(data, size);
        keep(data, size);
        LLVMFuzzerTestOneInput(data, size);
    }
    printf("ok 1 - %ld inputs, %ld of them changed\n1..1\n", input_count + tries, tries);
    for (long i = 0; i < input_count; i++) free(inputs[i].data);
    free(inputs);
    free(data);
    return 0;
}
