/* cover study: a list of runs and the tables of what they returned (docs/study.md). */
#include "study.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- one command line */

/* Common options of the study that hold for each run; they are no part of what a run is. */
static const enum option_id passed_on[] = {OPTION_THREADS, OPTION_DEVICE, OPTION_MEMORY_LIMIT, OPTION_ISA};

struct words {
    char **word;
    int count;
};

static void add_word(struct words *words, const char *format, const char *text) {
    size_t bytes = strlen(format) + strlen(text) + 1;
    words->word = need(realloc(words->word, (size_t)(words->count + 2) * sizeof *words->word));
    snprintf(words->word[words->count] = need(malloc(bytes)), bytes, format, text);
    words->word[++words->count] = NULL;
}

static struct words command_line(const struct study *study, const struct study_run *run, bool resume) {
    struct words words = {0};
    add_word(&words, "%s", study->session->argv[0]);
    for (size_t i = 0; i < json_array_size(run->words); i++)
        add_word(&words, "%s", json_string_value(json_array_get(run->words, i)));
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++) {
        if (!given(study->session, passed_on[i])) continue;
        add_word(&words, "--%s", options[passed_on[i]].name);
        add_word(&words, "%s", text_of(study->session, passed_on[i]));
    }
    if (resume) add_word(&words, "%s", "--resume");
    if (given(study->session, OPTION_QUIET)) add_word(&words, "%s", "--quiet");
    add_word(&words, "%s", "--json");
    return words;
}

static void words_free(struct words *words) {
    for (int i = 0; i < words->count; i++) free(words->word[i]);
    free(words->word);
}

static void print_words(FILE *stream, const struct words *words) {
    for (int i = 0; i < words->count; i++) {
        if (i) fputc(' ', stream);
        say_word(stream, words->word[i]);
    }
    fputc('\n', stream);
}

/* ---- one run */

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static json_t *time_of_day(void) {
    struct timespec time;
    struct tm calendar;
    char text[64], whole[32];
    clock_gettime(CLOCK_REALTIME, &time);
    strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", gmtime_r(&time.tv_sec, &calendar));
    snprintf(text, sizeof text, "%s.%06ldZ", whole, time.tv_nsec / 1000);
    return json_string(text);
}

/* Seconds so far of a run that was interrupted go on counting. */
static double seconds_before(const struct study_run *run) {
    return run->state == STUDY_BEGUN ? json_number_value(json_object_get(run->record, "seconds")) : 0;
}

/* `result`: what the run printed, which the record takes over; of a run that failed that is its error. */
static int write_state(const struct study *study, struct study_run *run, const char *state, double seconds, json_t *result) {
    json_t *record = json_pack("{s:s, s:s, s:O, s:o, s:O, s:f, s:o}", "id", run->id, "state", state, "command", run->identity,
                               "needs", study_needs(study, run), "values", run->values, "seconds", seconds, "finished",
                               strcmp(state, "done") == 0 ? time_of_day() : json_null());
    need(record);
    if (result) {
        const bool failed = json_object_get(result, "error") != NULL;
        json_object_set(record, failed ? "error" : "result", failed ? json_object_get(result, "error") : result);
        json_decref(result);
    }
    json_decref(run->record);
    run->record = record;
    return study_write_record(study, run);
}

/* What an earlier command line of this id left is kept under another name: ID.old, ID.old2, ... */
static int move_aside(const struct study *study, const struct study_run *run) {
    char from[4096], to[4096 + 16];
    if (snprintf(from, sizeof from, "%s/%s", study->out, run->id) >= (int)sizeof from) return EXIT_OK;
    if (run->state == STUDY_BEGUN || !run->record || access(from, F_OK) != 0) return EXIT_OK;
    int number = 1;
    do snprintf(to, sizeof to, number > 1 ? "%s.old%d" : "%s.old", from, number);
    while (access(to, F_OK) == 0 && ++number < 10000);
    if (study_move(from, to) != EXIT_OK) return EXIT_FAILED;
    progress_say(&study->session->progress, "%s: what an earlier command line wrote is now %s", run->id, to);
    return EXIT_OK;
}

/* Returns EXIT_OK, EXIT_FAILED (this run failed), EXIT_INTERRUPTED or EXIT_LOST (it did not save), or EXIT_USAGE when the study cannot
 * go on. */
