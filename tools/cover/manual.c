/* The man page cover(1), drawn from the tables of verbs, options and settings.  The build runs `cover --manual`. */
#include "command.h"

#include <string.h>

/* Text for troff: its own characters quoted, a hyphen stays a hyphen that can be copied. */
static void put(FILE *stream, const char *text) {
    if (*text == '.' || *text == '\'') fputs("\\&", stream);
    for (; *text; text++) {
        if (*text == '\\') fputs("\\e", stream);
        else if (*text == '-') fputs("\\-", stream);
        else if (*text == '\n') fputs("\n.PP\n", stream);
        else fputc(*text, stream);
    }
}

static void put_option(FILE *stream, const struct verb *verb, const struct option *option) {
    fputs(".TP\n", stream);
    if (option->letter) fprintf(stream, "\\fB\\-%c\\fR, ", option->letter);
    fputs("\\fB\\-\\-", stream);
    put(stream, option->name);
    fputs("\\fR", stream);
    const char *argument = verb ? option_argument(verb, option) : option->argument;
    if (*argument) {
        fputs(" \\fI", stream);
        put(stream, argument);
        fputs("\\fR", stream);
    }
    fputc('\n', stream);
    put(stream, verb ? option_help(verb, option) : option->help);
    fputc('\n', stream);
}

static void put_verb(FILE *stream, const struct verb *verb) {
    fprintf(stream, ".SS \"cover %s %s\"\n", verb->name, verb->operands);
    put(stream, verb->detail);
    fputc('\n', stream);
    for (const struct verb_option *row = verb->options; row->id != OPTION_END; row++) put_option(stream, verb, &options[row->id]);
    for (int i = 0; i < 4 && verb->examples[i]; i++) {
        fputs(i ? ".br\n" : ".PP\nExamples:\n.PP\n", stream);
        put(stream, verb->examples[i]);
        fputc('\n', stream);
    }
}

static void put_presets(FILE *stream, cover_context *context) {
    fputs(".SH PRESETS\nWhat each preset changes against the first one: for pretraining paper\\-2d, for fine\\-tuning "
          "seg\\-2d.\n",
          stream);
    for (int i = 0; cover_config_preset_at(i); i++) {
        char text[1024];
        if (preset_of_objective(cover_config_preset_at(i))) continue;
        preset_differences(text, sizeof text, context, cover_config_preset_at(i));
        fputs(".TP\n.B ", stream);
        put(stream, cover_config_preset_at(i));
        fputc('\n', stream);
        put(stream, text);
        fputc('\n', stream);
    }
    fputs(".TP\n.IR NAME \\-2d, \" \" NAME \\-3d\nof each objective (cover objectives): paper\\-2d, paper\\-3d with "
          "objective=\\fINAME\\fR\n",
          stream);
}

static void put_settings(FILE *stream, const char *title, const char *preset, cover_context *context) {
    cover_config *config = NULL;
    if (cover_config_create(&config, context, preset) != COVER_OK) return;
    fprintf(stream,
            ".SH \"SETTINGS OF %s\"\nGiven as \\fB\\-\\-set\\fR \\fINAME\\fR=\\fIVALUE\\fR; the values in brackets are "
            "those of ",
            title);
    put(stream, preset);
    fputs(".\n", stream);
    for (int i = 0; cover_config_key_at(i); i++) {
        const cover_config_key *key = cover_config_key_at(i);
        const char *value = cover_config_get(config, key->name);
        if (!value) continue;
        fputs(".TP\n.B ", stream);
        put(stream, key->name);
        fputs("\n[", stream);
        put(stream, value);
        fputs("] ", stream);
        char choices[1024] = "";
        choices_text(choices, sizeof choices, key->choices);
        put(stream, choices);
        put(stream, key->help);
        fputc('\n', stream);
    }
    cover_config_destroy(config);
}

void manual_write(FILE *stream, cover_context *context) {
    fprintf(stream,
            ".TH COVER 1 \"\" \"libcover %s\" \"User Commands\"\n"
            ".SH NAME\ncover \\- vector contrastive pixel\\-wise pretraining for medical images\n"
            ".SH SYNOPSIS\n.B cover\n.I verb\n[operands and options]\n"
            ".SH DESCRIPTION\nPretrains networks on unlabelled 2D and 3D medical images by the COVER method: views "
            "with a known\n"
            "displacement field between them are drawn from each image, and the network learns to find that field\n"
            "from its features alone. Results go to standard output, progress and messages to standard error.\n"
            ".SH VERBS\n",
            cover_version());
    for (int i = 0; verbs[i]; i++) put_verb(stream, verbs[i]);
    fputs(".SH \"COMMON OPTIONS\"\n", stream);
    for (int i = OPTION_END + 1; i < OPTION_COUNT; i++)
        if (options[i].common) put_option(stream, NULL, &options[i]);
    put_presets(stream, context);
    put_settings(stream, "PRETRAINING", "paper-2d", context);
    put_settings(stream, "FINE-TUNING", "seg-2d", context);
    fputs(".SH \"EXIT STATUS\"\n0 done, 1 failed, 2 wrong use, 3 stopped at once by a second signal: what came after the last save "
          "is lost,\n"
          "130 interrupted by one of the signals INT, TERM, HUP, XCPU and USR1, after saving what there was.\n"
          ".SH ENVIRONMENT\n"
          ".TP\n.BR COVER_RANK \", \" COVER_RANKS \", \" COVER_ADDRESS\nWhich of how many processes that train together this one "
          "is, and "
          "where rank 0 listens (a host and\nport, or the path of a socket); \\fB\\-\\-ranks\\fR sets them, any launcher may. "
          "\\fBCOVER_LOCAL_RANK\\fR is its number on its machine.\n"
          ".TP\n.B COVER_TOKEN\nThe secret of these processes, the same for all, by which they know each other: 64 hexadecimal "
          "digits or any text.\n"
          ".TP\n.BR OMPI_COMM_WORLD_RANK \", \" PMI_RANK \", \" SLURM_PROCID\nThe same, with their like, of mpirun and srun.\n"
          ".TP\n.B CUDA_VISIBLE_DEVICES\nThe GPUs that there are.\n"
          ".TP\n.BR LC_ALL \", \" LC_CTYPE \", \" LANG\nWhether the bar may be drawn with UTF\\-8; numbers are written alike in "
          "every locale.\n"
          ".TP\n.B TERM\nOf a terminal that is \\fBdumb\\fR progress comes as lines.\n"
          ".SH FILES\nA run folder holds:\n"
          ".TP\n.I config.json\nevery setting\n"
          ".TP\n.I log.jsonl\nthe figures, a line every log_every steps; events.out.tfevents.* holds them for TensorBoard\n"
          ".TP\n.I checkpoint.h5\nall that going on takes; checkpoint\\-STEP.h5 are kept every checkpoint_every steps\n"
          ".TP\n.I weights.safetensors\nthe weights at the end, of fine\\-tuning the best\n"
          ".TP\n.I report.html\nthe page of the run; of fine\\-tuning also result.json, and dataset.h5 where DATA was a folder\n"
          ".SH NOTES\nNot a medical device: for research only.\n"
          ".SH \"SEE ALSO\"\nVector Contrastive Learning For Pixel\\-Wise Pre\\-Training In Medical Vision, ICCV 2025, "
          "arXiv 2506.20850.\n",
          stream);
}
