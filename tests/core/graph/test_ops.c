/* Each op on each executor: plain C, every instruction set of this machine and the emulated GPU, floats and bfloat16, against the double
 * of op_cases.c on shapes drawn at random, forward and backward.  An op without a case, or one that an executor's table lacks, fails. */
#include "op_cases.h"

#include "../../check_main.h"
#include "core/graph/executor.h"
#include "core/graph/ops.h"
#include "cpu/program.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SEEDS = 16, SEEDS_EMULATED = 5, SEEDS_TEAMS = 3, PROBES = 12 };
static const float GUARD = 12345;

/* ---- machines */

static const char *const machines[] = {"plain", "avx2", "avx512", "avx512_bf16", "emulated"};
enum { MACHINES = sizeof machines / sizeof *machines };
static cover_context *contexts[MACHINES]; /* NULL: not here */

static void setup(void) {
    char module[4096] = EMULATED_MODULE;
    for (int i = 0; i < MACHINES; i++) {
        cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
        options.threads = 2;
        contexts[i] = NULL;
        if (strcmp(machines[i], "emulated") != 0) options.isa = machines[i];
        else if (!*module) continue;
        else options.device = "cuda", options.device_module = module;
        const cover_status status = cover_context_create(&contexts[i], &options);
        ck_assert_msg(status == COVER_OK || status == COVER_ERROR_UNSUPPORTED, "%s: %s", machines[i], cover_error_text());
        if (status != COVER_OK) contexts[i] = NULL;
    }
    ck_assert_ptr_nonnull(contexts[0]);
}
static void teardown(void) {
    for (int i = 0; i < MACHINES; i++) cover_context_destroy(contexts[i]);
}

/* ---- a case on one machine */

struct played {
    struct scene scene;
    int gradient_of_y; /* the input that flows into y; ABSENT: a loss, into which 1 flows */
    double *y;
    int64_t y_count;
    double *gradient[SCENE_INPUTS]; /* of each smooth input; NULL for others */
    int result, gradient_result[SCENE_INPUTS];
};

static const struct tensor *tensor_of(const struct scene *scene, int tensor) { return &scene->graph.tensors[tensor]; }

/* The graph's backward half: gradients of all smooth inputs. */
static void add_gradients(struct played *played) {
    struct scene *scene = &played->scene;
    const struct tensor y = *tensor_of(scene, scene->y);
    struct derivative derivative = {.outputs = 1, .output = {scene->y}, .gradient = {scene->y}, .frozen = scene->frozen};
    if (y.element != ELEMENT_F64) {
        played->gradient_of_y = y.element == scene->element ? scene_feature(scene, "dy", y.images, &y.grid, y.channels, false)
                                                            : scene_values(scene, "dy", y.images, &y.grid, y.channels, -2, 2);
        scene->in[played->gradient_of_y].smooth = false;
        derivative.gradient[0] = scene->in[played->gradient_of_y].read;
    }
    for (int i = 0; i < scene->inputs; i++)
        if (scene->in[i].smooth && !scene->in[i].parameter) derivative.want[derivative.wants++] = scene->in[i].tensor;
    graph_differentiate(&scene->graph, &derivative);
    ck_assert_ok(graph_finish(&scene->graph));
    for (int i = 0, want = 0; i < scene->inputs; i++) {
        if (!scene->in[i].smooth || scene->in[i].parameter) continue;
        ck_assert_int_ne(derivative.want_gradient[want], ABSENT);
        played->gradient_result[i] = graph_result(&scene->graph, derivative.want_gradient[want++]);
    }
}

static float *floats_of(const double *values, int64_t count) {
    float *made = malloc((size_t)count * sizeof *made);
    for (int64_t i = 0; i < count; i++) made[i] = (float)values[i];
    return made;
}
static double *doubles_of(const void *values, enum element element, int64_t count) {
    double *made = malloc((size_t)count * sizeof *made);
    ck_assert_ptr_nonnull(values);
    for (int64_t i = 0; i < count; i++)
        made[i] = element == ELEMENT_F64 ? ((const double *)values)[i] : (double)((const float *)values)[i];
    return made;
}

