/* Convolution by oneDNN.  Of floats: forward and data gradient (the gradient of the weights is faster in our own forms).  Of
 * bf16: all passes, where the processor has instructions for it; with AMX nothing is faster, so that is a row of its own at the
 * head of conv/conv.c's list.  Channels-last images, weights packed once a step into the order that oneDNN likes best.
 * Threads: oneDNN decides when it prepares and again when it runs how many OpenMP threads to use, from the calling
 * thread's setting; each call here holds that at one and puts it back. */
#include "../conv/form.h"

#include "../features.h"
#include "border.h"

#include <oneapi/dnnl/dnnl_debug.h>
#include <stdlib.h>
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
    int64_t rows;    /* of the output */
    int64_t halo[2]; /* rows of the input before and behind them */
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
    size_t own_bytes;                 /* of scratch, for the primitives */
};

/* Whatever it cannot do (a shape, or making code at all where the system forbids that), a later row can. */
static cover_status translate(const char *what, dnnl_status_t status) {
    if (status == dnnl_success) return COVER_OK;
    return fail(status == dnnl_out_of_memory ? COVER_ERROR_MEMORY : COVER_ERROR_UNSUPPORTED, "oneDNN could not %s: %s", what,
                dnnl_status2str(status));
}
#define DNNL(what, call) GO(translate(what, call))

/* oneDNN does not always survive it when memory is refused (it uses what new gave without a look, and throws in what may not throw),
 * so a shortage is to meet us first: more than it wants is asked for and given back. */
enum { PREPARE_BYTES = 32 << 20, RUN_BYTES = 16 << 10 };
static cover_status find_room(size_t bytes) {
    void *volatile room = malloc(bytes); /* volatile: or the compiler knows that nobody looks at it */
    const bool found = room != NULL;
    free(room);
    return found ? COVER_OK : fail(COVER_ERROR_MEMORY, "out of memory: oneDNN would have no room of %zu bytes", bytes);
}

/* ---- preparing */

static dnnl_data_type_t type_of(enum element element) { return element == ELEMENT_BF16 ? dnnl_bf16 : dnnl_f32; }

static dnnl_status_t describe_image(dnnl_memory_desc_t *desc, const struct conv_shape *s, int64_t rows, int64_t channels) {
    dnnl_dims_t dims = {1, channels, rows};
    for (int a = 1; a < s->grid.ndim; a++) dims[2 + a] = grid_axis(&s->grid, a);
    return onednn_memory_desc_create_with_tag(desc, s->grid.ndim + 2, dims, type_of(s->x),
                                              s->grid.ndim == 2 ? dnnl_nhwc : dnnl_ndhwc);
}

static dnnl_status_t describe_weights(dnnl_memory_desc_t *desc, const struct conv_shape *s, dnnl_data_type_t type,
                                      dnnl_format_tag_t tag) {
    dnnl_dims_t dims = {s->c_out, s->c_in, s->kernel, s->kernel, s->kernel};
    return onednn_memory_desc_create_with_tag(desc, s->grid.ndim + 2, dims, type, tag);
}
static dnnl_format_tag_t plain_tag(const struct conv_shape *s) { return s->grid.ndim == 2 ? dnnl_oihw : dnnl_oidhw; }

static const_dnnl_primitive_desc_t description(const_dnnl_primitive_t primitive) {
    const_dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_get_primitive_desc(primitive, &desc);
    return desc;
}
static const_dnnl_memory_desc_t scratchpad(const_dnnl_primitive_t primitive) {
    return dnnl_primitive_desc_query_md(description(primitive), dnnl_query_scratchpad_md, 0);
}

static cover_status refuse_reference(const_dnnl_primitive_desc_t desc) {
    const char *name = "";
    cover_status status;
    DNNL("name its kernel", onednn_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &name));
    if (strncmp(name, "ref", 3) == 0) DNNL("serve this convolution fast", dnnl_unimplemented);
done:
    return status;
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
         onednn_convolution_forward_primitive_desc_create(&forward, state->engine, dnnl_forward_training, dnnl_convolution_direct,
                                                          turned ? piece->out : piece->in, layout, state->bias,
                                                          turned ? piece->in : piece->out, ones, zeros, before, behind, attr));
    if (turned)
        DNNL("prepare a data gradient",
             onednn_convolution_backward_data_primitive_desc_create(&backward, state->engine, dnnl_convolution_direct, piece->out,
                                                                    layout, piece->in, ones, zeros, before, behind, forward, attr));
    dnnl_primitive_desc_t desc = turned ? backward : forward;
    GO(refuse_reference(desc));
    DNNL("create a convolution", onednn_primitive_create(&piece->pass, desc));
