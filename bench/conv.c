/* Times convolutions of the 2D and 3D networks in every form, one thread: GFLOP/s (best of a few, by processor time of
 * the thread) of forward, data gradient and weight gradient, GB/s of features read and written as well where memory is the
 * bound, and milliseconds of packing the weights.  conv [SLABS] [bf16] [step] [FORM...]: so many slabs; features of bf16;
 * as in a training step, x normalised on load and sums taken of y; those forms alone. */
#include "cpu/conv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct conv_shape shapes[] = {
#define SHAPE(ndim, d, h, w, in, out, kernel)                                                                                      \
    { {ndim, {d, h, w}}, in, out, kernel, true, true }
    SHAPE(2, 1, 384, 384, 1, 32, 3),   SHAPE(2, 1, 384, 384, 32, 32, 3),  SHAPE(2, 1, 384, 384, 96, 32, 3),
    SHAPE(2, 1, 192, 192, 32, 64, 3),  SHAPE(2, 1, 192, 192, 64, 64, 3),  SHAPE(2, 1, 192, 192, 192, 64, 3),
    SHAPE(2, 1, 96, 96, 64, 128, 3),   SHAPE(2, 1, 96, 96, 128, 128, 3),  SHAPE(2, 1, 96, 96, 384, 128, 3),
    SHAPE(2, 1, 48, 48, 128, 256, 3),  SHAPE(2, 1, 48, 48, 256, 256, 3),  SHAPE(2, 1, 48, 48, 768, 256, 3),
    SHAPE(2, 1, 24, 24, 256, 512, 3),  SHAPE(2, 1, 24, 24, 512, 512, 3),  SHAPE(2, 1, 384, 384, 32, 8, 1),
    SHAPE(2, 1, 192, 192, 64, 8, 1),   SHAPE(2, 1, 96, 96, 128, 32, 1),   SHAPE(2, 1, 48, 48, 256, 32, 1),
    SHAPE(2, 1, 24, 24, 512, 32, 1),   SHAPE(3, 64, 64, 64, 1, 32, 3),    SHAPE(3, 64, 64, 64, 32, 32, 3),
    SHAPE(3, 64, 64, 64, 96, 32, 3),   SHAPE(3, 32, 32, 32, 64, 64, 3),   SHAPE(3, 32, 32, 32, 192, 64, 3),
    SHAPE(3, 16, 16, 16, 128, 128, 3), SHAPE(3, 16, 16, 16, 384, 128, 3), SHAPE(3, 8, 8, 8, 256, 256, 3),
    SHAPE(3, 8, 8, 8, 768, 256, 3),    SHAPE(3, 4, 4, 4, 256, 512, 3),    SHAPE(3, 4, 4, 4, 512, 512, 3),
    SHAPE(2, 1, 384, 384, 32, 1, 1),   SHAPE(2, 1, 384, 384, 32, 2, 1),   SHAPE(2, 1, 384, 384, 32, 20, 1),
    SHAPE(2, 1, 384, 384, 32, 5, 1),   SHAPE(2, 1, 384, 384, 16, 14, 1),  SHAPE(2, 1, 384, 384, 64, 30, 1),
    SHAPE(3, 64, 64, 64, 32, 4, 1),    SHAPE(2, 1, 1, 1, 512, 14, 1),     SHAPE(3, 1, 1, 1, 512, 2, 1),
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static bool is_thin(const struct conv_shape *s) { return s->kernel == 1 || s->c_in == 1; }

enum { CHANNELS = 1024 };
struct memory {
    void *x, *y;
    float *w, bias[CHANNELS], scale[CHANNELS], offset[CHANNELS];
    double sums[2 * CHANNELS];
    void *packed, *scratch;
    bool step;
};

static void *values(int64_t count, enum element element) {
    void *memory = aligned_alloc(64, ((size_t)count * element_bytes(element) + 64) / 64 * 64);
    if (memory && element == ELEMENT_U8) memset(memory, 0, (size_t)count);
    for (int64_t i = 0; memory && element != ELEMENT_U8 && i < count; i++) {
        const float value = (float)(((uint64_t)i * 2654435761u >> 8) % 1024) / 1024 - 0.5f;
        if (element == ELEMENT_BF16) ((bf16 *)memory)[i] = bf16_from_float(value);
        else ((float *)memory)[i] = value;
    }
    return memory;
}

static double thread_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static cover_status run(const struct conv *conv, const struct conv_shape *s, enum conv_pass pass, struct memory *m) {
    const struct norm_load norm = {m->scale, m->offset, 0.2f};
    const struct conv_source x[CONV_SOURCES] = {{m->x, s->normed ? &norm : NULL}};
    void *const dx[CONV_SOURCES] = {m->x};
    if (pass == CONV_GRAD_WEIGHTS) return conv_grad_weights(conv, m->w, m->bias, x, m->y, m->scratch, false);
    double *sums = m->step && s->kernel == 3 ? m->sums : NULL;
    for (int slab = 0; slab < conv_slabs(conv); slab++)
        TRY(pass == CONV_FORWARD ? conv_forward(conv, slab, m->y, sums, x, m->packed, m->bias, m->scratch)
                                 : conv_grad_data(conv, slab, dx, m->y, m->packed, m->scratch));
    return COVER_OK;
}

