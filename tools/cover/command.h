/* The command `cover`: what its files share.  A verb is a row {name, summary, options, run} in a file of its own;
 * options come from options.def.  The command stands on the public headers alone. */
#ifndef COVER_COMMAND_H
#define COVER_COMMAND_H

#include <libcover/config.h>
#include <libcover/context.h>
#include <libcover/dataset.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_LOST = 3, EXIT_INTERRUPTED = 130 };

/* ---- options */

enum option_kind {
    KIND_FLAG,
    KIND_TEXT,
    KIND_FILE,
    KIND_COUNT,
    KIND_BYTES,
    KIND_SIZE,
    KIND_NUMBERS,
    KIND_CHOICE,
    KIND_PRESET,
    KIND_SETTING,
    KIND_ASSIGNMENT,
    KIND_DEFINITION
};

enum option_id {
    OPTION_END, /* ends a verb's list */
#define OPTION(id, letter, name, argument, kind, values, setting, help) OPTION_##id,
#define COMMON OPTION
#include "options.def"
#undef OPTION
#undef COMMON
    OPTION_COUNT
};

struct option {
    enum option_id id;
    char letter; /* 0 = none */
    const char *name, *argument;
    enum option_kind kind;
    const char *values, *setting, *help;
    bool common;
};
extern const struct option options[OPTION_COUNT]; /* options[OPTION_END] is empty */

/* One option as given: text, and what its kind reads from it. */
struct value {
    bool given;
    const char *text;
    int64_t integer[3]; /* COUNT, BYTES: [0]; SIZE: count of them */
    double number[3];   /* NUMBERS: count of them */
    int count;
};

struct assignment { /* --set, --steps, ..., or --define: in the order given */
    char *name;
    const char *value;
};

struct arguments {
    struct value option[OPTION_COUNT];
    struct assignment *assignments, *definitions;
    int assignment_count, definition_count;
    const char **operands;
    int operand_count;
};

/* ---- progress and log on stderr: a bar on a terminal, a line every few seconds otherwise */

enum { PROGRESS_FIGURES = 16 };
struct progress {
    const char *title;
    bool quiet, terminal, utf8, drawn;                         /* drawn: a bar stands on the last line */
    bool silent;                                               /* another rank says it all */
    char phase[40];                                            /* of the work: a rate is that of one */
    double begun, shown, rate;                                 /* begun: the phase; rate: units a second, smoothed */
    int64_t shown_done;                                        /* -1 = nothing was shown of this phase */
    double figure[PROGRESS_FIGURES], loss, samples_per_second; /* smoothed */
    bool smoothing;
};
void progress_begin(struct progress *progress, const char *title, bool quiet);
void progress_end(struct progress *progress);
/* A line above the bar. */
void progress_say(struct progress *progress, const char *format, ...) PRINTF_LIKE(2, 3);
/* The three callbacks of the library; `user` is the struct progress. */
void progress_on_log(void *user, cover_log_level level, const char *line);
int progress_on_work(void *user, int64_t done, int64_t total, const char *what);
struct cover_step_report;
void progress_on_step(void *user, const struct cover_step_report *report, int64_t steps);
struct cover_task_report;
void progress_on_task(void *user, const struct cover_task_report *report, int64_t steps);

/* ---- verbs */

struct json_t;
struct session {
    const struct verb *verb;
    struct arguments arguments;
    cover_context *context;
    cover_config *config; /* preset and settings as given */
    struct progress progress;
    struct json_t *bad; /* images that cannot be used, [{file, reason}]; NULL = none was */
    int argc;
    char **argv; /* the command line, to say how to resume */
};

struct verb_option {
    enum option_id id;
    const char *argument, *help; /* NULL = as in options.def */
    bool required;
};

