/* Convolution by oneDNN, forward and data gradient: the first row of conv/conv.c's list (the gradient of the weights is
 * faster in our own form).  Channels-last images, weights packed once a step into the order that oneDNN likes best.
 * Threads: oneDNN decides when it prepares and again when it runs how many OpenMP threads to use, from the calling
 * thread's setting; each call here holds that at one and puts it back. */
#include "../conv/form.h"

#include "../features.h"

#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl_debug.h>
#include <string.h>

#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
#include <omp.h>
static int hold_threads(void) {
    int before = omp_get_max_threads();
    if (before != 1) omp_set_num_threads(1);
    return before;
}
static void release_threads(int before) {
    if (before != 1) omp_set_num_threads(before);
}
#else
static int hold_threads(void) { return 1; }
static void release_threads(int before) { (void)before; }
#endif

/* oneDNN knows no slabs, so a slab is an image of its own to it: its rows and those beside it, with the image's padding
 * where the image ends.  Three of them serve any number of slabs. */
enum { FIRST, MIDDLE, LAST, PIECES };
struct piece {
    int64_t rows;      /* of the output */
    int64_t halo[2];   /* rows of the input before and behind them */
    dnnl_primitive_t pass;
    dnnl_memory_desc_t in, out;
};

struct state {
    dnnl_engine_t engine;
    struct piece pieces[PIECES];      /* those of rows > 0 are there; a whole image is the first */
    dnnl_primitive_t reorder;         /* packs the weights */
    dnnl_memory_desc_t bias;          /* NULL without one */
    dnnl_memory_desc_t plain;         /* weights in PyTorch's order */
    const_dnnl_memory_desc_t weights; /* weights as all pieces read them; the first piece's primitive owns it */
    float *zeros;                     /* the bias of a caller who has none */
};

/* Whatever it cannot do (a shape, or making code at all where the system forbids that), a later row can. */
static cover_status translate(const char *what, dnnl_status_t status) {
    if (status == dnnl_success) return COVER_OK;
    return fail(status == dnnl_out_of_memory ? COVER_ERROR_MEMORY : COVER_ERROR_UNSUPPORTED, "oneDNN could not %s: %s",
                what, dnnl_status2str(status));
}
#define DNNL(what, call) GO(translate(what, call))

/* ---- preparing */

static dnnl_status_t describe_image(dnnl_memory_desc_t *desc, const struct conv_shape *s, int64_t rows,
                                    int64_t channels) {
    dnnl_dims_t dims = {1, channels, rows};
    for (int a = 1; a < s->grid.ndim; a++) dims[2 + a] = grid_axis(&s->grid, a);
    return dnnl_memory_desc_create_with_tag(desc, s->grid.ndim + 2, dims, dnnl_f32,
                                            s->grid.ndim == 2 ? dnnl_nhwc : dnnl_ndhwc);
}

static dnnl_status_t describe_weights(dnnl_memory_desc_t *desc, const struct conv_shape *s, dnnl_format_tag_t tag) {
    dnnl_dims_t dims = {s->c_out, s->c_in, s->kernel, s->kernel, s->kernel};
    return dnnl_memory_desc_create_with_tag(desc, s->grid.ndim + 2, dims, dnnl_f32, tag);
}

static const_dnnl_primitive_desc_t description(const_dnnl_primitive_t primitive) {
    const_dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_get_primitive_desc(primitive, &desc);
    return desc;
}
static const_dnnl_memory_desc_t scratchpad(const_dnnl_primitive_t primitive) {
    return dnnl_primitive_desc_query_md(description(primitive), dnnl_query_scratchpad_md, 0);
}

