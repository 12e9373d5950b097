/* The command `cover`: finds the verb, makes context and settings from the common options, runs. */
#include "command.h"
#include "signals.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* One that is unknown, or of the other scope: this verb's are listed. */
static int wrong_preset(struct session *session, const char *preset) {
    const char *scope = preset_scope(session->verb->preset);
    char list[512] = "";
    size_t used = 0;
    struct nearest nearest = {.word = preset};
    for (int i = 0; cover_config_preset_at(i) && used < sizeof list; i++) {
        if (strcmp(cover_config_preset_scope(i), scope) != 0) continue;
        nearest_offer(&nearest, cover_config_preset_at(i));
        if (preset_of_objective(cover_config_preset_at(i))) continue;
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", cover_config_preset_at(i));
    }
    if (used < sizeof list) snprintf(list + used, sizeof list - used, ", and NAME-2d, NAME-3d of each of 'cover objectives'");
    const bool other = *preset_scope(preset) != 0;
    if (*nearest.best)
        return usage_error(session->verb, "no preset '%s'; did you mean %s? There are %s", preset, nearest.best, list);
    return usage_error(session->verb, "%s '%s'%s; there are %s", other ? "preset" : "no preset", preset,
                       other ? " is one of fine-tuning, which finetune chooses by its data" : "", list);
}

int make_config(struct session *session) {
    const char *preset = given(session, OPTION_PRESET) ? text_of(session, OPTION_PRESET) : session->verb->preset;
    if (given(session, OPTION_PRESET) && strcmp(preset_scope(preset), preset_scope(session->verb->preset)) != 0)
        return wrong_preset(session, preset);
    cover_status result = cover_config_create(&session->config, session->context, preset);
    return result == COVER_OK ? settings_apply(session, session->config) : failed(session, result);
}

static int make_context(struct session *session) {
    const struct value *option = session->arguments.option;
    cover_context_options context = COVER_CONTEXT_OPTIONS_INIT;
    context.device = ranks_device(session);
    context.threads = option[OPTION_THREADS].given ? (int)option[OPTION_THREADS].integer[0] : ranks_threads();
    context.deterministic = option[OPTION_DETERMINISTIC].given;
    context.tf32 = option[OPTION_TF32].given;
    context.memory_limit_bytes = (uint64_t)option[OPTION_MEMORY_LIMIT].integer[0];
    context.isa = option[OPTION_ISA].text;
    context.log = progress_on_log;
    context.log_user = &session->progress;
    cover_status result = cover_context_create(&session->context, &context);
    if (result == COVER_ERROR_ARGUMENT) return usage_error(session->verb, "%s", library_words(session->verb));
    return result == COVER_OK ? EXIT_OK : failed(session, result);
}

static int run_verb(const struct verb *verb, int argc, char **argv) {
    struct session session = {.verb = verb, .argc = argc, .argv = argv};
    int status = arguments_read(&session.arguments, verb, argc - 2, argv + 2);
    if (!verb->ranks || session.arguments.option[OPTION_RANKS].integer[0] == 1) ranks_leave();
    progress_begin(&session.progress, verb->name, given(&session, OPTION_QUIET));
    session.progress.silent = ranks_expected() > 0 || ranks_starts(&session);
    const bool works = status == EXIT_OK && !given(&session, OPTION_HELP);
    if (works) signals_begin(&session);
    if (works && verb->people) prctl(PR_SET_DUMPABLE, 0);
    if (status == EXIT_OK) status = make_context(&session);
    if (status == EXIT_OK) status = make_config(&session);
    if (status == EXIT_OK && !works) help_verb(stdout, verb, session.config, session.context);
    else if (status == EXIT_OK) {
        signals_cancel(session.context);
        status = verb->run(&session);
        signals_cancel(NULL);
        progress_end(&session.progress);
    }
    cover_config_destroy(session.config);
    cover_context_destroy(session.context);
    json_decref(session.bad);
    arguments_free(&session.arguments);
    return status;
}

static int write_manual(void) {
    cover_context *context = NULL;
    bool made = cover_context_create(&context, NULL) == COVER_OK;
    if (made) manual_write(stdout, context);
    cover_context_destroy(context);
    return made ? EXIT_OK : EXIT_FAILED;
}

static int unknown_verb(const char *word) {
    struct nearest nearest = {.word = word};
    for (int i = 0; verbs[i]; i++) nearest_offer(&nearest, verbs[i]->name);
    const char *hint = hint_verb(word);
    if (hint) return usage_error(NULL, "no verb '%s'; did you mean %s?", word, hint);
    if (*word == '-') return usage_error(NULL, "'%s': the verb comes first: cover VERB %s ...", word, word);
    return usage_error(NULL, "no verb '%s'%s%s%s", word, *nearest.best ? "; did you mean " : "", nearest.best,
                       *nearest.best ? "?" : "");
}

static int dispatch(int argc, char **argv) {
    const char *word = argc > 1 ? argv[1] : NULL;
    if (!word) {
        help_overview(stderr);
        return EXIT_USAGE;
    }
    bool help = strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
    if (help && argc == 2) {
        help_overview(stdout);
        return EXIT_OK;
    }
    if (help) { /* cover help VERB */
        char *words[] = {argv[0], argv[2], "-h"};
        return verb_find(argv[2]) ? run_verb(verb_find(argv[2]), 3, words) : unknown_verb(argv[2]);
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0 || strcmp(word, "version") == 0) {
        printf("cover %s\n", cover_version());
        return EXIT_OK;
    }
    if (strcmp(word, "--manual") == 0) return write_manual();
    if (strcmp(word, "--completion") == 0) {
        if (argc == 3 && completion_write(stdout, argv[2])) return EXIT_OK;
        return usage_error(NULL, "--completion: give bash, zsh or fish");
    }
    const struct verb *verb = verb_find(word);
    return verb ? run_verb(verb, argc, argv) : unknown_verb(word);
}

/* Known before the words are read, since one of them may be wrong. */
static bool has_word(int argc, char **argv, const char *word) {
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], word) == 0) return true;
    return false;
}

/* A scheduler or a daemon may start us without them: the first files opened would take their numbers, and what is printed.  Messages are
 * dropped then; results on standard output stay an error, since nobody can write there. */
static void open_standard(void) {
    for (int number = STDIN_FILENO; number <= STDERR_FILENO; number++)
        if (fcntl(number, F_GETFD) < 0) (void)!open("/dev/null", number == STDERR_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv) {
    open_standard();
    answer_as_json(has_word(argc, argv, "--json"));
    int status = dispatch(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("cover: standard output");
        return status == EXIT_OK ? EXIT_FAILED : status;
    }
    return status;
}