struct verb {
    const char *name, *summary;
    const char *operands; /* "SRC..." */
    const char *kinds;    /* what its first operand may be, joined by |; NULL = anything */
    int operands_min, operands_max;
    const char *detail;      /* paragraphs for -h and the man page */
    const char *examples[4]; /* command lines */
    const char *preset;      /* takes --set, and starts from this preset: the help lists settings; NULL = none */
    bool ranks;              /* trains in ranks */
    bool people;             /* opens images, which may say whose they are: leaves no core dump */
    int (*run)(struct session *session);
    struct verb_option options[32]; /* OPTION_END ends them; the common ones go without saying */
};
extern const struct verb *const verbs[]; /* NULL ends them */
const struct verb *verb_find(const char *name);

/* The verb's own row for an option, or NULL; *option_argument() and *_help() are the verb's words or the table's. */
const struct verb_option *verb_option_find(const struct verb *verb, enum option_id id);
bool verb_takes(const struct verb *verb, enum option_id id);
const char *option_argument(const struct verb *verb, const struct option *option);
const char *option_help(const struct verb *verb, const struct option *option);

/* Read the words behind the verb.  EXIT_OK, or EXIT_USAGE with the reason said. */
int arguments_read(struct arguments *arguments, const struct verb *verb, int count, char **words);
void arguments_free(struct arguments *arguments);

/* Apply --set, --steps, ... to a config in the order given.  EXIT_OK, or EXIT_USAGE with the reason said. */
int settings_apply(const struct session *session, cover_config *config);
/* session->config from the arguments: the preset with these changes. */
int make_config(struct session *session);

static inline bool given(const struct session *session, enum option_id id) { return session->arguments.option[id].given; }
static inline const char *text_of(const struct session *session, enum option_id id) { return session->arguments.option[id].text; }

/* pack.c: the options of packing that a verb takes, with those for DICOM; progress goes to the session's.  EXIT_OK, or EXIT_USAGE with the
 * reason said. */
int pack_options_read(struct session *session, cover_pack_options *pack, cover_dicom_options *dicom);

/* dicom.c: how series become volumes, as the verb's options say; the same. */
int dicom_options_read(struct session *session, cover_dicom_options *dicom);
/* What DICOM objects that leave say, as the verb's options have it; *segments: free(). */
int seg_options_read(struct session *session, cover_seg_options *options, char **segments);
/* The JSON of --segments alone, free(); NULL = none was given, or it was said what is wrong, and *status is not EXIT_OK. */
char *segments_text(struct session *session, int *status);

/* dicom_deidentify.c: one of the kinds of dicom.c. */
int dicom_deidentify(struct session *session);

/* ---- ranks.c: processes that train together.  Which one this is comes from a launcher: cover itself, mpirun, srun. */
int ranks_expected(void);                         /* this rank, as the launcher says; 0 when there is none */
bool ranks_starts(const struct session *session); /* does this process start the ranks, of which 0 will say it all? */
void ranks_leave(void); /* this process works for itself, whatever the launcher says: verbs that do not train in ranks, --ranks 1 */
int ranks_threads(void); /* this rank's part of the processors, where mpirun or srun has not told them apart; 0 = as ever */
/* The device of this process: a rank's GPU, where "cuda" leaves that open, is that of its number on this machine, of those that
 * CUDA_VISIBLE_DEVICES names; a process that will only start ranks has none. */
const char *ranks_device(const struct session *session);
/* Start the ranks that --ranks asks for, or join those that were started.  RANKS_GO_ON: there is work for this process; else it has
 * been done, or has failed, and this is the exit status. */
enum { RANKS_GO_ON = -1 };
int ranks_begin(struct session *session);

/* ---- run.c: what the verbs that train share */
/* The end of a text file of a run, at most `most` bytes (free it); NULL when it cannot be read.  `whole`: refuse a longer file. */
char *run_file_end(const char *folder, const char *name, long most, bool whole);
/* With --resume: the run's own settings into the session's config, where the command line says nothing else. */
int run_settings(struct session *session, const char *run);
/* A line before the first step: images, sizes, network, steps; what `more` says of it behind. */
void run_say_begin(struct session *session, const cover_dataset *dataset, const char *more);
/* The command line once more, quoted for a shell where it must be, with --resume. */
void run_say_resume(const struct session *session);

