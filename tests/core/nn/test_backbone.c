/* The table of backbones: what every row promises, and a second one that trains, resumes and keeps its bits as the first does. */
#include "../../blobs.h"
#include "../../comm/together.h"
#include "api/pretrain/trainer.h"
#include "core/method/cover.h"
#include "core/method/supervised.h"
#include "two_levels.h"

#include <libcover/backbone.h>
#include <libcover/head.h>
#include <libcover/weights.h>

#include <string.h>

enum { STEPS = 3 };

static cover_context *context;
static char folder[64], data_path[96];

static cover_context *context_of(int threads) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    cover_context *made;
    options.threads = threads;
    ck_assert_ok(cover_context_create(&made, &options));
    made->added = two_levels_rows;
    return made;
}

static void setup(void) {
    char images[128];
    context = context_of(2);
    snprintf(folder, sizeof folder, "/tmp/cover-backbone-%ld", (long)getpid());
    ck_assert_ok(folder_create(folder));
    snprintf(images, sizeof images, "%s/images", folder);
    snprintf(data_path, sizeof data_path, "%s/data.h5", folder);
    write_blobs(context, images, 6, 1, 40, 44);
    ck_assert_ok(cover_dataset_pack(NULL, context, (const char *[]){images}, 1, data_path, NULL));
}
static void teardown(void) {
    char command[128];
    cover_context_destroy(context);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* ---- rows */

static bool in_a_module(const struct backbone *backbone, const char *name) {
    for (int list = 0; list < 2; list++) {
        const char *const *modules = list ? backbone->decoder_modules : backbone->encoder_modules;
        for (int i = 0; i < BACKBONE_MODULES && modules[i]; i++)
            if (strncmp(name, modules[i], strlen(modules[i])) == 0) return true;
    }
    return false;
}

/* With settings that fit it, for `dims` dimensions. */
static void check_row(const struct backbone *backbone, const struct network_settings *settings) {
    struct levels levels;
    struct parameters all = {.context = context}, few = {.context = context};
    struct graph graph;
    int level[LEVELS_MAX];
    const struct grid grid = backbone_grid(backbone, settings->dims, 2);
    ck_assert_ok(backbone->check(settings));
    backbone->levels(settings, &levels);
    ck_assert(levels.count >= 1 && levels.count <= LEVELS_MAX);
    ck_assert_int_eq(levels.at[levels.count - 1].stride, 1);
    ck_assert_int_eq(backbone->multiple % levels.at[0].stride, 0);
    for (int i = 1; i < levels.count; i++) ck_assert_int_eq(levels.at[i - 1].stride % levels.at[i].stride, 0);
    graph_begin(&graph, context, &all);
    backbone->build(&graph, graph_input(&graph, "x", 1, &grid, settings->channels), settings, level);
    ck_assert_ok(graph_finish(&graph));
    for (int i = 0; i < levels.count; i++) {
        const struct tensor *tensor = &graph.tensors[level[i]];
        const struct grid expected = level_grid(&grid, levels.at[i].stride);
        ck_assert_msg(tensor->channels == levels.at[i].channels && grid_same(&tensor->grid, &expected), "%s: level %d",
                      backbone->name, i);
    }
    for (int i = 0; i < all.count; i++)
        ck_assert_msg(in_a_module(backbone, all.rows[i].name), "%s is in no module", all.rows[i].name);
    graph_free(&graph);
    graph_begin(&graph, context, &few);
    int coarse = backbone->encoder(&graph, graph_input(&graph, "x", 1, &grid, settings->channels), settings);
    ck_assert_ok(graph_finish(&graph));
    ck_assert_int_eq(graph.tensors[coarse].channels, levels.at[0].channels);
    for (int i = 0; i < few.count; i++) ck_assert_int_ge(parameters_find(&all, few.rows[i].name), 0);
    ck_assert_int_le(few.count, all.count);
    graph_free(&graph);
    parameters_free(&few);
    parameters_free(&all);
}

START_TEST(rows_keep_what_the_table_promises) {
    struct network_settings unet = {.dims = 2, .channels = 3, .widths = {9, {8, 16, 24, 32, 40, 48, 56, 64, 72}}};
    struct network_settings two = {.dims = 2, .channels = 3, .widths = {2, {16, 8}}};
    for (int dims = 2; dims <= 3; dims++) {
        unet.dims = two.dims = dims;
        check_row(&backbone_unet, &unet);
        check_row(&backbone_two_levels, &two);
    }
}
END_TEST

START_TEST(the_table_is_found_by_name_and_added_rows_behind_it) {
    const struct backbone *row;
    for (int i = 0; i < BACKBONES; i++) {
        ck_assert_ok(backbone_find(&row, context, backbone_at(context, i)->name));
        ck_assert_ptr_eq(row, backbone_at(context, i));
    }
    ck_assert_ptr_eq(backbone_at(context, BACKBONES), &backbone_two_levels);
    ck_assert_ptr_null(backbone_at(context, BACKBONES + 1));
    ck_assert_int_eq(backbone_find(&row, context, "swin"), COVER_ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "'swin' is not known; this libcover has unet, two_levels"));
}
END_TEST

