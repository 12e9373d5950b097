/* What people read of a pretraining run is the objective's own: names, figures, samples, whatever the objective is. */
#include "../../blobs.h"
#include "../../fixture.h"
#include "core/base/added.h"
#include "core/base/files.h"
#include "core/method/cover.h"
#include "core/objective/objective.h"

#include <libcover/analysis.h>
#include <libcover/report.h>
#include <libcover/trainer.h>

#include <math.h>
#include <stdio.h>

static cover_config *config;
static cover_dataset *dataset;
static char run[96];
static struct objective deep;

static const char *at(const char *name) {
    static char path[4][160];
    static int next;
    snprintf(path[next = (next + 1) % 4], sizeof path[0], "%s/%s", folder, name);
    return path[next];
}

/* COVER's graph under other names: what is read of it must not know the difference. */
static cover_status deep_model(struct model *model, cover_context *of, const struct settings *settings, const struct grid *grid) {
    TRY(pair_model(model, of, settings, grid));
    model->term[TERM_VECTOR].name = "depth", model->term[TERM_VECTOR].over = "flat", model->term[TERM_ZERO].name = "flat";
    model->term[TERM_COSINE].name = "slope";
    return COVER_OK;
}
static const struct figure_words deep_figures[] = {
    {.name = "depth", .over = "flat", .unit = "mm", .title = "loss of depth", .note = "How far <down>.", .naive = "a flat floor"},
    {.name = "slope"},
    {.name = "flat", .unit = "mm"},
    {0},
};
static const struct objective_picture deep_pictures[] = {{"anchor", PAIR_IMAGES, 0}, {"weights", PAIR_MASK, 0}, {0}};
static const struct added_row rows[] = {{"objective", "deep", &deep}, {0}};

static void setup(void) {
    static const char *const settings[][2] = {{"widths", "8,8,8,8,8,8,8,8,8"},
                                              {"heads", "1,1,1,1,1"},
                                              {"crop", "32x32"},
                                              {"work", "40x40"},
                                              {"batch", "3"},
                                              {"steps", "4"},
                                              {"log_every", "2"},
                                              {"radius", "1"},
                                              {"objective", "deep"}};
    with_folder();
    deep = *objective_of(context, &(struct objective_settings){0});
    deep.name = "deep", deep.title = "DEEP", deep.paper = "Deep Things, 2031", deep.sample = "scan", deep.build = deep_model;
    deep.figure = deep_figures, deep.picture = deep_pictures, deep.pairs = false;
    context->added = rows;
    write_blobs(context, at("images"), 4, 1, 48, 56);
    ck_assert_ok(cover_dataset_pack(NULL, context, (const char *[]){at("images")}, 1, at("data.h5"), NULL));
    ck_assert_ok(cover_dataset_open(&dataset, context, at("data.h5")));
    ck_assert_ok(cover_config_create(&config, context, "demo"));
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        ck_assert_ok(cover_config_set(config, settings[i][0], settings[i][1]));
    snprintf(run, sizeof run, "%s/run", folder);
}

static void teardown(void) {
    cover_config_destroy(config);
    cover_dataset_destroy(dataset);
    without_folder();
}

static void has(const char *name, const char *const *wanted, const char *const *unwanted) {
    uint8_t *text;
    size_t bytes;
    ck_assert_ok(file_read(context, at(name), 1 << 26, &text, &bytes));
    for (; *wanted; wanted++) ck_assert_msg(strstr((char *)text, *wanted), "%s lacks %s", name, *wanted);
    for (; *unwanted; unwanted++) ck_assert_msg(!strstr((char *)text, *unwanted), "%s has %s", name, *unwanted);
    memory_free(context, text);
}
#define HAS(name, ...) has(name, (const char *const[]){__VA_ARGS__, NULL}, covers)
static const char *const covers[] = {"l_vec", "l_zero", "l_con", "pairs", "COVER pretraining", "Vector loss", "View pairs", NULL};

static void one_step(void *user, const cover_step_report *report, int64_t steps) {
    ck_assert_str_eq(report->sample, "scan");
    ck_assert_str_eq(report->figures[0].name, "depth");
    ck_assert_int_eq(steps, 4);
    ++*(int *)user;
}

START_TEST(the_folder_of_another_objective_speaks_its_words) {
    int seen = 0;
    cover_pretrain_options options = COVER_PRETRAIN_OPTIONS_INIT;
    options.on_step = one_step, options.user = &seen;
    ck_assert_ok(cover_run_pretrain(context, dataset, config, run, &options));
    ck_assert_int_eq(seen, 4);
    HAS("run/log.jsonl", "\"depth\"", "\"slope\"", "\"flat\"", "\"scans_per_s\"");
    HAS("run/report.html", "DEEP pretraining", "<p class=\"soft\">depth / flat</p>", "The loss of depth ", "a flat floor",
        "<dt>depth, mm</dt>", "<dt>slope</dt>", "<b>Loss of depth</b>", "How far &#60;down&#62;.", "<b>depth / flat</b>",
        "scans a second", "<h2>Samples</h2>", "<figcaption>anchor</figcaption>", "<figcaption>weights</figcaption>",
        "Method: Deep Things, 2031.");

    cover_figure figures[COVER_FIGURES_MAX];
    int count;
    int64_t step;
    ck_assert_ok(cover_run_figures(figures, &count, &step, context, run));
    ck_assert(count == 3 && step == 4);
    ck_assert_str_eq(figures[0].over, "flat");
    ck_assert(cover_figure_value(figures, count, "flat") > 0 && isfinite(cover_figure_value(figures, count, "depth")));

    ck_assert_ok(cover_analysis_curves(NULL, context, (const char *[]){run}, 1, at("curves.csv")));
    has("curves.csv", (const char *[]){",depth / flat,", ",slope,", ",loss,", NULL}, (const char *[]){",depth,", "scans", NULL});
}
END_TEST