static float *flat_parameters(const struct scene *scene) {
    float *flat = calloc((size_t)scene->parameters.floats + 1, sizeof *flat);
    for (int row = 0; row < scene->parameters.count; row++) {
        const struct parameter *parameter = &scene->parameters.rows[row];
        if (scene->frozen[row]) /* identities */
            for (int64_t i = 0; i < parameter->shape[0]; i++) flat[parameter->offset + i * (parameter->shape[0] + 1)] = 1;
    }
    for (int i = 0; i < scene->inputs; i++)
        for (int64_t k = 0; scene->in[i].parameter && k < scene->in[i].count; k++)
            flat[scene->parameters.rows[scene->in[i].row].offset + k] = (float)scene->in[i].values[k];
    return flat;
}

static void check_untouched(const struct scene *scene, float *const *inputs, const float *flat, const float *gradient) {
    float *const expected = flat_parameters(scene);
    const char *name = op_rows[scene->graph.nodes[0].op].name;
    ck_assert_msg(memcmp(expected, flat, (size_t)scene->parameters.floats * sizeof *flat) == 0, "%s: a parameter was written",
                  name);
    ck_assert_msg(gradient[scene->parameters.floats] == GUARD, "%s: the gradient was written past its end", name);
    free(expected);
    for (int i = 0, n = 0; i < scene->inputs; i++) {
        if (scene->in[i].parameter) continue;
        for (int64_t k = 0; k < scene->in[i].count; k++)
            ck_assert_msg(inputs[n][k] == (float)scene->in[i].values[k], "%s: an input was written", name);
        n++;
    }
}

/* By a team of so many.  What goes in stays as it is, and nothing is written behind the parameters' gradient. */
static void run(struct played *played, cover_context *context, int team) {
    struct scene *scene = &played->scene;
    const struct executor *executor = context->executor;
    struct program *program;
    struct run run = {0};
    const size_t floats = (size_t)scene->parameters.floats;
    float *inputs[GRAPH_INPUTS] = {0}, *flat = flat_parameters(scene), *gradient = calloc(floats + 1, sizeof *gradient);
    for (int i = 0, n = 0; i < scene->inputs; i++)
        if (!scene->in[i].parameter) run.input[n] = inputs[n] = floats_of(scene->in[i].values, scene->in[i].count), n++;
    gradient[floats] = GUARD;
    ck_assert_ok(executor->program_create(&program, context, &scene->graph, team));
    ck_assert_ok(executor->program_pack(program, flat));
    ck_assert_ok(executor->arena_create(&run.arena, program));
    run.parameters = flat, run.gradient = gradient, run.check = true;
    ck_assert_ok(run_once(context, executor, program, &run, team));
    check_untouched(scene, inputs, flat, gradient);
    const struct tensor *y = tensor_of(scene, scene->y);
    played->y_count = tensor_elements(y);
    played->y = doubles_of(executor->program_result(program, &run, played->result), y->element, played->y_count);
    for (int i = 0; i < scene->inputs; i++) {
        const struct scene_input *in = &scene->in[i];
        if (in->parameter)
            played->gradient[i] = doubles_of(gradient + scene->parameters.rows[in->row].offset, ELEMENT_F32, in->count);
        else if (played->gradient_result[i] != ABSENT)
            played->gradient[i] =
                doubles_of(executor->program_result(program, &run, played->gradient_result[i]), ELEMENT_F32, in->count);
    }
    executor->arena_destroy(program, run.arena);
    executor->program_destroy(program);
    for (int i = 0; i < GRAPH_INPUTS; i++) free(inputs[i]);
    free(flat), free(gradient);
}

static void play(struct played *played, const struct op_case *op_case, cover_context *context, uint64_t seed, enum element element,
                 int team) {
    memset(played, 0, sizeof *played);
    played->gradient_of_y = ABSENT;
    for (int i = 0; i < SCENE_INPUTS; i++) played->gradient_result[i] = ABSENT;
    scene_begin(&played->scene, op_case, context, seed, element);
    ck_assert_ok(graph_finish(&played->scene.graph));
    const enum element of_y = tensor_of(&played->scene, played->scene.y)->element;
    add_gradients(played);
    played->result = graph_result(&played->scene.graph, played->scene.y);
    ck_assert_ok(graph_finish(&played->scene.graph));
    ck_assert(of_y == ELEMENT_F64 || of_y == ELEMENT_F32 || of_y == element);
    run(played, context, team);
}
static void played_free(struct played *played) {
    free(played->y);
    for (int i = 0; i < SCENE_INPUTS; i++) free(played->gradient[i]);
    scene_free(&played->scene);
}