static int execute(const struct study *study, struct study_run *run) {
    const struct verb *verb = verb_find(json_string_value(json_array_get(run->words, 0)));
    bool resume = run->state == STUDY_BEGUN && verb_takes(verb, OPTION_RESUME);
    double before = seconds_before(run), started = now();
    if (move_aside(study, run) != EXIT_OK || write_state(study, run, "begun", before, NULL) != EXIT_OK) return EXIT_USAGE;
    run->state = STUDY_BEGUN;
    struct words words = command_line(study, run, resume);
    char *output;
    int status = study_execute((const char *const *)words.word, &output);
    words_free(&words);
    double seconds = before + now() - started;
    struct json_fault fault;
    json_t *result = output ? json_of(output, &fault) : NULL;
    free(output);
    if (result && status == EXIT_OK) {
        status = write_state(study, run, "done", seconds, result) == EXIT_OK ? EXIT_OK : EXIT_USAGE;
        run->state = STUDY_DONE;
        return status;
    }
    if (status == EXIT_OK) say_to(stderr, "cover study: %s: the result is not JSON: %s\n", run->id, fault.what);
    bool interrupted = study_interrupted();
    if (write_state(study, run, interrupted ? "interrupted" : "failed", seconds, result) != EXIT_OK) return EXIT_USAGE;
    if (!interrupted) return EXIT_FAILED;
    return status == EXIT_INTERRUPTED ? EXIT_INTERRUPTED : EXIT_LOST;
}

/* ---- all runs */

/* Seconds that the runs still to come will take, by what others of the same row took, or all others; 0 = not known. */
static double seconds_left(const struct study *study, int from) {
    double left = 0, sum_all = 0;
    int count_all = 0;
    for (int i = 0; i < study->runs; i++)
        if (study->run[i].state == STUDY_DONE)
            sum_all += json_number_value(json_object_get(study->run[i].record, "seconds")), count_all++;
    for (int i = from; i < study->runs; i++) {
        const struct study_run *run = &study->run[study->order[i]];
        double sum = 0;
        int count = 0;
        if (run->state == STUDY_DONE) continue;
        for (int k = 0; k < study->runs; k++)
            if (study->run[k].row == run->row && study->run[k].state == STUDY_DONE)
                sum += json_number_value(json_object_get(study->run[k].record, "seconds")), count++;
        left += count ? sum / count : count_all ? sum_all / count_all : 0;
    }
    return left;
}

static const struct study_run *missing_need(const struct study *study, const struct study_run *run) {
    for (int i = 0; i < run->needs; i++)
        if (study->run[run->need[i]].state != STUDY_DONE) return &study->run[run->need[i]];
    return NULL;
}

static void say_which(const struct study *study, const struct study_run *run, int index) {
    char left[32];
    double seconds = seconds_left(study, index);
    print_seconds(left, sizeof left, seconds);
    progress_say(&study->session->progress, "[%d/%d] %s%s%s%s", index + 1, study->runs, run->id,
                 run->state == STUDY_BEGUN ? ", going on" : "", seconds > 0 ? "  ETA " : "", seconds > 0 ? left : "");
}

static int run_all(struct study *study) {
    int status = study_write_tables(study), failures = 0;
    if (status != EXIT_OK) return status;
    for (int i = 0; i < study->runs && !study_interrupted(); i++) {
        struct study_run *run = &study->run[study->order[i]];
        const struct study_run *missing = missing_need(study, run);
        if (run->state == STUDY_DONE) continue;
        if (missing) {
            say_to(stderr, "cover study: %s: not run, as %s is not done\n", run->id, missing->id);
            failures++;
            continue;
        }
        say_which(study, run, i);
        status = execute(study, run);
        if (status == EXIT_FAILED) {
            say_to(stderr, "cover study: %s: failed; the others go on, and the next call tries it again\n", run->id);
            failures++;
        }
        if (status == EXIT_USAGE || study_write_tables(study) != EXIT_OK) return EXIT_FAILED;
    }
    if (!study_interrupted()) return failures ? EXIT_FAILED : EXIT_OK;
    refuse(&verb_study, COVER_ERROR_CANCELLED, "interrupted; the same command line goes on");
    return status == EXIT_LOST ? EXIT_LOST : EXIT_INTERRUPTED;
}

static int dry_run(const struct study *study) {
    for (int i = 0; i < study->runs; i++) {
        const struct study_run *run = &study->run[study->order[i]];
        const struct verb *verb = verb_find(json_string_value(json_array_get(run->words, 0)));
        struct words words = command_line(study, run, run->state == STUDY_BEGUN && verb_takes(verb, OPTION_RESUME));
        if (run->state != STUDY_DONE) print_words(stdout, &words);
        words_free(&words);
    }
    return EXIT_OK;
}