done:
    dnnl_primitive_desc_destroy(backward);
    dnnl_primitive_desc_destroy(forward);
    return status;
}

static struct piece *piece_of(struct state *state, const struct conv_shape *s, int slab) {
    return &state->pieces[slab == 0 ? FIRST : slab < s->slabs - 1 ? MIDDLE : LAST];
}

static cover_status prepare_pieces(struct state *state, const struct prepared *prepared, const_dnnl_primitive_attr_t attr) {
    const struct conv_shape *s = &prepared->shape;
    dnnl_memory_desc_t any = NULL;
    cover_status status;
    DNNL("describe weights", describe_weights(&any, s, type_of(s->x), dnnl_format_tag_any));
    DNNL("describe weights", describe_weights(&state->plain, s, dnnl_f32, plain_tag(s)));
    if (s->bias && prepared->pass == CONV_FORWARD)
        DNNL("describe a bias", onednn_memory_desc_create_with_tag(&state->bias, 1, (dnnl_dims_t){s->c_out}, dnnl_f32, dnnl_a));
    for (int slab = 0; slab < s->slabs; slab++) {
        struct piece *piece = piece_of(state, s, slab);
        const struct conv_slab rows = conv_slab(s, slab);
        const int64_t reach = s->kernel / 2, behind = conv_rows(s) - rows.end;
        if (piece->rows) continue;
        *piece = (struct piece){.rows = rows.end - rows.begin,
                                .halo = {rows.begin < reach ? rows.begin : reach, behind < reach ? behind : reach}};
        GO(prepare_piece(piece, state, prepared, slab == 0 ? any : state->weights, attr));
        if (slab == 0) state->weights = dnnl_primitive_desc_query_md(description(piece->pass), dnnl_query_weights_md, 0);
    }
done:
    dnnl_memory_desc_destroy(any);
    return status;
}

static cover_status prepare_reorder(struct state *state, const_dnnl_memory_desc_t from, const_dnnl_memory_desc_t to,
                                    const_dnnl_primitive_attr_t attr) {
    dnnl_primitive_desc_t desc = NULL;
    cover_status status;
    DNNL("prepare a reorder", onednn_reorder_primitive_desc_create(&desc, from, state->engine, to, state->engine, attr));
    DNNL("create a reorder", onednn_primitive_create(&state->reorder, desc));
done:
    dnnl_primitive_desc_destroy(desc);
    return status;
}

/* The gradient of the weights is one piece, in the layout that oneDNN likes; the reorder brings it into PyTorch's order. */
static cover_status prepare_weights(struct state *state, const struct prepared *prepared, const_dnnl_primitive_attr_t attr) {
    const struct conv_shape *s = &prepared->shape;
    struct piece *piece = &state->pieces[FIRST];
    if (s->grid.ndim == 3 && s->grid.size[0] == 2 && s->kernel == 3) return COVER_ERROR_UNSUPPORTED; /* 3.2 sums it wrongly */
    const dnnl_dims_t ones = {1, 1, 1}, zeros = {0}, reach = {s->kernel / 2, s->kernel / 2, s->kernel / 2};
    dnnl_memory_desc_t any = NULL, any_gradient = NULL;
    dnnl_primitive_desc_t forward = NULL, backward = NULL;
    cover_status status;
    piece->rows = conv_rows(s);
    DNNL("describe weights", describe_weights(&any, s, type_of(s->x), dnnl_format_tag_any));
    DNNL("describe weights", describe_weights(&any_gradient, s, dnnl_f32, dnnl_format_tag_any));
    DNNL("describe weights", describe_weights(&state->plain, s, dnnl_f32, plain_tag(s)));
    if (s->bias)
        DNNL("describe a bias", onednn_memory_desc_create_with_tag(&state->bias, 1, (dnnl_dims_t){s->c_out}, dnnl_f32, dnnl_a));
    DNNL("describe its input", describe_image(&piece->in, s, piece->rows, s->c_in));
    DNNL("describe its output", describe_image(&piece->out, s, piece->rows, s->c_out));
    DNNL("prepare a convolution", onednn_convolution_forward_primitive_desc_create(
                                      &forward, state->engine, dnnl_forward_training, dnnl_convolution_direct, piece->in, any,
                                      state->bias, piece->out, ones, zeros, reach, reach, attr));
    DNNL("prepare a weight gradient", onednn_convolution_backward_weights_primitive_desc_create(
                                          &backward, state->engine, dnnl_convolution_direct, piece->in, any_gradient, state->bias,
                                          piece->out, ones, zeros, reach, reach, forward, attr));
    GO(refuse_reference(backward));
    DNNL("create a convolution", onednn_primitive_create(&piece->pass, backward));
    state->weights = dnnl_primitive_desc_query_md(description(piece->pass), dnnl_query_diff_weights_md, 0);
    GO(prepare_reorder(state, state->weights, state->plain, attr));
done:
    dnnl_memory_desc_destroy(any);
    dnnl_memory_desc_destroy(any_gradient);
    dnnl_primitive_desc_destroy(backward);
    dnnl_primitive_desc_destroy(forward);
    return status;
}