/* ---- against the double */

static double root_mean_square(const double *values, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += values[i] * values[i];
    return sqrt(sum / (double)count);
}

struct judge {
    const struct op_case *op_case;
    const struct played *played;
    const char *machine;
    uint64_t seed;
    double tolerance;
    double *values[SCENE_INPUTS]; /* of the scene's inputs, ours to change */
    double *y;
};

static void check_y(struct judge *judge) {
    const struct played *played = judge->played;
    judge->op_case->compute(&played->scene, judge->values, judge->y);
    const double bound = judge->tolerance * (1 + root_mean_square(judge->y, played->y_count));
    for (int64_t i = 0; i < played->y_count; i++)
        ck_assert_msg(fabs(played->y[i] - judge->y[i]) <= bound, "%s on %s, seed %d, bf16 %d: value %d is %.9g, not %.9g",
                      op_rows[judge->op_case->op].name, judge->machine, (int)judge->seed, played->scene.element == ELEMENT_BF16,
                      (int)i, played->y[i], judge->y[i]);
}

/* What is differentiated: y times what flows into it, or the weighted loss. */
static double objective(struct judge *judge) {
    const struct scene *scene = &judge->played->scene;
    const int dy = judge->played->gradient_of_y;
    double sum = 0;
    judge->op_case->compute(scene, judge->values, judge->y);
    for (int64_t i = 0; scene->numbers && i < judge->played->y_count; i += scene->numbers) sum += judge->y[i] * scene->scale;
    for (int64_t i = 0; !scene->numbers && i < judge->played->y_count; i++)
        sum += judge->y[i] * (dy != ABSENT ? scene->in[dy].values[i] : scene->weight[0] == 0 ? 1 : scene->weight[i % 2]);
    return sum * scene->flow;
}

/* One element of input i: false where a kink is near. */
static bool probe(struct judge *judge, int i, int64_t at, double bound) {
    const double step = 1e-5, value = judge->values[i][at], here = objective(judge), found = judge->played->gradient[i][at];
    judge->values[i][at] = value + step;
    const double above = (objective(judge) - here) / step;
    judge->values[i][at] = value - step;
    const double below = (here - objective(judge)) / step;
    judge->values[i][at] = value;
    if (fabs(above - below) > 1e-2 * bound + 1e-3 * (fabs(above) + 0.1)) return false;
    ck_assert_msg(fabs(found - (above + below) / 2) <= bound + 1e-4 * fabs(above),
                  "%s on %s, seed %d, bf16 %d: the slope by %s[%d] is %.9g, not %.9g", op_rows[judge->op_case->op].name,
                  judge->machine, (int)judge->seed, judge->played->scene.element == ELEMENT_BF16,
                  tensor_of(&judge->played->scene, judge->played->scene.in[i].tensor)->name, (int)at, found, (above + below) / 2);
    return true;
}

static void check_gradients(struct judge *judge, int *probed, int *kinked) {
    struct played *played = (struct played *)judge->played;
    for (int i = 0; i < played->scene.inputs; i++) {
        const struct scene_input *in = &played->scene.in[i];
        if (!in->smooth) continue;
        ck_assert_ptr_nonnull(played->gradient[i]);
        const double bound = 5 * judge->tolerance * (0.3 + root_mean_square(played->gradient[i], in->count));
        for (int k = 0; k < PROBES; k++)
            *(probe(judge, i, scene_pick(&played->scene, 0, (int)in->count - 1), bound) ? probed : kinked) += 1;
    }
}

static void judge_case(const struct op_case *op_case, int machine, enum element element, uint64_t seed, int *probed, int *kinked) {
    struct played played;
    play(&played, op_case, contexts[machine], seed, element, 2);
    struct judge judge = {.op_case = op_case,
                          .played = &played,
                          .machine = machines[machine],
                          .seed = seed,
                          .tolerance = element == ELEMENT_BF16 ? 0.01 : op_case->tolerance};
    judge.y = malloc((size_t)played.y_count * sizeof *judge.y);
    for (int i = 0; i < played.scene.inputs; i++) judge.values[i] = played.scene.in[i].values;
    check_y(&judge);
    check_gradients(&judge, probed, kinked);
    free(judge.y);
    played_free(&played);
}

