/* Weights of every objective go on: into fine-tuning, into pretraining by another one, through export and check; and are refused with the
 * reason where they cannot serve. */
#include "../task_data.h"

#include "core/objective/objective.h"
#include "io/weights/weights.h"

static const char *const names[] = {
#define OBJECTIVE(name) #name,
#include "core/settings/objectives.def"
#undef OBJECTIVE
};
enum { NAMES = sizeof names / sizeof *names };

static void pretrained(cover_dataset *dataset, const char *objective, const char *init, const char *run) {
    cover_config *config;
    ck_assert_ok(cover_config_create(&config, context, "demo"));
    set_all(config, "widths=8,8,8,16,16,16,8,8,8 crop=32x32 work=0x0 batch=4 steps=2 log_every=1 lr=0.001 checkpoint_every=0");
    set(config, "objective", objective);
    if (strcmp(objective, "cover") == 0) set(config, "heads", "2,2,1,1,1");
    cover_pretrain_options options = COVER_PRETRAIN_OPTIONS_INIT;
    options.init = init;
    ck_assert_ok(cover_run_pretrain(context, dataset, config, run, &options));
    cover_config_destroy(config);
}

/* Weights under a name; the caller frees. */
static float *tensor(const char *path, const char *name, int64_t *elements) {
    struct tensor_file *file;
    ck_assert_ok(weights_open(&file, context, path));
    float *values = NULL;
    for (int64_t i = 0; i < file->count; i++)
        if (strcmp(file->entries[i].name, name) == 0) {
            values = malloc((size_t)file->entries[i].elements * sizeof *values);
            *elements = file->entries[i].elements;
            ck_assert_ok(tensor_read_f32(file, &file->entries[i], values));
        }
    tensor_file_close(file);
    return values;
}
static bool equal(const char *one, const char *other, const char *name) {
    int64_t counts[2] = {0};
    float *a = tensor(one, name, &counts[0]), *b = tensor(other, name, &counts[1]);
    ck_assert_msg(a && b && counts[0] == counts[1], "%s: is not in %s and %s", name, one, other);
    const bool same = memcmp(a, b, (size_t)counts[0] * sizeof *a) == 0;
    free(a), free(b);
    return same;
}

static void metadata(char text[64], const char *path, const char *key) {
    struct tensor_file *file;
    ck_assert_ok(weights_open(&file, context, path));
    const char *value = tensor_file_metadata(file, key);
    snprintf(text, 64, "%s", value ? value : "");
    tensor_file_close(file);
}

/* A task's network before its first step. */
static void begun(cover_dataset *dataset, const char *task, const char *init, const char *seed, const char *path) {
    char settings[64];
    snprintf(settings, sizeof settings, "seed=%s standardise=off", seed);
    cover_task *made = make_task(dataset, task, init, settings);
    ck_assert_ok(cover_task_export(made, path));
    cover_task_destroy(made);
}

static const char *const encoder = "backbone.down4.maxpool_conv.1.double_conv.0.weight",
                         *const decoder = "backbone.up4.conv.double_conv.3.weight",
                         *const inner = "backbone.up1.conv.double_conv.0.weight";

START_TEST(weights_of_each_objective_are_fine_tuned) {
    const char *objective = names[_i];
    char text[64], trained[64], run[256], weights[256];
    strcpy(run, at("run")), strcpy(weights, at("run/weights.safetensors"));
    cover_dataset *maps = make_data((struct scene){.kind = DISC, .size = 48}, at("maps.h5")),
                  *classes = make_data((struct scene){.kind = PATTERN, .size = 48}, at("classes.h5"));
    pretrained(maps, objective, NULL, run);
    metadata(text, weights, "objective"), metadata(trained, weights, "trained");
    ck_assert_str_eq(text, objective);
    const bool whole = strcmp(trained, "whole") == 0, cover = strcmp(objective, "cover") == 0;
    ck_assert_msg(whole || *trained, "%s: the weights do not say what was trained", objective);
    struct tensor_file *file;
    ck_assert_ok(weights_open(&file, context, weights));
    for (int64_t i = 0; i < file->count && !cover; i++)
        ck_assert_msg(strncmp(file->entries[i].name, "backbone.", 9) == 0, "%s: %s", objective, file->entries[i].name);
    tensor_file_close(file);

    /* the encoder is the file's; the decoder, where it was not trained, that of the task's own seed */
    begun(maps, "seg", weights, "1", at("one")), begun(maps, "seg", weights, "2", at("two"));
    begun(maps, "seg", weights, "1", at("again")), begun(maps, "seg", run, "1", at("folder"));
    ck_assert_msg(equal(at("one"), weights, encoder) && equal(at("two"), weights, encoder), "%s: another encoder", objective);
    ck_assert_msg(equal(at("one"), weights, decoder) == whole, "%s: trained=%s", objective, trained);
    ck_assert_msg(equal(at("one"), at("two"), decoder) == whole, "%s: trained=%s, two seeds", objective, trained);
    ck_assert(equal(at("one"), at("again"), decoder) && equal(at("one"), at("folder"), decoder));
    if (strcmp(trained, "up2") == 0) ck_assert(equal(at("one"), weights, inner));
    ck_assert_msg(whole == !strstr(logged, "begins as this run's seed draws it"), "%s: %s", objective, logged);
    begun(classes, "cls", weights, "1", at("class"));
    ck_assert(equal(at("class"), weights, encoder));

    /* and so from a checkpoint, which has heads, twins and queues beside it, and from what is exported of either */
    begun(maps, "seg", at("run/checkpoint.h5"), "1", at("checkpoint"));
    ck_assert(equal(at("checkpoint"), at("one"), decoder) && equal(at("checkpoint"), at("one"), encoder));
    static const char *const sources[] = {"run/weights.safetensors", "run/checkpoint.h5"};
    for (int i = 0; i < 2; i++) {
        ck_assert_ok(cover_weights_export(context, at(sources[i]), at("exported.safetensors"), 0));
        metadata(text, at("exported.safetensors"), "objective");
        ck_assert_str_eq(text, objective);
        metadata(text, at("exported.safetensors"), "trained");
        ck_assert_str_eq(text, trained);
        ck_assert(equal(at("exported.safetensors"), weights, encoder));
        ck_assert_ok(cover_weights_convert(NULL, context, at(sources[0]), at("converted.safetensors"), NULL));
        metadata(text, at("converted.safetensors"), "trained");
        ck_assert_str_eq(text, trained);
        ck_assert_ok(cover_weights_export(context, at(sources[i]), at("network.onnx"), 0));
    }
    cover_dataset_destroy(maps), cover_dataset_destroy(classes);
}
END_TEST

