/* cover finetune: a pretrained backbone and a new head on labelled images.  The run folder is the library's work; here are data,
 * settings, progress and last words. */
#include "command.h"
#include "json_text.h"

#include <libcover/dataset.h>
#include <libcover/task.h>

#include <stdlib.h>
#include <string.h>

/* A setting from an option that is no plain value. */
static int set(struct session *session, const char *name, const char *value) {
    if (cover_config_set(session->config, name, value) == COVER_OK) return EXIT_OK;
    return usage_error(session->verb, "%s", library_words(session->verb));
}

static int read_fold(struct session *session) {
    const char *text = text_of(session, OPTION_FOLD), *slash = text ? strchr(text, '/') : NULL;
    char fold[16];
    if (!text) return EXIT_OK;
    if (!slash || slash == text || (size_t)(slash - text) >= sizeof fold)
        return usage_error(session->verb, "--fold %s: give fold and folds, 1/5 for example", text);
    snprintf(fold, sizeof fold, "%.*s", (int)(slash - text), text);
    int status = set(session, "fold", fold);
    if (status == EXIT_OK) status = set(session, "folds", slash + 1);
    if (status == EXIT_OK && atoll(fold) > atoll(slash + 1))
        return usage_error(session->verb, "--fold %s: there are folds 1 to %s", text, slash + 1);
    return status;
}

/* What can be told before the data are looked at. */
static int check_options(struct session *session) {
    if (!given(session, OPTION_DATA)) return usage_error(session->verb, "--data DATA is missing: it names the labelled images");
    if (given(session, OPTION_LINEAR) && given(session, OPTION_LAST_K))
        return usage_error(session->verb, "--linear and --last-k exclude each other: --last-k 0 is --linear");
    return read_fold(session);
}

/* The settings that fit data and backbone, then those of a run that goes on, then the command line. */
static int make_settings(struct session *session, const cover_dataset *dataset, const char *init, const char *folder) {
    const char *task = given(session, OPTION_TASK) ? text_of(session, OPTION_TASK) : "seg";
    cover_config *config;
    cover_status result = cover_task_config(&config, session->context, dataset, task, init);
    if (result != COVER_OK) return failed(session, result);
    cover_config_destroy(session->config);
    session->config = config;
    int status = settings_apply(session, config);
    if (status == EXIT_OK) status = run_settings(session, folder);
    if (status == EXIT_OK) status = read_fold(session);
    if (status == EXIT_OK && given(session, OPTION_LINEAR)) status = set(session, "trained", "head");
    if (status == EXIT_OK && given(session, OPTION_LAST_K)) status = set(session, "trained", "last");
    if (status == EXIT_OK && cover_config_validate(config) != COVER_OK)
        return usage_error(session->verb, "%s", library_words(session->verb));
    return status;
}

/* The figures of the best validation, whatever the kind of task calls them; some have better words than their names. */
static int print_end(struct session *session, const char *json) {
    enum { HEAD = 6, FIGURES = 8 };
    static const struct {
        struct field field;
        double nothing; /* what one who knows nothing gets */
    } words[] = {{{"mean_dice", "mean Dice"}, 0}, {{"auc", "mean AUC"}, 0.5}, {{0}, 0}};
    struct field fields[HEAD + FIGURES + 1] = {
        {"run", "run folder"},
        {"train_cases", "training cases", UNIT_COUNT},
        {"val_cases", "validation cases", UNIT_COUNT},
        {"steps", "steps", UNIT_COUNT},
        {"seconds", "time", UNIT_SECONDS},
        {"best.step", "best at step", UNIT_COUNT},
    };
    char path[FIGURES][64];
    int count = 0;
    json_t *result = json_of(json, NULL), *value;
    const char *name;
    json_object_foreach(json_object_get(result, "best"), name, value) {
        if (!json_is_number(value) || strcmp(name, "step") == 0 || count == FIGURES) continue;
        size_t known = 0;
        while (words[known].field.path && strcmp(words[known].field.path, name) != 0) known++;
        snprintf(path[count], sizeof path[count], "best.%s", name);
        const char *label = words[known].field.label;
        fields[HEAD + count] = (struct field){path[count], label ? label : path[count] + strlen("best.")};
        count++;
    }
    const int status = print_result(session, json, fields);
    for (size_t i = 0; i < sizeof words / sizeof *words && words[i].field.path; i++) {
        const char *key = words[i].field.path;
        const json_t *best = json_object_get(json_object_get(result, "best"), key);
        if (json_is_number(best) && json_number_value(best) <= words[i].nothing)
            fprintf(stderr,
                    "warning: %s is %.3g: no better than nothing. More steps, more labelled cases, another learning rate (--set "
                    "lr=...) or "
                    "a larger --crop may help; %s/report.html has a note\n",
                    words[i].field.label, json_number_value(best), text_of(session, OPTION_OUTPUT));
    }
    json_decref(result);
    return status;
}