/* Memory that was just asked for, or the end of the command. */
void *need(void *memory);

/* fprintf() for texts with foreign words in them: each %s as core/base/shown.h says.  And a word as a shell takes it. */
void say_to(FILE *stream, const char *format, ...) PRINTF_LIKE(2, 3);
void say_word(FILE *stream, const char *word);

/* ---- saying what went wrong; each returns the exit status.  With --json a failure is an object on stdout, too, unless the verb has
 * printed its own: {"error": {"status", "message"}}. */
void answer_as_json(bool wanted);
bool answer_begin(void); /* the verb's own; false when there is one already */
/* What no call of the library has said: "cover VERB: ...", EXIT_FAILED. */
int refuse(const struct verb *verb, cover_status status, const char *format, ...) PRINTF_LIKE(3, 4);
int usage_error(const struct verb *verb, const char *format, ...) PRINTF_LIKE(2, 3);
/* words.c: the library's error text in the words of the command, a verb's options for fields; until the next call. */
const char *library_words(const struct verb *verb);
/* The library's error text, so; with --json the object has session->bad, too, where there is any. */
int failed(struct session *session, cover_status status);

/* hints.c: a word of other tools in ours.  The verbs for it, or NULL; how a verb takes an option or, with `setting`, a setting that is known
 * by this name elsewhere, or false. */
const char *hint_verb(const char *word);
bool hint_name(char *text, size_t bytes, const struct verb *verb, const char *word, bool setting);

/* The nearest of some names to a mistyped word; offer them all, then ask. */
struct nearest {
    const char *word;
    char best[64]; /* "" = none is near */
    int distance;
};
void nearest_offer(struct nearest *nearest, const char *candidate);

/* ---- printing results */

enum unit {
    UNIT_PLAIN,
    UNIT_COUNT,
    UNIT_BYTES,
    UNIT_SECONDS,
    UNIT_FLOPS,
    UNIT_MM,
    UNIT_SOME,   /* a count that is not worth a line when it is 0 */
    UNIT_SIZE,   /* [D, H, W], D = 1 left out */
    UNIT_LENGTH, /* how many a list holds */
};
struct field {
    const char *path, *label; /* "bytes.total" */
    enum unit unit;
};
/* A JSON object for people (the fields that it has, aligned) or, with --json, as it is. */
int print_result(struct session *session, const char *json, const struct field *fields);
/* The same for an object made here, which it takes over. */
int print_object(struct session *session, struct json_t *object, const struct field *fields);
void print_seconds(char *text, size_t bytes, double seconds); /* "1:02:03"; "2 d 3 h" */

/* Words of `text` from column `indent` on, broken before `width`; the first line is already at `column`. */
void print_wrapped(FILE *stream, const char *text, int column, int indent, int width);
/* The choices of a setting and a colon, or nothing: "a|b: ", many with commas, so that they go over lines.  Characters written. */
int choices_text(char *text, size_t bytes, const char *choices);

/* ---- drawn from the tables */
void help_overview(FILE *stream);
void help_verb(FILE *stream, const struct verb *verb, const cover_config *config, cover_context *context);
void manual_write(FILE *stream, cover_context *context);
/* "bash", "zsh" or "fish"; false when it is none of them */
bool completion_write(FILE *stream, const char *shell);
/* What a preset changes against the first one of its scope: "batch=8 crop=128x128 ..."; text must hold 1 KiB. */
const char *preset_scope(const char *preset); /* "pretrain" or "task"; "" for an unknown one */
bool preset_of_objective(const char *preset); /* NAME-2d or NAME-3d of an objective: not listed one by one (objectives.c) */
void preset_differences(char *text, size_t bytes, cover_context *context, const char *preset);

#endif
