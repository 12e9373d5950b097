/* cover analyse KIND: what the paper looks at beside scores (docs/analysis.md).  A kind is a row of the table below. */
#include "command.h"
#include "json_text.h"

#include <libcover/analysis.h>

#include <stdlib.h>
#include <string.h>

static cover_feature_options feature_options(struct session *session, int level) {
    const struct value *option = session->arguments.option;
    cover_feature_options features = COVER_FEATURE_OPTIONS_INIT;
    features.level = given(session, OPTION_LEVEL) ? (int)option[OPTION_LEVEL].integer[0] : level;
    features.images = option[OPTION_IMAGES].integer[0];
    features.points = option[OPTION_POINTS].integer[0];
    features.seed = strtoull(cover_config_get(session->config, "seed"), NULL, 10);
    features.progress = progress_on_work;
    features.user = &session->progress;
    return features;
}

static int run_tsne(struct session *session) {
    static const struct field fields[] = {{"output", "written"},
                                          {"points", "points", UNIT_COUNT},
                                          {"channels", "channels"},
                                          {"level", "level"},
                                          {"classes", "points by label"},
                                          {"kl", "divergence"},
                                          {0}};
    const char **operand = session->arguments.operands, *path = text_of(session, OPTION_OUTPUT);
    cover_feature_options features = feature_options(session, 4);
    cover_tsne_options tsne = COVER_TSNE_OPTIONS_INIT;
    char *summary = NULL;
    tsne.perplexity = session->arguments.option[OPTION_PERPLEXITY].number[0];
    tsne.seed = features.seed;
    tsne.progress = progress_on_work;
    tsne.user = &session->progress;
    cover_status result = cover_analysis_tsne(&summary, session->context, operand[1], operand[2], path, &features, &tsne);
    if (result != COVER_OK) return failed(session, result);
    int status = print_result(session, summary, fields);
    cover_text_release(session->context, summary);
    return status;
}

/* A list of objects as a table: the members named, right-aligned. */
static int print_table(struct session *session, const char *json, const char *list, const struct field *columns) {
    static const struct field none[] = {{0}};
    if (given(session, OPTION_JSON)) return print_result(session, json, none);
    progress_end(&session->progress);
    json_t *object = json_of(json, NULL), *row;
    size_t i;
    for (const struct field *column = columns; column->path; column++) printf("%14s", column->label);
    putchar('\n');
    json_array_foreach(json_object_get(object, list), i, row) {
        for (const struct field *column = columns; column->path; column++) {
            const json_t *value = json_object_get(row, column->path);
            char text[32] = "-";
            if (json_is_number(value))
                snprintf(text, sizeof text, "%.*g", column->unit == UNIT_COUNT ? 15 : 4,
                         json_number_value(value) / (column->unit == UNIT_FLOPS ? 1e9 : 1));
            printf("%14s", text);
        }
        putchar('\n');
    }
    json_decref(object);
    return EXIT_OK;
}

static int run_dispersion(struct session *session) {
    static const struct field columns[] = {{"level", "level"},
                                           {"stride", "stride"},
                                           {"within", "within"},
                                           {"across", "across"},
                                           {"ratio", "ratio"},
                                           {"spread", "spread"},
                                           {0}};
    const char **operand = session->arguments.operands;
    cover_feature_options features = feature_options(session, -1);
    char *json = NULL;
    cover_status result = cover_analysis_dispersion(&json, session->context, operand[1], operand[2], &features);
    if (result != COVER_OK) return failed(session, result);
    int status = print_table(session, json, "levels", columns);
    cover_text_release(session->context, json);
    return status;
}