static int train(struct session *session, cover_dataset *dataset, const char *init, const char *folder, const char *segments) {
    cover_finetune_options options = COVER_FINETUNE_OPTIONS_INIT;
    options.segments = segments;
    options.resume = given(session, OPTION_RESUME);
    options.on_step = progress_on_task;
    options.user = &session->progress;
    char *json = NULL;
    run_say_begin(session, dataset, "");
    cover_status result = cover_run_finetune(&json, session->context, dataset, session->config, init, folder, &options);
    if (result == COVER_OK) {
        int status = print_end(session, json);
        cover_text_release(session->context, json);
        return status;
    }
    int status = failed(session, result);
    if (result == COVER_ERROR_CANCELLED) run_say_resume(session);
    return status;
}

static int run(struct session *session) {
    const char *init = session->arguments.operands[0], *folder = text_of(session, OPTION_OUTPUT);
    cover_dataset *dataset = NULL;
    cover_pack_options pack = COVER_PACK_OPTIONS_INIT;
    cover_dicom_options dicom = COVER_DICOM_OPTIONS_INIT;
    int status = check_options(session);
    if (status == EXIT_OK) status = pack_options_read(session, &pack, &dicom);
    char *segments = status == EXIT_OK ? segments_text(session, &status) : NULL;
    if (status != EXIT_OK) return status;
    cover_status result = cover_dataset_prepare(&dataset, session->context, text_of(session, OPTION_DATA), folder, &pack);
    status = result == COVER_OK ? make_settings(session, dataset, init, folder) : failed(session, result);
    if (status == EXIT_OK) status = train(session, dataset, init, folder, segments);
    cover_dataset_destroy(dataset);
    free(segments);
    return status;
}

const struct verb verb_finetune = {
    .name = "finetune",
    .summary = "train a pretrained network on labelled images",
    .operands = "INIT",
    .operands_min = 1,
    .operands_max = 1,
    .detail =
        "INIT is the run folder or weight file of a pretrained network, or the word scratch for fresh weights. Segmentation puts a "
        "1x1 convolution on the full-size features and trains with cross-entropy and soft Dice; classification averages the "
        "encoder's "
        "last features and puts a linear layer on them. A network of one channel is inflated to images of several.\n"
        "A folder as DATA is packed into RUN/dataset.h5 first. Cases are split by patient: by the data's own split where it has "
        "one, else into folds. Every val_every steps the validation "
        "cases are predicted as `cover predict` would do it, and the best weights are kept.\n"
        "The run folder gets config.json, log.jsonl, TensorBoard events, checkpoint.h5, and at the end weights.safetensors (the "
        "best, "
        "with all that prediction needs), result.json and report.html. Ctrl-C stops after the step in work and saves; --resume "
        "goes on, "
        "bit for bit as if nothing had happened.",
    .examples = {"cover finetune run --task seg --data Dataset001_Chest -o lungs",
                 "cover finetune run --task seg --data chest.h5 -o few --shots 10 --steps 500",
                 "cover finetune weights.safetensors --task cls --data pneumonia/ -o linear --linear",
                 "cover finetune scratch --task seg --data chest.h5 -o baseline --fold 2/5"},
    .preset = "seg-2d",
    .people = true,
    .run = run,
    .options = {{OPTION_OUTPUT, "RUN", "run folder to write", true},
                {OPTION_TASK},
                {OPTION_DATA},
                {OPTION_SHOTS},
                {OPTION_FRACTION},
                {OPTION_LINEAR},
                {OPTION_LAST_K},
                {OPTION_FOLD},
                {OPTION_STEPS},
                {OPTION_BATCH, NULL, "images a step"},
                {OPTION_CROP, NULL,
                 "size of the windows that the network sees, HxW or DxHxW, multiples of what the backbone asks for"},
                {OPTION_SPACING, NULL, "DATA is a folder: resample its images to this spacing in mm, or `median`"},
                {OPTION_WINDOW},
                {OPTION_CHANNELS},
                {OPTION_SPLIT},
                {OPTION_LABELS},
                {OPTION_NEGATIVE},
                {OPTION_ORIENTATION},
                {OPTION_SERIES, NULL, "of DICOM series these alone: a number of 'cover dicom ls', SeriesNumber=N or Modality=CT"},
                {OPTION_TILT},
                {OPTION_SPACING_TOLERANCE},
                {OPTION_PADDING},
                {OPTION_SEGMENTS},
                {OPTION_NUMBER_LABELS},
                {OPTION_SKIP_BAD},
                {OPTION_SET},
                {OPTION_RESUME, NULL, "go on from the run's checkpoint; without a checkpoint start anew"}},
};