START_TEST(runs_of_each_objective_are_checked) {
    cover_dataset *maps = make_data((struct scene){.kind = DISC, .size = 48}, at("maps.h5"));
    pretrained(maps, names[_i], NULL, at("run"));
    static const char *const files[] = {"run/weights.safetensors", "run/checkpoint.h5"};
    for (int i = 0; i < 2; i++) {
        char *json = NULL;
        cover_status status = cover_file_check(&json, context, at(files[i]));
        ck_assert_msg(status == COVER_OK && strstr(json, "\"ok\": true"), "%s, %s: %s", names[_i], files[i],
                      status == COVER_OK ? json : cover_error_text());
        memory_free(context, json);
    }
    cover_dataset_destroy(maps);
}
END_TEST

/* What there is to take is taken, without being asked for a part. */
START_TEST(pretraining_starts_from_the_backbone_of_another_objective) {
    const char *objective = names[_i];
    char first[256], weights[256];
    strcpy(first, at("first")), strcpy(weights, at("first/weights.safetensors"));
    cover_dataset *maps = make_data((struct scene){.kind = DISC, .size = 48}, at("maps.h5"));
    const char *others[] = {"cover", "denoising", "simclr"};
    pretrained(maps, objective, NULL, first);
    for (int i = 0; i < 3; i++) pretrained(maps, others[i], weights, at("run%d", i));
    pretrained(maps, objective, weights, at("own"));
    pretrained(maps, objective, at("first/checkpoint.h5"), at("whole"));
    cover_dataset_destroy(maps);
}
END_TEST

START_TEST(matching_refuses_weights_without_its_head_and_says_why) {
    cover_dataset *maps = make_data((struct scene){.kind = DISC, .size = 48}, at("maps.h5"));
    pretrained(maps, "simclr", NULL, at("run"));
    ck_assert_fails(cover_images_match(NULL, context, at("run"), "a.png", "b.png", at("f.nii"), NULL), COVER_ERROR_MISMATCH,
                    "objective=simclr, which has no head that finds the field", "match with weights of objective=cover",
                    "option init");
    pretrained(maps, "cover", NULL, at("cover"));
    ck_assert_ok(cover_weights_export(context, at("cover"), at("backbone.safetensors"), 1));
    ck_assert_fails(cover_images_match(NULL, context, at("backbone.safetensors"), "a.png", "b.png", at("f.nii"), NULL),
                    COVER_ERROR_MISMATCH, "the backbone alone; match with the pretrained network that it was made of");
    cover_dataset_destroy(maps);
}
END_TEST

START_TEST(a_level_that_is_read_says_what_is_trained) {
    static const char *const values[][4] = {
        {"densecl", "dense_level", "0", "encoder"}, {"densecl", "dense_level", "3", "up3"},
        {"densecl", "dense_level", "4", "whole"},   {"chaitanya_local", "local_level", "1", "up1"},
        {"simclr", "dense_level", "-1", "encoder"}, {"cover", "dense_level", "-1", "whole"}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        cover_config *config;
        char text[64];
        ck_assert_ok(cover_config_create(&config, context, NULL));
        set(config, "objective", values[i][0]), set(config, values[i][1], values[i][2]);
        objective_trained(text, sizeof text, config);
        ck_assert_str_eq(text, values[i][3]);
        cover_config_destroy(config);
    }
}
END_TEST

/* A file is free to claim anything. */
START_TEST(a_module_that_is_not_there_is_refused) {
    struct tensor_file file = {.source = {.name = (char *)"some.safetensors"}};
    const char *prefix[BACKBONE_MODULES + 1];
    struct tensor_pair pairs[] = {{"format", "libcover"}, {"trained", "up2"}};
    file.metadata = pairs, file.metadata_count = 2;
    ck_assert_ok(weights_untrained(prefix, &file, &backbone_unet));
    ck_assert_str_eq(prefix[0], "backbone.up4.");
    ck_assert_str_eq(prefix[1], "backbone.up3.");
    ck_assert_ptr_null(prefix[2]);
    pairs[1].value = "everything";
    ck_assert_fails(weights_untrained(prefix, &file, &backbone_unet), COVER_ERROR_FORMAT, "trained=everything is no module");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("weights of objectives");
    TCase *tcase = tcase_create("weights");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, weights_of_each_objective_are_fine_tuned, 0, NAMES);
    tcase_add_loop_test(tcase, runs_of_each_objective_are_checked, 0, NAMES);
    tcase_add_loop_test(tcase, pretraining_starts_from_the_backbone_of_another_objective, 0, NAMES);
    ADD(tcase, matching_refuses_weights_without_its_head_and_says_why);
    ADD(tcase, a_level_that_is_read_says_what_is_trained);
    ADD(tcase, a_module_that_is_not_there_is_refused);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