/* `layout` of the weights is chosen by the first piece, and kept by the others. */
static cover_status prepare_piece(struct piece *piece, const struct state *state, const struct prepared *prepared,
                                  const_dnnl_memory_desc_t layout, const_dnnl_primitive_attr_t attr) {
    const struct conv_shape *s = &prepared->shape;
    const dnnl_dims_t ones = {1, 1, 1}, zeros = {0};
    const bool turned = prepared->pass == CONV_GRAD_DATA;
    const int64_t in_rows = piece->rows + piece->halo[0] + piece->halo[1], reach = s->kernel / 2;
    dnnl_dims_t before = {reach, reach, reach}, behind = {reach, reach, reach};
    dnnl_primitive_desc_t forward = NULL, backward = NULL;
    cover_status status;
    /* a row of halo takes the place of one of padding; turned around, it is an output that the smaller image reaches */
    before[0] += turned ? piece->halo[0] : -piece->halo[0], behind[0] += turned ? piece->halo[1] : -piece->halo[1];
    DNNL("describe its input", describe_image(&piece->in, s, in_rows, turned ? s->c_out : s->c_in));
    DNNL("describe its output", describe_image(&piece->out, s, piece->rows, turned ? s->c_in : s->c_out));
    /* the data gradient needs the forward description as a hint */
    DNNL("prepare a convolution",
         dnnl_convolution_forward_primitive_desc_create(
             &forward, state->engine, dnnl_forward_training, dnnl_convolution_direct, turned ? piece->out : piece->in,
             layout, state->bias, turned ? piece->in : piece->out, ones, zeros, before, behind, attr));
    if (turned)
        DNNL("prepare a data gradient", dnnl_convolution_backward_data_primitive_desc_create(
                                            &backward, state->engine, dnnl_convolution_direct, piece->out, layout,
                                            piece->in, ones, zeros, before, behind, forward, attr));
    dnnl_primitive_desc_t desc = turned ? backward : forward;
    const char *name = "";
    DNNL("name its kernel", dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &name));
    if (strncmp(name, "ref", 3) == 0) DNNL("serve this convolution fast", dnnl_unimplemented);
    DNNL("create a convolution", dnnl_primitive_create(&piece->pass, desc));
done:
    dnnl_primitive_desc_destroy(backward);
    dnnl_primitive_desc_destroy(forward);
    return status;
}

static struct piece *piece_of(struct state *state, const struct conv_shape *s, int slab) {
    return &state->pieces[slab == 0 ? FIRST : slab < s->slabs - 1 ? MIDDLE : LAST];
}

static cover_status prepare_pieces(struct state *state, const struct prepared *prepared,
                                   const_dnnl_primitive_attr_t attr) {
    const struct conv_shape *s = &prepared->shape;
    dnnl_memory_desc_t any = NULL;
    cover_status status;
    DNNL("describe weights", describe_weights(&any, s, dnnl_format_tag_any));
    DNNL("describe weights", describe_weights(&state->plain, s, s->grid.ndim == 2 ? dnnl_oihw : dnnl_oidhw));
    if (s->bias && prepared->pass == CONV_FORWARD)
        DNNL("describe a bias",
             dnnl_memory_desc_create_with_tag(&state->bias, 1, (dnnl_dims_t){s->c_out}, dnnl_f32, dnnl_a));
    for (int slab = 0; slab < s->slabs; slab++) {
        struct piece *piece = piece_of(state, s, slab);
        const struct conv_slab rows = conv_slab(s, slab);
        const int64_t reach = s->kernel / 2, behind = conv_rows(s) - rows.end;
        if (piece->rows) continue;
        *piece = (struct piece){.rows = rows.end - rows.begin,
                                .halo = {rows.begin < reach ? rows.begin : reach, behind < reach ? behind : reach}};
        GO(prepare_piece(piece, state, prepared, slab == 0 ? any : state->weights, attr));
        if (slab == 0)
            state->weights = dnnl_primitive_desc_query_md(description(piece->pass), dnnl_query_weights_md, 0);
    }
done:
    dnnl_memory_desc_destroy(any);
    return status;
}

static cover_status prepare_reorder(struct state *state, const_dnnl_primitive_attr_t attr) {
    dnnl_primitive_desc_t desc = NULL;
    cover_status status;
    DNNL("prepare a reorder",
         dnnl_reorder_primitive_desc_create(&desc, state->plain, state->engine, state->weights, state->engine, attr));
    DNNL("create a reorder", dnnl_primitive_create(&state->reorder, desc));
done:
    dnnl_primitive_desc_destroy(desc);
    return status;
}

static cover_status prepare(struct prepared *prepared) {
    struct state *state = prepared->state = memory_zero(prepared->context, sizeof *state);
    if (!state) return COVER_ERROR_MEMORY;
    int threads = hold_threads();
    dnnl_primitive_attr_t attr = NULL;
    cover_status status;
    DNNL("create an engine", dnnl_engine_create(&state->engine, dnnl_cpu, 0));
    DNNL("set attributes", dnnl_primitive_attr_create(&attr));
    DNNL("set attributes", dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user));
    DNNL("set attributes", dnnl_primitive_attr_set_fpmath_mode(attr, dnnl_fpmath_mode_strict));
    GO(prepare_pieces(state, prepared, attr));
    GO(prepare_reorder(state, attr));
    if (state->bias) {
        status = COVER_ERROR_MEMORY;
        state->zeros = memory_zero(prepared->context, dnnl_memory_desc_get_size(state->bias));
        if (!state->zeros) goto done;
    }
    prepared->packed_bytes = dnnl_memory_desc_get_size(state->weights);
    prepared->scratch_bytes = dnnl_memory_desc_get_size(scratchpad(state->reorder));
    for (int i = 0; i < PIECES; i++) {
        if (!state->pieces[i].rows) continue;
        size_t bytes = dnnl_memory_desc_get_size(scratchpad(state->pieces[i].pass));
        if (bytes > prepared->scratch_bytes) prepared->scratch_bytes = bytes;
    }
    status = COVER_OK;