/* Scratch of the weight gradient behind the primitives' own: the gradient as oneDNN makes it, in PyTorch's order, of the bias. */
static size_t gradient_bytes(const struct state *state) {
    return line_up(dnnl_memory_desc_get_size(state->weights)) + line_up(dnnl_memory_desc_get_size(state->plain)) +
           (state->bias ? line_up(dnnl_memory_desc_get_size(state->bias)) : 0);
}

static cover_status prepare_state(struct state *state, struct prepared *prepared, const_dnnl_primitive_attr_t attr) {
    const bool weights = prepared->pass == CONV_GRAD_WEIGHTS;
    if (weights) TRY(prepare_weights(state, prepared, attr));
    else {
        TRY(prepare_pieces(state, prepared, attr));
        TRY(prepare_reorder(state, state->plain, state->weights, attr));
        prepared->packed_bytes = dnnl_memory_desc_get_size(state->weights);
        if (state->bias) {
            state->zeros = memory_zero(prepared->context, dnnl_memory_desc_get_size(state->bias));
            if (!state->zeros) return COVER_ERROR_MEMORY;
        }
    }
    state->own_bytes = dnnl_memory_desc_get_size(scratchpad(state->reorder));
    for (int i = 0; i < PIECES; i++) {
        if (!state->pieces[i].rows) continue;
        size_t bytes = dnnl_memory_desc_get_size(scratchpad(state->pieces[i].pass));
        if (bytes > state->own_bytes) state->own_bytes = bytes;
    }
    prepared->scratch_bytes = line_up(state->own_bytes) + (weights ? gradient_bytes(state) : 0);
    return COVER_OK;
}

static cover_status prepare(struct prepared *prepared) {
    const struct conv_shape *s = &prepared->shape;
    const bool half = s->x == ELEMENT_BF16, fast = prepared->context->cpu_features & (CPU_AVX512_BF16 | CPU_AMX_BF16);
    if (s->x != s->y || (half && !fast) || (!half && prepared->pass == CONV_GRAD_WEIGHTS)) return COVER_ERROR_UNSUPPORTED;
    TRY(find_room(PREPARE_BYTES));
    struct state *state = prepared->state = memory_zero(prepared->context, sizeof *state);
    if (!state) return COVER_ERROR_MEMORY;
    int threads = hold_threads();
    dnnl_primitive_attr_t attr = NULL;
    cover_status status;
    DNNL("create an engine", onednn_engine_create(&state->engine, dnnl_cpu, 0));
    DNNL("set attributes", onednn_primitive_attr_create(&attr));
    DNNL("set attributes", onednn_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user));
    DNNL("set attributes", onednn_primitive_attr_set_fpmath_mode(attr, dnnl_fpmath_mode_strict));
    status = prepare_state(state, prepared, attr);
