/* Sessions: passes side by side, changed weights, what is refused and what that leaves behind. */
#include "../../check_main.h"
#include "core/graph/session.h"
#include "core/nn/layers.h"

#include <string.h>

enum { IN = 3, OUT = 2 };
static const struct grid grid = {2, {1, 16, 32}};

struct counted { /* an allocator that gives out `left` blocks and counts those that live */
    int64_t left, live;
};
static void *counted_allocate(void *user, size_t bytes, size_t alignment) {
    struct counted *counted = user;
    void *memory;
    if (counted->left-- <= 0 || posix_memalign(&memory, alignment, bytes) != 0) return NULL;
    counted->live++;
    return memory;
}
static void counted_release(void *user, void *memory) {
    ((struct counted *)user)->live--;
    free(memory);
}

struct fixture { /* y = a 1x1 convolution of x */
    cover_context *context;
    struct parameters parameters;
    struct graph graph;
    int y;
    float weights[IN * OUT], x[2][16 * 32 * IN];
};

static cover_context *make_context(const cover_allocator *allocator, uint64_t limit) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    cover_context *context;
    options.threads = 2, options.allocator = allocator, options.memory_limit_bytes = limit;
    return cover_context_create(&context, &options) == COVER_OK ? context : NULL;
}

static cover_status build(struct fixture *f, cover_context *context) {
    *f = (struct fixture){.context = context, .parameters = {.context = context}};
    graph_begin(&f->graph, context, &f->parameters);
    int x = graph_input(&f->graph, "x", 1, &grid, IN);
    f->y = graph_result(&f->graph, layer_conv1(&f->graph, "layer", x, OUT, false, INIT_UNIFORM_FAN));
    for (int i = 0; i < IN * OUT; i++) f->weights[i] = (float)(i + 1);
    for (int i = 0; i < 16 * 32 * IN; i++) f->x[0][i] = (float)(i % 7), f->x[1][i] = 2 * f->x[0][i];
    return graph_finish(&f->graph);
}

static void unbuild(struct fixture *f) {
    graph_free(&f->graph);
    parameters_free(&f->parameters);
}

/* Pixel p, channel c of a convolution of x with `scale` times the weights. */
static float expected(const struct fixture *f, int which, float scale, int p, int c) {
    float sum = 0;
    for (int i = 0; i < IN; i++) sum += scale * f->weights[c * IN + i] * f->x[which][p * IN + i];
    return sum;
}
static void check(const struct fixture *f, const struct session *session, const struct run *run, int which, float scale) {
    const float *y = session_result(session, run, f->y);
    for (int p = 0; p < 16 * 32; p++)
        for (int c = 0; c < OUT; c++) ck_assert_float_eq_tol(y[p * OUT + c], expected(f, which, scale, p, c), 1e-3f);
}

START_TEST(passes_side_by_side_keep_their_own_results_and_take_changed_weights) {
    struct fixture f;
    struct session session;
    struct run run[2];
    float twice[IN * OUT];
    cover_context *context = make_context(NULL, 0);
    ck_assert_ok(build(&f, context));
    ck_assert_ok(session_open(&session, context, &f.graph, f.weights, 2));
    for (int i = 0; i < 2; i++) {
        run[i] = (struct run){.input = {f.x[i]}, .parameters = f.weights};
        ck_assert_ok(session_begin(&session, &run[i]));
        ck_assert_ok(session_run(&session, &run[i]));
    }
    for (int i = 0; i < 2; i++) check(&f, &session, &run[i], i, 1);
    for (int i = 0; i < IN * OUT; i++) twice[i] = 2 * f.weights[i];
    ck_assert_ok(session_weights(&session, twice));
    run[0].parameters = twice;
    ck_assert_ok(session_run(&session, &run[0]));
    check(&f, &session, &run[0], 0, 2);
    check(&f, &session, &run[1], 1, 1); /* not run again */
    double *seconds = memory_zero(context, (size_t)f.graph.node_count * sizeof *seconds);
    run[1].parameters = twice;
    ck_assert_ok(session_time(&session, &run[1], seconds));
    ck_assert(seconds[0] > 0);
    check(&f, &session, &run[1], 1, 2);
    memory_free(context, seconds);
    for (int i = 0; i < 2; i++) session_end(&session, &run[i]);
    session_close(&session);
    session_close(&session); /* closed already */
    unbuild(&f);
    cover_context_destroy(context);
}
END_TEST

START_TEST(a_pass_above_the_memory_limit_is_refused_and_leaves_the_session_closed) {
    struct fixture f;
    cover_context *context = make_context(NULL, 1000);
    ck_assert_ok(build(&f, context));
    struct session session, closed = {0};
    ck_assert_int_eq(session_open(&session, context, &f.graph, f.weights, 1), COVER_ERROR_MEMORY);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "the memory limit is"));
    ck_assert_mem_eq(&session, &closed, sizeof session);
    unbuild(&f);
    cover_context_destroy(context);
}
END_TEST

START_TEST(a_refused_allocation_is_an_error_and_loses_nothing) {
    for (int64_t calls = 1;; calls++) {
        struct counted counted = {.left = calls};
        cover_allocator allocator = {counted_allocate, counted_release, &counted};
        cover_context *context = make_context(&allocator, 0);
        if (!context) continue;
        struct fixture f;
        struct session session = {0};
        struct run run = {0};
        cover_status status = build(&f, context);
        if (status == COVER_OK) status = session_open(&session, context, &f.graph, f.weights, 1);
        if (status == COVER_OK) {
            run = (struct run){.input = {f.x[0]}, .parameters = f.weights};
            status = session_begin(&session, &run);
            if (status == COVER_OK) status = session_run(&session, &run);
            session_end(&session, &run);
        }
        session_close(&session);
        unbuild(&f);
        cover_context_destroy(context);
        ck_assert_int_eq(counted.live, 0);
        if (status == COVER_OK) break;
        ck_assert_int_eq(status, COVER_ERROR_MEMORY);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("session");
    TCase *tcase = tcase_create("session");
    tcase_set_timeout(tcase, 60);
    ADD(tcase, passes_side_by_side_keep_their_own_results_and_take_changed_weights);
    ADD(tcase, a_pass_above_the_memory_limit_is_refused_and_leaves_the_session_closed);
    ADD(tcase, a_refused_allocation_is_an_error_and_loses_nothing);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