/* Best of a few; -1 for a pass that another form serves. */
static cover_status time_pass(double *seconds, const struct conv *conv, const struct conv_shape *shape, enum conv_pass pass,
                              const char *form, struct memory *m) {
    double best = 1e30, spent = 0;
    *seconds = -1;
    if (strcmp(conv_form(conv, pass), form) != 0) return COVER_OK;
    for (int repeat = 0; repeat < 100 && (repeat < 2 || spent < 0.15); repeat++) {
        const double start = thread_seconds();
        TRY(run(conv, shape, pass, m));
        const double took = thread_seconds() - start;
        best = took < best ? took : best, spent += took;
    }
    *seconds = best;
    return COVER_OK;
}

static bool serves_any(const struct conv *conv, const char *form) {
    bool serves = false;
    for (int pass = 0; pass < CONV_PASSES; pass++) serves |= strcmp(conv_form(conv, (enum conv_pass)pass), form) == 0;
    return serves;
}

static cover_status time_form(cover_context *context, const struct conv_shape *shape, const char *form, bool step) {
    struct conv *conv;
    TRY(conv_create_form(&conv, context, shape, form));
    if (!serves_any(conv, form)) {
        conv_destroy(conv);
        return COVER_ERROR_UNSUPPORTED;
    }
    const int64_t pixels = grid_pixels(&shape->grid), taps = shape->kernel == 1 ? 1 : shape->grid.ndim == 2 ? 9 : 27;
    const double bytes =
        (double)pixels * (double)(shape->c_in * (int64_t)element_bytes(shape->x) + shape->c_out * (int64_t)element_bytes(shape->y));
    struct memory m = {.step = step,
                       .x = values(pixels * shape->c_in, shape->x),
                       .y = values(pixels * shape->c_out, shape->y),
                       .w = values(taps * shape->c_in * shape->c_out, ELEMENT_F32),
                       .packed = values((int64_t)conv_packed_bytes(conv), ELEMENT_U8),
                       .scratch = values((int64_t)conv_scratch_bytes(conv), ELEMENT_U8)};
    for (int c = 0; c < CHANNELS; c++) m.scale[c] = 1, m.offset[c] = 0.1f;
    cover_status status = COVER_ERROR_MEMORY;
    if (!m.x || !m.y || !m.w || !m.packed || !m.scratch) goto done;
    double pack = 1e30;
    for (int repeat = 0; repeat < 3; repeat++) {
        const double start = thread_seconds();
        GO(conv_pack(conv, m.packed, m.w, m.scratch));
        const double seconds = thread_seconds() - start;
        pack = seconds < pack ? seconds : pack;
    }
    for (int pass = 0; pass < CONV_PASSES; pass++) {
        double seconds;
        GO(time_pass(&seconds, conv, shape, (enum conv_pass)pass, form, &m));
        if (seconds < 0) printf("     -");
        else printf(" %5.0f", conv_flops(conv) / seconds * 1e-9);
        if (!is_thin(shape)) continue;
        if (seconds < 0) printf("    ");
        else printf(":%-3.0f", bytes / seconds * 1e-9);
        fflush(stdout);
    }
    printf(" %5.1f", pack * 1e3);
done:
    free(m.x), free(m.y), free(m.w), free(m.packed), free(m.scratch);
    conv_destroy(conv);
    return status;
}

/* Takes an argument away when it is the one that is asked for. */
static bool next_is(int *argc, char ***argv, const char *word) {
    if (*argc < 2 || strcmp((*argv)[1], word) != 0) return false;
    --*argc, ++*argv;
    return true;
}

int main(int argc, char **argv) {
    static char *every[] = {"thin_avx512_bf16", "winograd_avx512_bf16", "onednn", "avx512"};
    const int slabs = argc > 1 ? atoi(argv[1]) : 0;
    if (slabs > 0) argc--, argv++;
    const bool half = next_is(&argc, &argv, "bf16"), step = next_is(&argc, &argv, "step");
    const int given = argc - 1;
    char **forms = given > 0 ? argv + argc - given : every;
    const int count = given > 0 ? given : (int)(sizeof every / sizeof *every);
    cover_context *context;
    if (cover_context_create(&context, NULL) != COVER_OK) return EXIT_FAILURE;
    printf("%-32s", "GFLOP/s[:GB/s], ms of pack");
    for (int f = 0; f < count; f++) printf(" |%30s", forms[f]);
    for (int i = 0; i < SHAPES; i++) {
        struct conv_shape shape = shapes[i];
        const struct conv_shape *s = &shape;
        shape.slabs = slabs;
        if (half && shape.c_in > 1) shape.x = ELEMENT_BF16;
        if (half && shape.kernel > 1) shape.y = ELEMENT_BF16;
        shape.normed = step && shape.c_in > 1; /* the image is not */
        printf("\n%dD %3dx%3dx%3d %3d -> %3d kernel %d", s->grid.ndim, (int)s->grid.size[0], (int)s->grid.size[1],
               (int)s->grid.size[2], (int)s->c_in, (int)s->c_out, s->kernel);
        for (int f = 0; f < count; f++) {
            printf(" |");
            if (time_form(context, s, forms[f], step) != COVER_OK) printf("%30s", "not available");
        }
    }
    printf("\n");
    cover_context_destroy(context);
    return EXIT_SUCCESS;
}
