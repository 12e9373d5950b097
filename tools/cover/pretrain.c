/* cover pretrain: the main job.  The run folder is the library's work; here are its settings, progress and last words.
 */
#include "command.h"

#include <libcover/dataset.h>
#include <libcover/plan.h>
#include <libcover/ranks.h>
#include <libcover/trainer.h>
#include <libcover/weights.h>

#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

/* The figures of the log's last line, and the first quotient of two of them. */
static int print_end(struct session *session, const char *run) {
    enum { FIELDS = COVER_FIGURES_MAX + 6 };
    cover_figure figures[COVER_FIGURES_MAX];
    struct field fields[FIELDS] = {{"run", "run folder"}, {"steps", "steps", UNIT_COUNT}};
    char weights[4096], report[4096], quotient[128];
    int count = 0, used = 2;
    int64_t step = 0;
    cover_status status = cover_run_figures(figures, &count, &step, session->context, run);
    if (status != COVER_OK) return failed(session, status);
    snprintf(weights, sizeof weights, "%s/weights.safetensors", run);
    snprintf(report, sizeof report, "%s/report.html", run);
    json_t *result = json_pack("{s:s, s:s, s:s}", "run", run, "weights", weights, "report", report);
    for (int i = 0; i < count; i++) {
        json_object_set_new(result, figures[i].name, json_real(figures[i].value));
        fields[used++] = (struct field){figures[i].name, figures[i].name};
    }
    json_object_set_new(result, "steps", json_integer(step));
    for (int i = 0; i < count && !json_object_get(result, "ratio"); i++) {
        const double over = cover_figure_value(figures, count, figures[i].over);
        if (!(over > 0)) continue;
        json_object_set_new(result, "ratio", json_real(figures[i].value / over));
        snprintf(quotient, sizeof quotient, "%s / %s", figures[i].name, figures[i].over);
        fields[used++] = (struct field){"ratio", quotient};
    }
    fields[used++] = (struct field){"weights", "weights"};
    fields[used++] = (struct field){"report", "report"};
    const double ratio = json_number_value(json_object_get(result, "ratio"));
    const int printed = print_object(session, result, fields);
    if (ratio > 1)
        fprintf(stderr,
                "warning: %s is %.3g: an answer that knows nothing is nearer to the truth. More steps, a lower learning rate "
                "(--set lr=...) or other intensities may help; %s has a note\n",
                quotient, ratio, report);
    return printed;
}

/* The preset of an objective and of dims, where no preset was named; of COVER the first one of these dims.  NULL = there is none. */
static const char *preset_for(const struct session *session, const char *objective, int dims) {
    char wanted[96];
    snprintf(wanted, sizeof wanted, "%s-%dd", strcmp(objective, "cover") == 0 ? "paper" : objective, dims);
    const char *name;
    for (int i = 0; (name = cover_config_preset_at(i)); i++)
        if (strcmp(cover_config_preset_scope(i), preset_scope(session->verb->preset)) == 0 && strcmp(name, wanted) == 0) break;
    return name;
}

/* What is wrong with the file is said when it is opened to be read. */
static int choose_preset(struct session *session, const char *path, const char **chosen) {
    cover_dataset *dataset = NULL;
    cover_dataset_info info = COVER_DATASET_INFO_INIT;
    const char *objective = cover_config_get(session->config, "objective");
    if (cover_dataset_open(&dataset, session->context, path) == COVER_OK) cover_dataset_get_info(&info, dataset);
    cover_dataset_destroy(dataset);
    const char *preset = preset_for(session, objective, info.dims);
    if (!preset || strcmp(preset, session->verb->preset) == 0) return EXIT_OK;
    cover_config *config;
    const cover_status result = cover_config_create(&config, session->context, preset);
    if (result != COVER_OK) return failed(session, result);
    *chosen = preset;
    cover_config_destroy(session->config);
    session->config = config;
    return settings_apply(session, config);
}

/* The preset of the objective, with what the weights say of their network. */
static cover_status on_preset(struct session *session, cover_config **config) {
    const cover_config *weights = *config;
    const int dims = *cover_config_get(weights, "dims") - '0';
    const char *preset = preset_for(session, cover_config_get(session->config, "objective"), dims);
    cover_config *made = NULL, *paper = NULL;
    if (!preset) return COVER_OK;
    cover_status result = cover_config_create(&made, session->context, preset);
    if (result == COVER_OK) result = cover_config_create(&paper, session->context, preset_for(session, "cover", dims));
    const cover_config_key *key;
    for (int i = 0; result == COVER_OK && (key = cover_config_key_at(i)); i++) {
        const char *value = cover_config_get(weights, key->name), *usual = cover_config_get(paper, key->name);
        if (value && usual && strcmp(value, usual) != 0) result = cover_config_set(made, key->name, value);
    }
    cover_config_destroy(paper);
    if (result != COVER_OK) {
        cover_config_destroy(made);
        return result;
    }
    cover_config_destroy(*config);
    *config = made;
    return COVER_OK;
}

/* The network that the weights to start from are of. */
static int take_network(struct session *session) {
    cover_config *config = NULL;
    cover_status result = cover_weights_config(&config, session->context, text_of(session, OPTION_INIT));
    if (result == COVER_OK) result = on_preset(session, &config);
    if (result != COVER_OK) {
        cover_config_destroy(config);
        return failed(session, result);
    }
    cover_config_destroy(session->config);
    session->config = config;
    return settings_apply(session, config);
}