done:
    dnnl_primitive_attr_destroy(attr);
    release_threads(threads);
    return status;
}

static void release(struct prepared *prepared) {
    struct state *state = prepared->state;
    if (!state) return;
    for (int i = 0; i < PIECES; i++) {
        dnnl_primitive_destroy(state->pieces[i].pass);
        dnnl_memory_desc_destroy(state->pieces[i].in);
        dnnl_memory_desc_destroy(state->pieces[i].out);
    }
    dnnl_primitive_destroy(state->reorder);
    dnnl_memory_desc_destroy(state->bias);
    dnnl_memory_desc_destroy(state->plain);
    dnnl_engine_destroy(state->engine);
    memory_free(prepared->context, state->zeros);
    memory_free(prepared->context, state);
}

/* ---- running: the objects that carry pointers are made for the call, which costs a few microseconds and lets any
 * number of threads run one primitive at once. */

struct operand {
    int argument;
    const_dnnl_memory_desc_t desc; /* NULL or empty: left out */
    const void *data;
};

static cover_status run(const struct state *state, const_dnnl_primitive_t primitive, const struct operand *operands,
                        int count) {
    enum { MOST = 8 };
    dnnl_exec_arg_t arguments[MOST];
    dnnl_stream_t stream = NULL;
    int used = 0, threads = hold_threads();
    cover_status status;
    DNNL("create a stream", dnnl_stream_create(&stream, state->engine, dnnl_stream_default_flags));
    for (int i = 0; i < count; i++) {
        if (!operands[i].desc || dnnl_memory_desc_get_size(operands[i].desc) == 0) continue;
        arguments[used].arg = operands[i].argument;
        DNNL("wrap memory",
             dnnl_memory_create(&arguments[used].memory, operands[i].desc, state->engine, (void *)operands[i].data));
        used++;
    }
    DNNL("run", dnnl_primitive_execute(primitive, stream, used, arguments));
    DNNL("finish", dnnl_stream_wait(stream));
done:
    while (used > 0) dnnl_memory_destroy(arguments[--used].memory);
    dnnl_stream_destroy(stream);
    release_threads(threads);
    return status;
}
#define RUN(state, primitive, ...)                                                                                     \
    run(state, primitive, (const struct operand[]){__VA_ARGS__},                                                       \
        sizeof((const struct operand[]){__VA_ARGS__}) / sizeof(struct operand))

static cover_status pack(const struct prepared *prepared, void *packed, const float *weights, void *scratch) {
    const struct state *state = prepared->state;
    return RUN(state, state->reorder, {DNNL_ARG_FROM, state->plain, weights}, {DNNL_ARG_TO, state->weights, packed},
               {DNNL_ARG_SCRATCHPAD, scratchpad(state->reorder), scratch});
}

static cover_status convolve(const struct prepared *prepared, int slab, const struct conv_target *target,
                             const struct conv_source source[CONV_SOURCES], const void *packed, const float *bias,
                             void *scratch) {
    float *out = target->data[0];
    const float *in = source->data;
    struct state *state = prepared->state;
    const struct conv_shape *s = &prepared->shape;
    const struct piece *piece = piece_of(state, s, slab);
    const bool turned = prepared->pass == CONV_GRAD_DATA;
    const int64_t begin = conv_slab(s, slab).begin, row = conv_row_pixels(s);
    in += (begin - piece->halo[0]) * row * (turned ? s->c_out : s->c_in);
    out += begin * row * (turned ? s->c_in : s->c_out);
    return RUN(state, piece->pass, {turned ? DNNL_ARG_DIFF_DST : DNNL_ARG_SRC, piece->in, in},
               {turned ? DNNL_ARG_DIFF_SRC : DNNL_ARG_DST, piece->out, out}, {DNNL_ARG_WEIGHTS, state->weights, packed},
               {DNNL_ARG_BIAS, state->bias, bias ? bias : state->zeros},
               {DNNL_ARG_SCRATCHPAD, scratchpad(piece->pass), scratch});
}

/* A cap on instruction sets is the context's, oneDNN's is the process's: under a cap our own forms serve. */
static bool serves(enum conv_pass pass, unsigned features) {
    return pass != CONV_GRAD_WEIGHTS && ((cpu_features() ^ features) & (CPU_AVX2 | CPU_AVX512)) == 0;
}

const struct conv_form conv_onednn = {"onednn", 0, serves, prepare, release, pack, convolve, NULL};
