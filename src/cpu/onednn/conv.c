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

struct state {
    dnnl_engine_t engine;
    dnnl_primitive_t pass, reorder;   /* the reorder packs the weights */
    dnnl_memory_desc_t in, out, bias; /* bias NULL without one */
    dnnl_memory_desc_t plain;         /* weights in PyTorch's order */
    const_dnnl_memory_desc_t weights; /* weights as `pass` reads them; `pass` owns it */
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

static dnnl_status_t describe_image(dnnl_memory_desc_t *desc, const struct conv_shape *s, int64_t channels) {
    dnnl_dims_t dims = {1, channels};
    for (int a = 0; a < s->grid.ndim; a++) dims[2 + a] = grid_axis(&s->grid, a);
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

static cover_status prepare_pass(struct state *state, const struct prepared *prepared,
                                 const_dnnl_primitive_attr_t attr) {
    const struct conv_shape *s = &prepared->shape;
    const dnnl_dims_t ones = {1, 1, 1}, zeros = {0}, pad = {s->kernel / 2, s->kernel / 2, s->kernel / 2};
    const bool turned = prepared->pass == CONV_GRAD_DATA;
    dnnl_memory_desc_t any = NULL;
    dnnl_primitive_desc_t forward = NULL, backward = NULL;
    cover_status status;
    DNNL("describe its input", describe_image(&state->in, s, turned ? s->c_out : s->c_in));
    DNNL("describe its output", describe_image(&state->out, s, turned ? s->c_in : s->c_out));
    DNNL("describe weights", describe_weights(&any, s, dnnl_format_tag_any));
    DNNL("describe weights", describe_weights(&state->plain, s, s->grid.ndim == 2 ? dnnl_oihw : dnnl_oidhw));
    if (s->bias && !turned)
        DNNL("describe a bias",
             dnnl_memory_desc_create_with_tag(&state->bias, 1, (dnnl_dims_t){s->c_out}, dnnl_f32, dnnl_a));
    /* the data gradient needs the forward description as a hint */
    DNNL("prepare a convolution",
         dnnl_convolution_forward_primitive_desc_create(
             &forward, state->engine, dnnl_forward_training, dnnl_convolution_direct, turned ? state->out : state->in,
             any, state->bias, turned ? state->in : state->out, ones, zeros, pad, pad, attr));
    if (turned)
        DNNL("prepare a data gradient", dnnl_convolution_backward_data_primitive_desc_create(
                                            &backward, state->engine, dnnl_convolution_direct, state->out, any,
                                            state->in, ones, zeros, pad, pad, forward, attr));
    dnnl_primitive_desc_t desc = turned ? backward : forward;
    const char *name = "";
    DNNL("name its kernel", dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &name));
    if (strncmp(name, "ref", 3) == 0) DNNL("serve this convolution fast", dnnl_unimplemented);
    DNNL("create a convolution", dnnl_primitive_create(&state->pass, desc));
    state->weights = dnnl_primitive_desc_query_md(description(state->pass), dnnl_query_weights_md, 0);
done:
    dnnl_primitive_desc_destroy(backward);
    dnnl_primitive_desc_destroy(forward);
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
    GO(prepare_pass(state, prepared, attr));
    GO(prepare_reorder(state, attr));
    if (state->bias) {
        status = COVER_ERROR_MEMORY;
        state->zeros = memory_zero(prepared->context, dnnl_memory_desc_get_size(state->bias));
        if (!state->zeros) goto done;
    }
    size_t run = dnnl_memory_desc_get_size(scratchpad(state->pass));
    size_t pack = dnnl_memory_desc_get_size(scratchpad(state->reorder));
    prepared->packed_bytes = dnnl_memory_desc_get_size(state->weights);
    prepared->scratch_bytes = run > pack ? run : pack;
    status = COVER_OK;
done:
    dnnl_primitive_attr_destroy(attr);
    release_threads(threads);
    return status;
}

static void release(struct prepared *prepared) {
    struct state *state = prepared->state;
    if (!state) return;
    dnnl_primitive_destroy(state->pass);
    dnnl_primitive_destroy(state->reorder);
    dnnl_memory_desc_destroy(state->in);
    dnnl_memory_desc_destroy(state->out);
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

static cover_status convolve(const struct prepared *prepared, float *out, const float *in, const void *packed,
                             const float *bias, void *scratch) {
    const struct state *state = prepared->state;
    bool turned = prepared->pass == CONV_GRAD_DATA;
    return RUN(state, state->pass, {turned ? DNNL_ARG_DIFF_DST : DNNL_ARG_SRC, state->in, in},
               {turned ? DNNL_ARG_DIFF_SRC : DNNL_ARG_DST, state->out, out}, {DNNL_ARG_WEIGHTS, state->weights, packed},
               {DNNL_ARG_BIAS, state->bias, bias ? bias : state->zeros},
               {DNNL_ARG_SCRATCHPAD, scratchpad(state->pass), scratch});
}

/* A cap on instruction sets is the context's, oneDNN's is the process's: under a cap our own forms serve. */
static bool serves(enum conv_pass pass, unsigned features) {
    return pass != CONV_GRAD_WEIGHTS && ((cpu_features() ^ features) & (CPU_AVX2 | CPU_AVX512)) == 0;
}

const struct conv_form conv_onednn = {"onednn", serves, prepare, release, pack, convolve, NULL};