/* A run that goes on has settings of its own in its folder, and weights have some in their file; rank 0 alone may see these. */
static int settings(struct session *session, const char *path, const char *folder, const char **chosen) {
    struct stat about;
    const int length = (int)strlen(path) - (path[0] && path[strlen(path) - 1] == '/');
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode))
        return refuse(session->verb, COVER_ERROR_FORMAT, "%s is a folder; pack it first: cover pack %.*s -o %.*s.h5", path, length,
                      path, length, path);
    const bool open = !given(session, OPTION_PRESET) && !given(session, OPTION_RESUME);
    int status = EXIT_OK;
    if (open && !given(session, OPTION_INIT)) status = choose_preset(session, path, chosen);
    else if (open && ranks_expected() == 0) status = take_network(session);
    if (status == EXIT_OK && ranks_expected() == 0) status = run_settings(session, folder);
    if (status != EXIT_OK) return status;
    if (cover_config_validate(session->config) != COVER_OK) return usage_error(session->verb, "%s", library_words(session->verb));
    return EXIT_OK;
}

/* At once, since a first step may take minutes. */
static void say_begin(struct session *session, const cover_dataset *dataset, const char *chosen) {
    char more[128] = "";
    cover_plan plan = COVER_PLAN_INIT;
    if (cover_plan_compute(&plan, session->context, session->config, cover_context_ranks(session->context)) == COVER_OK) {
        const bool large = plan.total_bytes >= 1u << 30;
        snprintf(more, sizeof more, "; %.1f %s of memory%s%s", (double)plan.total_bytes / (large ? 0x1p30 : 0x1p20),
                 large ? "GiB" : "MiB", chosen ? "; preset " : "", chosen ? chosen : "");
    }
    run_say_begin(session, dataset, more);
}

static int run(struct session *session) {
    const char *path = session->arguments.operands[0], *folder = text_of(session, OPTION_OUTPUT), *chosen = NULL;
    int status = settings(session, path, folder, &chosen);
    if (status == EXIT_OK) status = ranks_begin(session);
    if (status != RANKS_GO_ON) return status;
    bool first = cover_context_rank(session->context) == 0;

    cover_dataset *dataset = NULL;
    cover_status result = COVER_OK;
    if (given(session, OPTION_RESUME) || given(session, OPTION_INIT))
        result = cover_context_share_config(session->context, session->config);
    if (result == COVER_OK) result = cover_context_agree(session->context, cover_dataset_open(&dataset, session->context, path));
    if (result != COVER_OK) {
        cover_dataset_destroy(dataset);
        return failed(session, result);
    }
    if (first) say_begin(session, dataset, chosen);
    cover_pretrain_options pretrain = COVER_PRETRAIN_OPTIONS_INIT;
    pretrain.resume = given(session, OPTION_RESUME);
    pretrain.init = text_of(session, OPTION_INIT);
    pretrain.allow_partial = given(session, OPTION_ALLOW_PARTIAL);
    pretrain.on_step = first ? progress_on_step : NULL;
    pretrain.user = &session->progress;
    result = cover_run_pretrain(session->context, dataset, session->config, folder, &pretrain);
    cover_dataset_destroy(dataset);
    if (result == COVER_OK) return first ? print_end(session, folder) : EXIT_OK;
    status = failed(session, result);
    bool lost = result == COVER_ERROR_RANK && session->progress.smoothing; /* a rank, in the middle of the run */
    if (first && (result == COVER_ERROR_CANCELLED || lost)) run_say_resume(session);
    return status;
}

const struct verb verb_pretrain = {
    .name = "pretrain",
    .summary = "pretrain a network on a packed dataset",
    .operands = "DATA.h5",
    .operands_min = 1,
    .operands_max = 1,
    .detail = "By default it draws pairs of views from the images with a known displacement field between them (SeVR), and trains "
              "a U-Net "
              "to find that field from its features (MoV, VPA); --objective takes another method. The run folder gets config.json, "
              "log.jsonl, TensorBoard "
              "events, checkpoints, and at the end weights.safetensors and report.html.\n"
              "l_zero is the vector loss of the zero field on the same truth, so l_vec / l_zero tells how much was "
              "learnt: 1 is nothing.\n"
              "Ctrl-C stops after the step in work, saves a checkpoint and exits with 130; --resume goes on from there, "
              "bit for bit as if nothing had happened. TERM, HUP, XCPU and USR1 do the same. A second Ctrl-C, a second or more "
              "after the first, stops at once.\n"
              "--ranks N trains with N processes of this machine, each with --threads threads and its share of every batch; "
              "mpirun and srun do the same over many machines. 1, 2, 4, 8, ... ranks give the same bits.",
    .examples = {"cover pretrain chest.h5 -o run", "cover pretrain chest.h5 -o run --preset demo --steps 500 --seed 7",
                 "cover pretrain brain.h5 -o run3d --preset paper-3d --crop 96x96x96 --set lr=2e-4 -t 8",
                 "cover pretrain chest.h5 -o run --resume --ranks 2"},
    .preset = "paper-2d",
    .ranks = true,
    .people = true,
    .run = run,
    .options =
        {{OPTION_OUTPUT, "RUN", "run folder to write", true},
         {OPTION_PRESET},
         {OPTION_OBJECTIVE, NULL,
          "what to minimise, cover when not given ('cover objectives' lists them); takes the preset NAME-2d or NAME-3d, as the "
          "images are, where no preset is given"},
         {OPTION_STEPS},
         {OPTION_BATCH},
         {OPTION_CROP},
         {OPTION_SET},
         {OPTION_RESUME, NULL,
          "go on from the run's checkpoint, with the run's settings unless --preset is given; without a checkpoint "
          "start anew"},
         {OPTION_INIT, NULL,
          "start from these weights: safetensors file or run folder; unless --preset is given, settings of the network, its "
          "head and normalise are theirs"},
         {OPTION_ALLOW_PARTIAL, NULL, "with --init: take the weights that fit and say which did not"},
         {OPTION_RANKS},
         {OPTION_DEADLINE}},
};
