/* cover objectives: what pretraining can minimise, drawn from the library's table; and the presets that are named after objectives. */
#include "command.h"

#include <libcover/objective.h>

#include <jansson.h>
#include <string.h>

enum { WIDTH = 80 };

static json_t *text_or_null(const char *text) { return text ? json_string(text) : json_null(); }

/* The default that stands where the method has no value of its own. */
static const char *default_of(const cover_config *fresh, const char *name) {
    const char *value = cover_config_get(fresh, name);
    return value ? value : "";
}

static json_t *describe(const cover_objective *objective, const cover_config *fresh) {
    json_t *settings = json_array();
    for (int i = 0; i < objective->setting_count; i++) {
        cover_objective_setting setting = COVER_OBJECTIVE_SETTING_INIT;
        if (cover_objective_setting_at(&setting, objective->name, i) != COVER_OK) continue;
        const char *normal = default_of(fresh, setting.name);
        json_array_append_new(settings, json_pack("{s:s, s:s, s:o, s:o}", "name", setting.name, "default", normal, "own_2d",
                                                  text_or_null(setting.own_2d), "own_3d", text_or_null(setting.own_3d)));
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "name", objective->name, "title", objective->title, "trained",
                     objective->trained, "text", objective->text, "use", objective->use, "cost", objective->cost, "sample",
                     objective->sample, "paper", objective->paper, "settings", settings);
}

/* ---- for people */

static void print_row(const char *name, const char *trained, const char *text) {
    print_wrapped(stdout, text, printf("%-16s %-8s ", name, trained), 26, WIDTH);
}

static void print_said(const char *label, const char *text) { print_wrapped(stdout, text, printf("%-9s", label), 9, WIDTH); }

static const char *help_of(const char *name) {
    for (int i = 0; cover_config_key_at(i); i++)
        if (strcmp(cover_config_key_at(i)->name, name) == 0) return cover_config_key_at(i)->help;
    return "";
}

static void print_setting(const cover_objective_setting *setting, const cover_config *fresh) {
    char value[256];
    const char *normal = default_of(fresh, setting->name), *two = setting->own_2d ? setting->own_2d : normal,
               *three = setting->own_3d ? setting->own_3d : normal;
    if (strcmp(two, three) == 0) snprintf(value, sizeof value, "%s", two);
    else snprintf(value, sizeof value, "%s (3D: %s)", two, three);
    print_wrapped(stdout, help_of(setting->name), printf("  %-20s %-12s ", setting->name, value), 36, WIDTH);
}

static void print_one(const cover_objective *objective, const cover_config *fresh) {
    char presets[160];
    snprintf(presets, sizeof presets, "%s-2d, %s-3d", objective->name, objective->name);
    printf("%s (%s)\n", objective->name, objective->title);
    print_said("learns", objective->text);
    print_said("use", objective->use);
    print_said("cost", objective->cost);
    print_said("trains", strcmp(objective->trained, "whole") == 0     ? "the whole network"
                         : strcmp(objective->trained, "encoder") == 0 ? "the encoder; fine-tuning draws the decoder anew"
                                                                      : objective->trained);
    print_said("paper", objective->paper);
    print_said("presets", presets);
    if (objective->setting_count) puts("\nsettings (--set NAME=VALUE), with the method's own values:");
    for (int i = 0; i < objective->setting_count; i++) {
        cover_objective_setting setting = COVER_OBJECTIVE_SETTING_INIT;
        if (cover_objective_setting_at(&setting, objective->name, i) == COVER_OK) print_setting(&setting, fresh);
    }
}

/* ---- the verb */

static int unknown(const struct session *session, const char *name) {
    struct nearest nearest = {.word = name};
    cover_objective objective = COVER_OBJECTIVE_INIT;
    for (int i = 0; i < cover_objective_count(); i++)
        if (cover_objective_at(&objective, i) == COVER_OK) nearest_offer(&nearest, objective.name);
    return *nearest.best ? usage_error(session->verb, "no objective '%s'; did you mean %s?", name, nearest.best)
                         : usage_error(session->verb, "no objective '%s'; 'cover objectives' lists them", name);
}

static int show_one(struct session *session, const char *name) {
    cover_objective objective = COVER_OBJECTIVE_INIT;
    if (cover_objective_find(&objective, name) != COVER_OK) return unknown(session, name);
    if (given(session, OPTION_JSON)) {
        static const struct field none[] = {{0}};
        return print_object(session, describe(&objective, session->config), none);
    }
    print_one(&objective, session->config);
    return EXIT_OK;
}

static int show_all(struct session *session) {
    json_t *rows = json_array();
    if (!given(session, OPTION_JSON)) print_row("objective", "trains", "what it learns by");
    for (int i = 0; i < cover_objective_count(); i++) {
        cover_objective objective = COVER_OBJECTIVE_INIT;
        if (cover_objective_at(&objective, i) != COVER_OK) continue;
        if (given(session, OPTION_JSON)) json_array_append_new(rows, describe(&objective, session->config));
        else print_row(objective.name, objective.trained, objective.text);
    }
    if (given(session, OPTION_JSON)) {
        static const struct field none[] = {{0}};
        return print_object(session, json_pack("{s:o}", "objectives", rows), none);
    }
    json_decref(rows);
    putchar('\n');
    print_wrapped(stdout, "'cover objectives NAME' tells more of one; 'cover pretrain --objective NAME' trains with it.", 0, 0,
                  WIDTH);
    return EXIT_OK;
}

static int run(struct session *session) {
    cover_status result = cover_config_create(&session->config, session->context, NULL);
    if (result != COVER_OK) return failed(session, result);
    return session->arguments.operand_count ? show_one(session, session->arguments.operands[0]) : show_all(session);
}

/* Names as completions want them. */
#define OBJECTIVE(name) "|" #name
static const char names[] =
#include "core/settings/objectives.def"
    ;
#undef OBJECTIVE

const struct verb verb_objectives = {
    .name = "objectives",
    .summary = "what pretraining can minimise: list, or one in full",
    .operands = "[NAME]",
    .kinds = names + 1,
    .operands_min = 0,
    .operands_max = 1,
    .detail =
        "Lists the objectives of pretraining: COVER's own, and the methods that it is compared with. Of one it says what it "
        "learns by, when to take it, what a step costs beside one of COVER's, what of the network it trains, and the settings "
        "that it has, with the method's own values. Each has two presets, NAME-2d and NAME-3d.",
    .examples = {"cover objectives", "cover objectives simclr", "cover objectives --json"},
    .run = run,
};

bool preset_of_objective(const char *preset) {
    for (const char *name = names + 1; *name; name += strcspn(name, "|"), name += *name == '|') {
        const size_t length = strcspn(name, "|");
        if (strncmp(preset, name, length) == 0 && (strcmp(preset + length, "-2d") == 0 || strcmp(preset + length, "-3d") == 0))
            return true;
    }
    return false;
}