static int run_flops(struct session *session) {
    static const struct field columns[] = {{"levels", "VPA levels"},
                                           {"field", "field, pixels", UNIT_COUNT},
                                           {"vpa_flops", "VPA, GFLOP", UNIT_FLOPS},
                                           {"direct_radius", "direct radius", UNIT_COUNT},
                                           {"direct_flops", "Direct, GFLOP", UNIT_FLOPS},
                                           {"ratio", "ratio"},
                                           {0}};
    char *json = NULL;
    cover_status result = cover_analysis_flops(&json, session->context, session->config, text_of(session, OPTION_OUTPUT));
    if (result != COVER_OK) return failed(session, result);
    int status = print_table(session, json, "rows", columns);
    cover_text_release(session->context, json);
    return status;
}

static int run_curves(struct session *session) {
    static const struct field fields[] = {{"output", "written"}, {"runs", "runs", UNIT_LENGTH}, {0}};
    char *json = NULL;
    cover_status result = cover_analysis_curves(&json, session->context, session->arguments.operands + 1,
                                                session->arguments.operand_count - 1, text_of(session, OPTION_OUTPUT));
    if (result != COVER_OK) return failed(session, result);
    int status = print_result(session, json, fields);
    cover_text_release(session->context, json);
    return status;
}

static const struct kind {
    const char *name, *operands;
    int least, most; /* operands behind the kind */
    bool output;     /* -o must be given */
    int (*run)(struct session *session);
} kinds[] = {
    {"tsne", "WEIGHTS DATA", 2, 2, true, run_tsne},
    {"dispersion", "WEIGHTS DATA", 2, 2, false, run_dispersion},
    {"flops", "none", 0, 0, false, run_flops},
    {"curves", "RUN...", 1, 10, true, run_curves},
};

static int run(struct session *session) {
    const struct verb *verb = session->verb;
    const char *name = session->arguments.operands[0];
    int behind = session->arguments.operand_count - 1;
    struct nearest nearest = {.word = name};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct kind *kind = &kinds[i];
        nearest_offer(&nearest, kind->name);
        if (strcmp(kind->name, name) != 0) continue;
        if (behind < kind->least || behind > kind->most)
            return usage_error(verb, "%s takes %s, but %d operands stand behind it", name, kind->operands, behind);
        if (kind->output && !given(session, OPTION_OUTPUT))
            return usage_error(verb, "-o FILE is missing: it says where the result goes");
        return kind->run(session);
    }
    return usage_error(verb, "no analysis '%s'%s%s%s", name,
                       *nearest.best ? "; did you mean " : ": give tsne, dispersion, flops or curves", nearest.best,
                       *nearest.best ? "?" : "");
}

const struct verb verb_analyse = {
    .name = "analyse",
    .summary = "features in the plane, dispersion, cost of the head, curves of runs",
    .operands = "KIND ...",
    .kinds = "tsne|dispersion|flops|curves",
    .operands_min = 1,
    .operands_max = -1,
    .detail = "tsne WEIGHTS DATA: features of pixels of labelled images in the plane by t-SNE, labels as colours, written as "
              ".html, .png or .csv.\n"
              "dispersion WEIGHTS DATA: mean distance between the features of neighbouring pixels, within a class and across "
              "classes, at each level.\n"
              "flops: what the head costs as its receptive field grows, against one large window; a plot with -o. Settings as in "
              "pretrain.\n"
              "curves RUN...: what the logs of several runs hold, a plot a figure, written as .html or .csv.\n"
              "docs/analysis.md defines each figure.",
    .examples = {"cover analyse tsne run/ jsrt.h5 -o features.html --points 4000", "cover analyse dispersion run/ jsrt.h5",
                 "cover analyse flops --set radius=1 -o cost.html", "cover analyse curves scratch/ pretrained/ -o curves.html"},
    .preset = "paper-2d",
    .run = run,
    .options = {{OPTION_OUTPUT, "FILE", "file to write; its ending says what"},
                {OPTION_POINTS},
                {OPTION_LEVEL},
                {OPTION_IMAGES},
                {OPTION_PERPLEXITY},
                {OPTION_PRESET},
                {OPTION_CROP},
                {OPTION_SET}},
};
