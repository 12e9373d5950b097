/* cover eval: predictions against labels, or one evaluation against another. */
#include "command.h"
#include "json_text.h"

#include <libcover/evaluate.h>

#include <math.h>
#include <string.h>

enum { MOST_CASES = 50, MOST_CLASSES = 12 }; /* printed; all are in --json and --csv */

/* ---- tables for people: a first column of names, then figures */

static int width_of(const json_t *object, const char *more) {
    int width = (int)strlen(more);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value) if ((int)strlen(name) > width) width = (int)strlen(name);
    return width;
}

/* "0.9132", or "-" for null. */
static void print_figure(const json_t *value, int width, int digits) {
    if (json_is_number(value)) printf("  %*.*f", width, digits, json_number_value(value));
    else printf("  %*s", width, "-");
}

static void print_interval(const json_t *interval) {
    const json_t *low = json_array_get(interval, 0), *high = json_array_get(interval, 1);
    if (json_is_number(low)) printf("  %.4f..%.4f", json_number_value(low), json_number_value(high));
    else printf("  %14s", "-");
}

static void print_class_table(const json_t *result) {
    const json_t *classes = json_object_get(result, "classes"), *intervals = json_object_get(result, "class_intervals");
    const json_t *hd95 = json_object_get(result, "hd95"), *missed = json_object_get(result, "hd95_missed");
    const int width = width_of(classes, "class"),
              percent = (int)lrint(100 * json_number_value(json_object_get(result, "confidence")));
    const char *unit = json_is_true(json_object_get(result, "spacing_known")) ? "mm" : "px";
    const char *name;
    json_t *dice;
    printf("%-*s  %7s  %12d %%  %5s %s  missed\n", width, "class", "Dice", percent, "HD95", unit);
    json_object_foreach((json_t *)classes, name, dice) {
        say_to(stdout, "%-*s", width, name);
        print_figure(dice, 7, 4);
        print_interval(json_object_get(intervals, name));
        print_figure(json_object_get(hd95, name), 8, 2);
        printf("  %6d\n", (int)json_integer_value(json_object_get(missed, name)));
    }
    printf("%-*s", width, "mean");
    print_figure(json_object_get(result, "mean_dice"), 7, 4);
    print_interval(json_object_get(result, "mean_dice_interval"));
    print_figure(json_object_get(result, "mean_hd95"), 8, 2);
    printf("\n");
}

static void print_cases(const json_t *result) {
    const json_t *cases = json_object_get(result, "cases"), *classes = json_object_get(result, "classes");
    int width = (int)strlen("case");
    size_t i;
    const char *name;
    json_t *one, *value;
    if (json_array_size(cases) > MOST_CASES) {
        printf("\n%zu cases: --csv FILE or --json lists them\n", json_array_size(cases));
        return;
    }
    json_array_foreach((json_t *)cases, i, one) {
        const int length = (int)strlen(json_string_value(json_object_get(one, "case")));
        if (length > width) width = length;
    }
    if (json_object_size(classes) > MOST_CLASSES) classes = NULL; /* the mean alone */
    printf("\n%-*s  %7s", width, "case", "mean");
    json_object_foreach((json_t *)classes, name, value) say_to(stdout, "  %7.12s", name);
    printf("   (Dice)\n");
    json_array_foreach((json_t *)cases, i, one) {
        say_to(stdout, "%-*s", width, json_string_value(json_object_get(one, "case")));
        print_figure(json_object_get(one, "mean_dice"), 7, 4);
        json_object_foreach((json_t *)classes, name, value)
            print_figure(json_object_get(json_object_get(one, "dice"), name), strlen(name) > 7 ? (int)strnlen(name, 12) : 7, 4);
        printf("\n");
    }
}