START_TEST(settings_must_fit_the_chosen_network) {
    static const struct {
        const char *name, *value, *text;
    } wrong[] = {
        {"widths", "16,8,8", "two multiples of 8"},
        {"heads", "4,4,4,1,1", "backbone=two_levels has 2 levels"},
        {"crop", "24x32", "32 is not a multiple of 3; use 30"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cover_config *config;
        ck_assert_ok(two_levels_config(&config, context));
        ck_assert_ok(cover_config_validate(config));
        ck_assert_str_eq(cover_config_get(config, "backbone"), "two_levels");
        ck_assert_ok(cover_config_set(config, wrong[i].name, wrong[i].value));
        ck_assert_int_ne(cover_config_validate(config), COVER_OK);
        ck_assert_msg(strstr(cover_error_text(), wrong[i].text), "%s", cover_error_text());
        cover_config_destroy(config);
    }
}
END_TEST

/* ---- what stands on it */

static struct settings settings_of_two_levels(void) {
    cover_config *config;
    ck_assert_ok(two_levels_config(&config, context));
    struct settings settings = *config_settings(config);
    cover_config_destroy(config);
    return settings;
}

START_TEST(vectors_go_to_the_next_level_in_its_pixels) {
    const struct settings settings = settings_of_two_levels();
    const struct grid grid = settings_grid(&settings.views.crop, 2);
    struct parameters parameters = {.context = context};
    struct pair_graph pair;
    int steps = 0;
    ck_assert_ok(pair_graph_build(&pair, context, &parameters, &settings, &grid, 0));
    for (int i = 0; i < pair.graph.node_count; i++) {
        const struct node *node = &pair.graph.nodes[i];
        if (node->op != OP_resize_corners || pair.graph.tensors[node->output[0]].channels != 2) continue;
        ck_assert(node->attributes.scale == 3);
        ck_assert(grid_same(&node->attributes.grid, &grid));
        steps++;
    }
    ck_assert_int_eq(steps, 1);
    pair_graph_free(&pair);
    parameters_free(&parameters);
}
END_TEST

START_TEST(tasks_count_its_modules_from_the_head) {
    enum { SEG, CLS }; /* in the order of task_kinds.def */
    static const struct {
        int task;
        int64_t last_k;
        const char *trained, *frozen;
    } cases[] = {
        {SEG, 1, "backbone.fine.", "backbone.coarse."},
        {SEG, 2, "backbone.coarse.", "backbone.stem."},
        {CLS, 1, "backbone.coarse.", "backbone.stem."},
        {CLS, 2, "backbone.stem.", "standardise."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settings settings = settings_of_two_levels();
        struct parameters parameters;
        int trained = 0, frozen = 0;
        settings.task = (struct task_settings){
            .task = cases[i].task, .classes = 3, .trained = TRAINED_LAST, .last_k = cases[i].last_k, .standardise = 1};
        ck_assert_ok(task_parameters(&parameters, context, &settings));
        for (int k = 0; k < parameters.count; k++) {
            const char *name = parameters.rows[k].name;
            const bool stays = task_frozen(task_kind_of(context, &settings.task), &backbone_two_levels, &settings.task, name);
            if (strncmp(name, cases[i].trained, strlen(cases[i].trained)) == 0) ck_assert(!stays), trained++;
            if (strncmp(name, cases[i].frozen, strlen(cases[i].frozen)) == 0) ck_assert(stays), frozen++;
        }
        ck_assert(trained > 0 && frozen > 0);
        parameters_free(&parameters);
    }
}
END_TEST

/* ---- training */

struct figures {
    double loss[2 * STEPS], norm[2 * STEPS];
    size_t bytes;
    float *weights;
};

/* The steps [from, to) in this context. */
static void train_in(cover_context *own, struct figures *figures, const char *lanes, int from, int to, const char *load,
                     const char *save) {
    cover_dataset *dataset;
    cover_config *config;
    cover_trainer *trainer;
    ck_assert_ok(cover_dataset_open(&dataset, own, data_path));
    ck_assert_ok(two_levels_config(&config, own));
    ck_assert_ok(cover_config_set(config, "lanes", lanes));
    ck_assert_ok(cover_trainer_create(&trainer, own, dataset, config));
    if (load) ck_assert_ok(cover_trainer_load(trainer, load));
    for (int i = from; i < to; i++) {
        cover_step_report report = COVER_STEP_REPORT_INIT;
        ck_assert_ok(cover_trainer_step(&report, trainer));
        figures->loss[i] = report.loss, figures->norm[i] = report.grad_norm;
    }
    if (save) ck_assert_ok(cover_trainer_save(trainer, save));
    const struct engine *engine = trainer->core.engine;
    free(figures->weights);
    figures->bytes = (size_t)engine->model.parameters.floats * sizeof(float);
    figures->weights = memcpy(malloc(figures->bytes), engine->weights, figures->bytes);
    cover_trainer_destroy(trainer);
    cover_config_destroy(config);
    cover_dataset_destroy(dataset);
}

static struct figures train(int threads, const char *lanes, int steps) {
    struct figures figures = {0};
    cover_context *own = context_of(threads);
    train_in(own, &figures, lanes, 0, steps, NULL, NULL);
    cover_context_destroy(own);
    return figures;
}

static void check_same(const struct figures *a, const struct figures *b, int from, int to) {
    for (int i = from; i < to; i++) ck_assert(a->loss[i] == b->loss[i] && a->norm[i] == b->norm[i]);
    ck_assert_uint_eq(a->bytes, b->bytes);
    ck_assert_mem_eq(a->weights, b->weights, a->bytes);
}

START_TEST(lanes_and_threads_change_no_bit_of_another_network) {
    struct figures one = train(1, "0", STEPS);
    ck_assert(one.norm[0] > 0 && one.loss[0] != one.loss[1]);
    static const struct {
        int threads;
        const char *lanes;
    } ways[] = {{2, "0"}, {2, "1"}, {3, "3"}, {4, "2"}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct figures other = train(ways[i].threads, ways[i].lanes, STEPS);
        check_same(&one, &other, 0, STEPS);
        free(other.weights);
    }
    free(one.weights);
}
END_TEST

START_TEST(a_run_of_another_network_is_resumed_exactly) {
    char path[128];
    struct figures whole = train(2, "0", 2 * STEPS), parts = {0};
    snprintf(path, sizeof path, "%s/checkpoint.h5", folder);
    train_in(context, &parts, "0", 0, STEPS, NULL, path);
    cover_context *one = context_of(1);
    train_in(one, &parts, "1", STEPS, 2 * STEPS, path, NULL);
    check_same(&whole, &parts, 0, 2 * STEPS);
    cover_context_destroy(one);
    free(whole.weights);
    free(parts.weights);
}
END_TEST

static void rank_work(cover_context *own, int rank, void *user) {
    struct figures mine = {0}, *first = user;
    own->added = two_levels_rows;
    train_in(own, &mine, "0", 0, STEPS, NULL, NULL);
    if (rank == 0) *first = mine;
    else free(mine.weights);
}

START_TEST(ranks_change_no_bit_of_another_network) {
    struct figures alone = train(1, "0", STEPS), together = {0};
    run_together(&(struct together){.ranks = 2, .work = rank_work, .user = &together});
    check_same(&alone, &together, 0, STEPS);
    free(alone.weights);
    free(together.weights);
}
END_TEST

/* ---- files and handles */

START_TEST(files_name_the_network_and_others_refuse_it) {
    char checkpoint[128], weights[128], bare[128], *info;
    struct figures figures = {0};
    cover_backbone *backbone;
    cover_context *plain;
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint.h5", folder);
    snprintf(weights, sizeof weights, "%s/weights.safetensors", folder);
    snprintf(bare, sizeof bare, "%s/backbone.safetensors", folder);
    train_in(context, &figures, "0", 0, 1, NULL, checkpoint);
    free(figures.weights);
    ck_assert_ok(cover_weights_export(context, checkpoint, weights, 0));
    ck_assert_ok(cover_weights_export(context, weights, bare, 1));
    ck_assert_ok(cover_weights_info(&info, context, weights));
    ck_assert_ptr_nonnull(strstr(info, "{\"backbone\": \"two_levels\", \"dims\": 2, \"channels\": 1, \"widths\": [16,8]"));
    cover_text_release(context, info);
    ck_assert_ok(cover_context_create(&plain, NULL));
    const char *const files[] = {checkpoint, weights, bare};
    for (int i = 0; i < 3; i++) {
        ck_assert_ok(cover_backbone_load(&backbone, context, files[i], NULL));
        cover_backbone_destroy(backbone);
        ck_assert_int_eq(cover_backbone_load(&backbone, plain, files[i], NULL), COVER_ERROR_UNSUPPORTED);
        ck_assert_msg(strstr(cover_error_text(), "backbone 'two_levels' is not known"), "%s", cover_error_text());
    }
    cover_context_destroy(plain);
}
END_TEST

START_TEST(backbone_and_head_serve_two_levels) {
    cover_config *config;
    cover_backbone *backbone;
    cover_head *head;
    cover_features *features;
    cover_tensor *image, *field, *dx, *dmoving[2], *dfixed[2];
    const int64_t shape[] = {2, 1, 20, 25}, whole[] = {2, 1, 21, 27};
    ck_assert_ok(two_levels_config(&config, context));
    ck_assert_ok(cover_backbone_create(&backbone, context, config));
    ck_assert_ok(cover_head_create(&head, context, config));
    for (int padded = 1; padded >= 0; padded--) {
        ck_assert_ok(cover_tensor_create(&image, context, COVER_F32, 4, padded ? shape : whole));
        float *pixels = cover_tensor_data(image);
        for (int i = 0; i < 2 * (padded ? 20 * 25 : 21 * 27); i++) pixels[i] = (float)(i * 37 % 101) / 101;
        ck_assert_ok(cover_backbone_forward(&features, backbone, image));
        ck_assert_int_eq(cover_features_count(features), 2);
        ck_assert_int_eq(cover_features_stride(features, 0), 3);
        ck_assert_int_eq(cover_features_stride(features, 1), 1);
        const cover_tensor *levels[] = {cover_features_level(features, 0), cover_features_level(features, 1)};
        ck_assert_ptr_null(cover_features_level(features, 2));
        ck_assert_int_eq(cover_tensor_shape(levels[0])[1], 16);
        ck_assert_int_eq(cover_tensor_shape(levels[0])[2], 7);
        ck_assert_int_eq(cover_tensor_shape(levels[0])[3], 9);
        ck_assert_ok(cover_head_forward(&field, head, levels, levels, 2));
        ck_assert_int_eq(cover_tensor_shape(field)[3], padded ? 25 : 27);
        if (!padded) {
            ck_assert_ok(cover_head_backward(dmoving, dfixed, head, levels, levels, 2, field));
            ck_assert_ok(cover_backbone_backward(&dx, backbone, image, (const cover_tensor *const *)dmoving, 2));
            for (int i = 0; i < 2; i++) cover_tensor_destroy(dmoving[i]), cover_tensor_destroy(dfixed[i]);
            cover_tensor_destroy(dx);
        }
        cover_tensor_destroy(field);
        cover_features_destroy(features);
        cover_tensor_destroy(image);
    }
    cover_head_destroy(head);
    cover_backbone_destroy(backbone);
    cover_config_destroy(config);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("backbone");
    TCase *tcase = tcase_create("backbone");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, rows_keep_what_the_table_promises);
    ADD(tcase, the_table_is_found_by_name_and_added_rows_behind_it);
    ADD(tcase, settings_must_fit_the_chosen_network);
    ADD(tcase, vectors_go_to_the_next_level_in_its_pixels);
    ADD(tcase, tasks_count_its_modules_from_the_head);
    ADD(tcase, lanes_and_threads_change_no_bit_of_another_network);
    ADD(tcase, a_run_of_another_network_is_resumed_exactly);
    ADD(tcase, ranks_change_no_bit_of_another_network);
    ADD(tcase, files_name_the_network_and_others_refuse_it);
    ADD(tcase, backbone_and_head_serve_two_levels);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