static cover_status flat_model(struct model *model, cover_context *of, const struct settings *settings, const struct grid *grid) {
    TRY(deep_model(model, of, settings, grid));
    struct loss_term *term = &model->term[TERM_COSINE];
    term->name = "spread", term->weight = 0, term->offset = 0, term->scale = 1e-9;
    return COVER_OK;
}
static int collapses;
static void count_collapses(void *user, cover_log_level level, const char *line) {
    (void)user;
    if (level == COVER_LOG_WARNING && strstr(line, "step 60: spread is ") && strstr(line, "which is collapse")) collapses++;
}
START_TEST(rows_that_are_all_alike_are_a_warning_once) {
    static const struct figure_words words[] = {{.name = "depth", .over = "flat"}, {.name = "spread"}, {.name = "flat"}, {0}};
    cover_context *heard;
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.log = count_collapses;
    ck_assert_ok(cover_context_create(&heard, &options));
    heard->added = rows;
    deep.build = flat_model, deep.figure = words;
    cover_dataset *images;
    cover_config *long_enough;
    ck_assert_ok(cover_dataset_open(&images, heard, at("data.h5")));
    ck_assert_ok(cover_config_create(&long_enough, heard, "demo"));
    ck_assert_ok(cover_config_read_json(long_enough, cover_config_json(config)));
    ck_assert_ok(cover_config_set(long_enough, "steps", "80"));
    ck_assert_ok(cover_config_set(long_enough, "log_every", "10"));
    ck_assert_ok(cover_run_pretrain(heard, images, long_enough, run, NULL));
    ck_assert_int_eq(collapses, 1);
    cover_config_destroy(long_enough);
    cover_dataset_destroy(images);
    cover_context_destroy(heard);
}
END_TEST

START_TEST(a_run_whose_objective_is_not_known_here_has_curves_by_their_names) {
    cover_figure figures[COVER_FIGURES_MAX];
    int count;
    ck_assert_ok(cover_run_pretrain(context, dataset, config, run, NULL));
    context->added = NULL;
    ck_assert_ok(cover_report_write(context, run, at("report.html")));
    HAS("report.html", "<b>depth</b>", "<b>slope</b>", "<b>flat</b>", "scans a second");
    ck_assert_ok(cover_run_figures(figures, &count, NULL, context, run));
    ck_assert_int_eq(count, 0);
    ck_assert_int_eq(cover_run_figures(figures, &count, NULL, context, at("nowhere")), COVER_ERROR_IO);
    ck_assert_ok(cover_analysis_curves(NULL, context, (const char *[]){run}, 1, at("curves.csv")));
    has("curves.csv", (const char *[]){",depth,", ",flat,", NULL}, (const char *[]){"depth / flat", NULL});
    context->added = rows;
}
END_TEST

#define OBJECTIVE(name) extern const struct objective objective_##name;
#include "core/settings/objectives.def"
#undef OBJECTIVE

/* The row, and the model that it makes of its own settings. */
static void same_terms(const struct objective *row, const struct model *model) {
    for (int t = 0; t < model->terms; t++) {
        ck_assert_msg(row->figure[t].name && strcmp(row->figure[t].name, model->term[t].name) == 0, "%s: term %s", row->name,
                      model->term[t].name);
        ck_assert_pstr_eq(row->figure[t].over, model->term[t].over);
    }
    ck_assert_ptr_null(row->figure[model->terms].name);
}
START_TEST(every_row_has_words_for_each_term_of_its_model) {
    static const struct objective *const objectives[] = {
#define OBJECTIVE(name) &objective_##name,
#include "core/settings/objectives.def"
#undef OBJECTIVE
    };
    for (size_t i = 0; i < sizeof objectives / sizeof *objectives; i++) {
        struct model model = {0};
        cover_config *own;
        char preset[96];
        snprintf(preset, sizeof preset, "%s-2d", objectives[i]->name);
        ck_assert_ok(cover_config_create(&own, context, preset));
        ck_assert_ok(cover_config_set(own, "widths", "8,8,8,8,8,8,8,8,8"));
        ck_assert_ok(cover_config_set(own, "crop", "128x128"));
        if (strcmp(objectives[i]->name, "inpainting") == 0)
            ck_assert_ok(cover_config_set(own, "adversarial", "0.001")); /* all terms */
        ck_assert_ok(objective_settle(own, 100));
        const struct settings *settings = config_settings(own);
        const struct grid grid = settings_grid(&settings->views.crop, (int)settings->network.dims);
        ck_assert_ok(objective_build(&model, context, settings, &grid));
        same_terms(objectives[i], &model);
        model_free(&model);
        cover_config_destroy(own);
    }
    struct model model = {0};
    const struct settings *settings = config_settings(config);
    const struct grid grid = settings_grid(&settings->views.crop, (int)settings->network.dims);
    ck_assert_ok(deep.build(&model, context, settings, &grid));
    same_terms(&deep, &model);
    model_free(&model);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("words");
    TCase *tcase = tcase_create("words");
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, the_folder_of_another_objective_speaks_its_words);
    ADD(tcase, rows_that_are_all_alike_are_a_warning_once);
    ADD(tcase, a_run_whose_objective_is_not_known_here_has_curves_by_their_names);
    ADD(tcase, every_row_has_words_for_each_term_of_its_model);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