static void print_scores(const json_t *result) {
    const json_t *classes = json_object_get(result, "classes"), *table = json_object_get(result, "confusion");
    const int width = width_of(classes, "accuracy");
    size_t t, p;
    const char *name;
    json_t *auc, *row, *count;
    printf("%-*s  %7s  %12d %%\n", width, "", "", (int)lrint(100 * json_number_value(json_object_get(result, "confidence"))));
    printf("%-*s", width, "AUC");
    print_figure(json_object_get(result, "auc"), 7, 4);
    print_interval(json_object_get(result, "auc_interval"));
    printf("\n%-*s", width, "accuracy");
    print_figure(json_object_get(result, "accuracy"), 7, 4);
    print_interval(json_object_get(result, "accuracy_interval"));
    printf("\n\n%-*s  %7s%s\n", width, "class", "AUC", table ? "  cases of this class, by what they were taken for" : "");
    t = 0;
    json_object_foreach((json_t *)classes, name, auc) {
        say_to(stdout, "%-*s", width, name);
        print_figure(auc, 7, 4);
        row = json_array_get(table, t++);
        json_array_foreach(row, p, count) printf("  %6d", (int)json_integer_value(count));
        printf("\n");
    }
}

/* ---- the two forms */

static int print_evaluation(struct session *session, const char *json) {
    static const struct field fields[] = {{"count", "cases", UNIT_COUNT}, {0}};
    const int status = print_result(session, json, fields);
    if (given(session, OPTION_JSON) || status != EXIT_OK) return status;
    json_t *result = json_of(json, NULL);
    printf("\n");
    if (json_object_get(result, "mean_dice")) {
        print_class_table(result);
        print_cases(result);
    } else print_scores(result);
    json_decref(result);
    return EXIT_OK;
}

static int correlate(struct session *session) {
    static const struct field fields[] = {
        {"count", "cases", UNIT_COUNT},
        {"r", "Pearson r"},
        {"p", "p, two-sided"},
        {"mean_dice", "mean Dice"},
        {"mean_difference", "difference"},
        {0},
    };
    const char **operand = session->arguments.operands;
    char *json = NULL;
    const cover_status result = cover_evaluation_agreement(&json, session->context, operand[0], operand[1]);
    if (result != COVER_OK) return failed(session, result);
    const int status = print_result(session, json, fields);
    cover_text_release(session->context, json);
    return status;
}

static int run(struct session *session) {
    const char **operand = session->arguments.operands;
    if (given(session, OPTION_CORRELATE)) return correlate(session);
    cover_evaluate_options evaluate = COVER_EVALUATE_OPTIONS_INIT;
    evaluate.classes = text_of(session, OPTION_CLASSES);
    evaluate.negative = text_of(session, OPTION_NEGATIVE);
    evaluate.subset = given(session, OPTION_SUBSET);
    evaluate.csv = text_of(session, OPTION_CSV);
    evaluate.resamples = (int)session->arguments.option[OPTION_RESAMPLES].integer[0];
    evaluate.progress = progress_on_work, evaluate.user = &session->progress;
    char *json = NULL;
    cover_evaluation *evaluation = NULL;
    cover_status result = cover_evaluation_compute(&evaluation, session->context, operand[0], operand[1], &evaluate);
    if (result == COVER_OK) result = cover_evaluation_json(&json, evaluation);
    cover_evaluation_destroy(evaluation);
    if (result != COVER_OK) return failed(session, result);
    const int status = print_evaluation(session, json);
    cover_text_release(session->context, json);
    return status;
}

const struct verb verb_eval = {
    .name = "eval",
    .summary = "Dice and HD95 of label maps, AUC and accuracy of class scores",
    .operands = "PRED LABELS",
    .operands_min = 2,
    .operands_max = 2,
    .detail = "PRED and LABELS are two label maps, or two folders of them whose files have the same names, whatever their "
              "extensions; LABELS may be an nnU-Net raw dataset or its labelsTr, whose dataset.json names the classes. Or "
              "PRED is "
              "a CSV of class scores as predict writes it, and LABELS a folder of class folders or a CSV with columns file "
              "and "
              "label. Intervals of means are bootstrap intervals over the cases.\n"
              "With --correlate, PRED and LABELS are the JSON of two evaluations of the same cases, or the result.json of two "
              "fine-tuning runs: Pearson's r over their Dice (test-retest).",
    .examples = {"cover eval predicted/ Dataset001/labelsTr", "cover eval scores.csv test/ --json",
                 "cover eval mask.png truth.png --classes lung=255", "cover eval --correlate one.json other.json"},
    .run = run,
    .options = {{OPTION_CLASSES}, {OPTION_SUBSET}, {OPTION_NEGATIVE}, {OPTION_CSV}, {OPTION_RESAMPLES}, {OPTION_CORRELATE}},
};