static bool same(const double *a, const double *b, int64_t count) { return !a || memcmp(a, b, (size_t)count * sizeof *a) == 0; }

/* Slabs and blocks, whoever takes them; the emulated device has no teams. */
START_TEST(any_team_computes_the_same_bits) {
    const struct op_case *op_case = &op_cases[_i];
    for (int machine = 0; machine < MACHINES && strcmp(machines[machine], "emulated") != 0; machine++)
        for (int element = ELEMENT_F32; contexts[machine] && element <= (op_case->float_only ? ELEMENT_F32 : ELEMENT_BF16);
             element++)
            for (uint64_t seed = 0; seed < SEEDS_TEAMS; seed++) {
                struct played one;
                play(&one, op_case, contexts[machine], seed, (enum element)element, 1);
                for (int team = 2; team <= 3; team++) {
                    struct played other;
                    play(&other, op_case, contexts[machine], seed, (enum element)element, team);
                    bool equal = same(one.y, other.y, one.y_count);
                    for (int i = 0; i < one.scene.inputs; i++)
                        equal &= same(one.gradient[i], other.gradient[i], one.scene.in[i].count);
                    ck_assert_msg(equal, "%s on %s, seed %d, bf16 %d: a team of %d computes other bits than one",
                                  op_rows[op_case->op].name, machines[machine], (int)seed, element == ELEMENT_BF16, team);
                    played_free(&other);
                }
                played_free(&one);
            }
}
END_TEST

START_TEST(an_op_computes_what_its_double_computes_and_its_gradient_is_the_slope) {
    const struct op_case *op_case = &op_cases[_i];
    for (int machine = 0; machine < MACHINES; machine++)
        for (int element = ELEMENT_F32; contexts[machine] && element <= (op_case->float_only ? ELEMENT_F32 : ELEMENT_BF16);
             element++) {
            int probed = 0, kinked = 0;
            const uint64_t seeds = strcmp(machines[machine], "emulated") == 0 ? SEEDS_EMULATED : SEEDS;
            for (uint64_t seed = 0; seed < seeds; seed++)
                judge_case(op_case, machine, (enum element)element, seed, &probed, &kinked);
            ck_assert_msg(kinked <= probed, "%s: %d of %d slopes lie on a kink", op_rows[op_case->op].name, kinked,
                          probed + kinked);
        }
}
END_TEST

/* ---- the tables are whole */

START_TEST(every_op_is_met_by_a_case) {
    bool met[OP_COUNT] = {false};
    for (int i = 0; i < op_case_count; i++)
        for (uint64_t seed = 0; seed < SEEDS_EMULATED; seed++) {
            struct played played = {.gradient_of_y = ABSENT};
            scene_begin(&played.scene, &op_cases[i], contexts[0], seed,
                        seed % 2 && !op_cases[i].float_only ? ELEMENT_BF16 : ELEMENT_F32);
            add_gradients(&played);
            ck_assert_ok(graph_finish(&played.scene.graph));
            for (int n = 0; n < played.scene.graph.node_count; n++) met[played.scene.graph.nodes[n].op] = true;
            scene_free(&played.scene);
        }
    for (int op = 0; op < OP_COUNT; op++) {
        bool own = false;
        for (int i = 0; i < op_case_count; i++) own |= (int)op_cases[i].op == op;
        ck_assert_msg(met[op], "%s is met by no case: op_cases.c wants a row", op_rows[op].name);
        ck_assert_msg(own != ((op_rows[op].flags & OP_GRADIENT) != 0), "%s wants a row of its own, or is autodiff's",
                      op_rows[op].name);
    }
}
END_TEST

START_TEST(every_op_has_a_row_in_the_cpus_table) {
    for (int op = 0; op < OP_COUNT; op++) ck_assert_msg(cpu_ops[op]->run != NULL, "cpu_ops has no %s", op_rows[op].name);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ops");
    TCase *tcase = tcase_create("ops");
    tcase_set_timeout(tcase, 240);
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, every_op_is_met_by_a_case);
    ADD(tcase, every_op_has_a_row_in_the_cpus_table);
    tcase_add_loop_test(tcase, an_op_computes_what_its_double_computes_and_its_gradient_is_the_slope, 0, op_case_count);
    tcase_add_loop_test(tcase, any_team_computes_the_same_bits, 0, op_case_count);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
