/* Times convolutions of the 2D and 3D networks in every form, one thread: GFLOP/s (best of a few, by processor time of
 * the thread) of forward, data gradient and weight gradient, and milliseconds of packing the weights.
 * conv [SLABS] [bf16] [FORM...] runs those forms alone, cut into so many slabs, with features of bf16. */
#include "cpu/conv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct conv_shape shapes[] = {
#define SHAPE(ndim, d, h, w, in, out, kernel)                                                                          \
    { {ndim, {d, h, w}}, in, out, kernel, true, true }
    SHAPE(2, 1, 384, 384, 1, 32, 3),  SHAPE(2, 1, 384, 384, 32, 32, 3),  SHAPE(2, 1, 384, 384, 96, 32, 3),
    SHAPE(2, 1, 192, 192, 32, 64, 3), SHAPE(2, 1, 192, 192, 64, 64, 3),  SHAPE(2, 1, 192, 192, 192, 64, 3),
    SHAPE(2, 1, 96, 96, 64, 128, 3),  SHAPE(2, 1, 96, 96, 128, 128, 3),  SHAPE(2, 1, 96, 96, 384, 128, 3),
    SHAPE(2, 1, 48, 48, 128, 256, 3), SHAPE(2, 1, 48, 48, 256, 256, 3),  SHAPE(2, 1, 48, 48, 768, 256, 3),
    SHAPE(2, 1, 24, 24, 256, 512, 3), SHAPE(2, 1, 24, 24, 512, 512, 3),  SHAPE(2, 1, 384, 384, 32, 8, 1),
    SHAPE(2, 1, 96, 96, 128, 32, 1),  SHAPE(2, 1, 24, 24, 512, 32, 1),   SHAPE(3, 64, 64, 64, 1, 32, 3),
    SHAPE(3, 64, 64, 64, 32, 32, 3),  SHAPE(3, 64, 64, 64, 96, 32, 3),   SHAPE(3, 32, 32, 32, 64, 64, 3),
    SHAPE(3, 32, 32, 32, 192, 64, 3), SHAPE(3, 16, 16, 16, 128, 128, 3), SHAPE(3, 16, 16, 16, 384, 128, 3),
    SHAPE(3, 8, 8, 8, 256, 256, 3),   SHAPE(3, 8, 8, 8, 768, 256, 3),    SHAPE(3, 4, 4, 4, 256, 512, 3),
    SHAPE(3, 4, 4, 4, 512, 512, 3),   SHAPE(2, 1, 384, 384, 32, 2, 1),   SHAPE(2, 1, 384, 384, 32, 5, 1),
    SHAPE(2, 1, 384, 384, 16, 14, 1), SHAPE(2, 1, 384, 384, 64, 30, 1),  SHAPE(3, 64, 64, 64, 32, 4, 1),
    SHAPE(2, 1, 1, 1, 512, 14, 1),    SHAPE(3, 1, 1, 1, 512, 2, 1),
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

struct memory {
    void *x, *y;
    float *w, bias[1024];
    void *packed, *scratch;
};

static void *values(size_t count, enum element element) {
    void *memory = aligned_alloc(64, (count * element_bytes(element) + 64) / 64 * 64);
    for (size_t i = 0; memory && i < count; i++) {
        const float value = (float)((i * 2654435761u >> 8) % 1024) / 1024 - 0.5f;
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

static cover_status run(const struct conv *conv, enum conv_pass pass, struct memory *m) {
    const struct conv_source x[CONV_SOURCES] = {{.data = m->x}};
    void *const dx[CONV_SOURCES] = {m->x};
    if (pass == CONV_GRAD_WEIGHTS) return conv_grad_weights(conv, m->w, m->bias, x, m->y, m->scratch, false);
    for (int slab = 0; slab < conv_slabs(conv); slab++)
        TRY(pass == CONV_FORWARD ? conv_forward(conv, slab, m->y, NULL, x, m->packed, m->bias, m->scratch)
                                 : conv_grad_data(conv, slab, dx, m->y, m->packed, m->scratch));
    return COVER_OK;
}

static cover_status time_form(cover_context *context, const struct conv_shape *shape, const char *form) {
    struct conv *conv;
    TRY(conv_create_form(&conv, context, shape, form));
    int64_t pixels = grid_pixels(&shape->grid), taps = shape->kernel == 1 ? 1 : shape->grid.ndim == 2 ? 9 : 27;
    struct memory m = {values((size_t)(pixels * shape->c_in), shape->x),
                       values((size_t)(pixels * shape->c_out), shape->y),
                       values((size_t)(taps * shape->c_in * shape->c_out), ELEMENT_F32),
                       {0},
                       values(conv_packed_bytes(conv) / 4, ELEMENT_F32),
                       values(conv_scratch_bytes(conv) / 4, ELEMENT_F32)};
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
        if (strcmp(conv_form(conv, (enum conv_pass)pass), form) != 0) {
            printf("     -");
            continue;
        }
        double best = 1e30, spent = 0;
        for (int repeat = 0; repeat < 100 && (repeat < 2 || spent < 0.15); repeat++) {
            double start = thread_seconds();
            GO(run(conv, (enum conv_pass)pass, &m));
            double seconds = thread_seconds() - start;
            best = seconds < best ? seconds : best, spent += seconds;
        }
        printf(" %5.0f", conv_flops(conv) / best * 1e-9);
        fflush(stdout);
    }
    printf(" %5.1f", pack * 1e3);
done:
    free(m.x), free(m.y), free(m.w), free(m.packed), free(m.scratch);
    conv_destroy(conv);
    return status;
}

int main(int argc, char **argv) {
    static char *every[] = {"thin", "winograd_avx512_bf16", "onednn", "avx512"};
    const int slabs = argc > 1 ? atoi(argv[1]) : 0;
    const bool half = argc > 1 + (slabs > 0) && strcmp(argv[1 + (slabs > 0)], "bf16") == 0;
    const int given = argc - 1 - (slabs > 0) - half;
    char **forms = given > 0 ? argv + argc - given : every;
    int count = given > 0 ? given : (int)(sizeof every / sizeof *every);
    cover_context *context;
    if (cover_context_create(&context, NULL) != COVER_OK) return EXIT_FAILURE;
    printf("%-32s", "GFLOP/s of 3 passes, ms of pack");
    for (int f = 0; f < count; f++) printf(" |%24s", forms[f]);
    for (int i = 0; i < SHAPES; i++) {
        struct conv_shape shape = shapes[i];
        const struct conv_shape *s = &shape;
        shape.slabs = slabs, shape.x = shape.y = half ? ELEMENT_BF16 : ELEMENT_F32;
        printf("\n%dD %3dx%3dx%3d %3d -> %3d kernel %d", s->grid.ndim, (int)s->grid.size[0], (int)s->grid.size[1],
               (int)s->grid.size[2], (int)s->c_in, (int)s->c_out, s->kernel);
        for (int f = 0; f < count; f++) {
            printf(" |");
            if (time_form(context, s, forms[f]) != COVER_OK) printf("%24s", "not available");
        }
    }
    printf("\n");
    cover_context_destroy(context);
    return EXIT_SUCCESS;
}