/* What is done, and which runs are not; a table that cannot be written has been said. */
static void print_end(struct study *study, int *status) {
    static const struct field fields[] = {{"name", "study"},
                                          {"runs", "runs", UNIT_COUNT},
                                          {"done", "done", UNIT_COUNT},
                                          {"failed", "not done"},
                                          {"seconds", "time", UNIT_SECONDS},
                                          {"table", "table"},
                                          {0}};
    double seconds = 0;
    int done = 0;
    json_t *failed = need(json_array());
    for (int i = 0; i < study->runs; i++) {
        const struct study_run *run = &study->run[study->order[i]];
        if (run->state == STUDY_DONE) done++, seconds += json_number_value(json_object_get(run->record, "seconds"));
        else json_array_append_new(failed, json_string(run->id));
    }
    char table[4096];
    snprintf(table, sizeof table, "%s/table.html", study->out);
    const int printed = print_object(study->session,
                                     json_pack("{s:O, s:i, s:i, s:f, s:s, s:o}", "name", study_member(study, "name"), "runs",
                                               study->runs, "done", done, "seconds", seconds, "table", table, "failed", failed),
                                     fields);
    if (*status == EXIT_OK) *status = printed;
}

/* ---- the verb */

static int take_definitions(struct study *study) {
    const struct arguments *arguments = &study->session->arguments;
    study->defined = need(json_object());
    for (int i = 0; i < arguments->definition_count; i++) {
        const struct assignment *definition = &arguments->definitions[i];
        if (strcmp(definition->name, "id") == 0 || strcmp(definition->name, "out") == 0 || strpbrk(definition->name, "{}."))
            return usage_error(study->session->verb, "--define %s: not a name to define", definition->name);
        if (json_object_set_new(study->defined, definition->name, json_string(definition->value)) != 0)
            return usage_error(study->session->verb, "--define %s: the value is not UTF-8", definition->name);
    }
    return EXIT_OK;
}

/* FILE without its folder and .json */
static char *default_folder(const char *path) {
    const char *slash = strrchr(path, '/');
    char *name = need(strdup(slash ? slash + 1 : path)), *dot = strrchr(name, '.');
    if (dot && dot > name && strcmp(dot, ".json") == 0) *dot = 0;
    return name;
}

static int run(struct session *session) {
    struct study study = {.session = session, .path = session->arguments.operands[0]};
    char *folder = given(session, OPTION_OUTPUT) ? NULL : default_folder(study.path);
    int lock = -1, status = EXIT_OK;
    study.out = folder ? folder : text_of(session, OPTION_OUTPUT);
    if (given(session, OPTION_SEED) || given(session, OPTION_PRECISION))
        status = usage_error(session->verb, "--seed and --precision belong into the commands of the file");
    if (status == EXIT_OK) status = take_definitions(&study);
    if (status == EXIT_OK) status = study_read(&study);
    if (status == EXIT_OK) status = study_store_open(&study, &lock);
    if (status == EXIT_OK && given(session, OPTION_DRY_RUN)) status = dry_run(&study);
    else if (status == EXIT_OK) {
        study_catch_signals();
        status = run_all(&study);
        if (status == EXIT_OK || status == EXIT_FAILED) print_end(&study, &status);
    }
    if (lock >= 0) close(lock);
    study_free(&study);
    free(folder);
    return status;
}

const struct verb verb_study = {
    .name = "study",
    .summary = "a list of runs, and one table of their results",
    .operands = "FILE.json",
    .operands_min = 1,
    .operands_max = 1,
    .detail = "Executes the command lines that a file describes over its variables, one after the other, and writes tables of "
              "their results: mean over runs, 95 % confidence interval, and how many. docs/study.md states the file's form, "
              "examples/recipes/ has studies to start from.\n"
              "Everything is checked before anything runs. A run that is done is not run again unless its command line "
              "changed, or that of a run which it needs; after an interruption the same command line goes on, and within a "
              "run, too, where its verb takes --resume. Ctrl-C stops the run in work as it stops that verb, then the study.",
    .examples = {"cover study recipes/jsrt.json -o jsrt --define data=/data",
                 "cover study recipes/jsrt.json -o jsrt --define data=/data --dry-run"},
    .run = run,
    .options = {{OPTION_OUTPUT, "DIR", "folder of the results; the file's name without .json when not given"},
                {OPTION_DEFINE},
                {OPTION_DRY_RUN, NULL, "print the command lines that would run, and run none"}},
};