done:
    dnnl_primitive_attr_destroy(attr);
    release_threads(threads);
    return status;
}
static cover_status prepare_amx(struct prepared *prepared) {
    return prepared->shape.x == ELEMENT_BF16 ? prepare(prepared) : COVER_ERROR_UNSUPPORTED;
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

static cover_status run(const struct state *state, const_dnnl_primitive_t primitive, const struct operand *operands, int count) {
    enum { MOST = 8 };
    dnnl_exec_arg_t arguments[MOST];
    dnnl_stream_t stream = NULL;
    TRY(find_room(RUN_BYTES));
    int used = 0, threads = hold_threads();
    cover_status status;
    DNNL("create a stream", onednn_stream_create(&stream, state->engine, dnnl_stream_default_flags));
    for (int i = 0; i < count; i++) {
        if (!operands[i].desc || dnnl_memory_desc_get_size(operands[i].desc) == 0) continue;
        arguments[used].arg = operands[i].argument;
        DNNL("wrap memory",
             onednn_memory_create(&arguments[used].memory, operands[i].desc, state->engine, (void *)operands[i].data));
        used++;
    }
    DNNL("run", onednn_primitive_execute(primitive, stream, used, arguments));
    DNNL("finish", onednn_stream_wait(stream));
done:
    while (used > 0) dnnl_memory_destroy(arguments[--used].memory);
    dnnl_stream_destroy(stream);
    release_threads(threads);
    return status;
}
#define RUN(state, primitive, ...)                                                                                                 \
    run(state, primitive, (const struct operand[]){__VA_ARGS__},                                                                   \
        sizeof((const struct operand[]){__VA_ARGS__}) / sizeof(struct operand))

static cover_status pack(const struct prepared *prepared, void *packed, const float *weights, void *scratch) {
    const struct state *state = prepared->state;
    return RUN(state, state->reorder, {DNNL_ARG_FROM, state->plain, weights}, {DNNL_ARG_TO, state->weights, packed},
               {DNNL_ARG_SCRATCHPAD, scratchpad(state->reorder), scratch});
}

static cover_status convolve(const struct prepared *prepared, int slab, const struct conv_target *target,
                             const struct conv_source source[CONV_SOURCES], const void *packed, const float *bias, void *scratch) {
    struct state *state = prepared->state;
    const struct conv_shape *s = &prepared->shape;
    const struct piece *piece = piece_of(state, s, slab);
    const bool turned = prepared->pass == CONV_GRAD_DATA;
    const int64_t begin = conv_slab(s, slab).begin, row = conv_row_pixels(s);
    const int64_t bytes = (int64_t)element_bytes(s->x);
    const char *in = (const char *)source->data + (begin - piece->halo[0]) * row * (turned ? s->c_out : s->c_in) * bytes;
    char *out = (char *)target->data[0] + begin * row * (turned ? s->c_in : s->c_out) * bytes;
    return RUN(state, piece->pass, {turned ? DNNL_ARG_DIFF_DST : DNNL_ARG_SRC, piece->in, in},
               {turned ? DNNL_ARG_DIFF_SRC : DNNL_ARG_DST, piece->out, out}, {DNNL_ARG_WEIGHTS, state->weights, packed},
               {DNNL_ARG_BIAS, state->bias, bias ? bias : state->zeros}, {DNNL_ARG_SCRATCHPAD, scratchpad(piece->pass), scratch});
}

static void put(float *to, const float *from, int64_t count, bool accumulate) {
    for (int64_t i = 0; i < count; i++) to[i] = from[i] + (accumulate ? to[i] : 0);
}

static cover_status grad_weights(const struct prepared *prepared, float *dw, float *db,
                                 const struct conv_source source[CONV_SOURCES], const void *dy, void *scratch, bool accumulate) {
    const struct state *state = prepared->state;
    const struct conv_shape *s = &prepared->shape;
    const struct piece *piece = &state->pieces[FIRST];
    char *made = (char *)scratch + line_up(state->own_bytes), *ordered = made + line_up(dnnl_memory_desc_get_size(state->weights));
    char *bias = ordered + line_up(dnnl_memory_desc_get_size(state->plain));
    memset(scratch, 0, state->own_bytes); /* oneDNN multiplies what it finds there by zero, which does not help against NaN */
    TRY(RUN(state, piece->pass, {DNNL_ARG_SRC, piece->in, source->data}, {DNNL_ARG_DIFF_DST, piece->out, dy},
            {DNNL_ARG_DIFF_WEIGHTS, state->weights, made}, {DNNL_ARG_DIFF_BIAS, state->bias, bias},
            {DNNL_ARG_SCRATCHPAD, scratchpad(piece->pass), scratch}));
    TRY(RUN(state, state->reorder, {DNNL_ARG_FROM, state->weights, made}, {DNNL_ARG_TO, state->plain, ordered},
            {DNNL_ARG_SCRATCHPAD, scratchpad(state->reorder), scratch}));
    put(dw, (const float *)ordered, conv_weights(s), accumulate);
    if (db) put(db, (const float *)bias, s->c_out, accumulate);
    return COVER_OK;
}

/* A cap on instruction sets is the context's, oneDNN's is the process's: under a cap our own forms serve. */
static bool serves(enum conv_pass pass, unsigned features) {
    (void)pass;
    return cpu_features() == features;
}
static bool serves_amx(enum conv_pass pass, unsigned features) { return serves(pass, features) && (features & CPU_AMX_BF16); }

const struct conv_form conv_onednn_amx = {"onednn_amx", TAKES_BF16, serves_amx, prepare_amx, release, pack, convolve, grad_weights};
const struct conv_form conv_onednn = {"onednn", TAKES_BF16, serves, prepare, release, pack, convolve, grad_weights};
