/* cover pack: images in, one dataset file out. */
#include "command.h"

#include <libcover/dataset.h>

#include <jansson.h>
#include <string.h>

/* One number counts for every axis; otherwise the last axis given is the width. */
static int read_spacing(const struct session *session, double spacing_mm[3]) {
    const struct value *value = &session->arguments.option[OPTION_SPACING];
    for (int i = 0; i < value->count; i++)
        if (!(value->number[i] > 0)) return usage_error(session->verb, "--spacing %s: a spacing is more than 0 mm", value->text);
    for (int axis = 0; value->count > 0 && axis < 3; axis++) {
        int given_axis = axis - (3 - value->count);
        if (value->count == 1) spacing_mm[axis] = value->number[0];
        else if (given_axis >= 0) spacing_mm[axis] = value->number[given_axis];
    }
    return EXIT_OK;
}

static int read_range(const struct session *session, enum option_id id, double low, double high, double range[2]) {
    const struct value *value = &session->arguments.option[id];
    if (!value->given) return EXIT_OK;
    if (value->count != 2 || !(value->number[0] < value->number[1]) || value->number[0] < low || value->number[1] > high)
        return usage_error(session->verb, "--%s %s: give two numbers LO,HI with LO below HI%s", options[id].name, value->text,
                           high < 1e30 ? ", both in 0..100" : "");
    range[0] = value->number[0], range[1] = value->number[1];
    return EXIT_OK;
}

/* `user` is the session. */
static void keep_unusable(void *user, const char *file, const char *reason) {
    struct session *session = user;
    if (!session->bad) session->bad = need(json_array());
    json_array_append_new(session->bad, need(json_pack("{s:s, s:s}", "file", file, "reason", reason)));
}

int pack_options_read(struct session *session, cover_pack_options *pack, cover_dicom_options *dicom) {
    const struct value *size = &session->arguments.option[OPTION_SIZE];
    if (size->given && size->count == 1) return usage_error(session->verb, "--size %s: give HxW or DxHxW", size->text);
    for (int i = 0; i < size->count; i++) pack->size[3 - size->count + i] = size->integer[i];
    int status = dicom_options_read(session, dicom);
    pack->dicom = dicom;
    pack->series = text_of(session, OPTION_SERIES);
    if (status == EXIT_OK) status = read_spacing(session, pack->spacing_mm);
    pack->spacing_median = given(session, OPTION_SPACING) && session->arguments.option[OPTION_SPACING].count == 0;
    if (status == EXIT_OK && !dicom->window) status = read_range(session, OPTION_WINDOW, -1e38, 1e38, pack->window);
    if (status == EXIT_OK) status = read_range(session, OPTION_PERCENTILE, 0, 100, pack->percentile);
    if (status == EXIT_OK && given(session, OPTION_WINDOW) && given(session, OPTION_PERCENTILE))
        status = usage_error(session->verb, "--window and --percentile exclude each other");
    if (status == EXIT_OK && size->given && given(session, OPTION_SPACING))
        status = usage_error(session->verb, "--size and --spacing exclude each other");
    if (given(session, OPTION_DIMS)) pack->dims = *text_of(session, OPTION_DIMS) - '0';
    if (given(session, OPTION_CHANNELS)) pack->channels = strcmp(text_of(session, OPTION_CHANNELS), "rgb") == 0 ? 3 : 1;
    pack->split = text_of(session, OPTION_SPLIT);
    pack->labels = text_of(session, OPTION_LABELS);
    pack->negative = text_of(session, OPTION_NEGATIVE);
    if (status == EXIT_OK && pack->negative && !pack->labels)
        status = usage_error(session->verb, "--negative speaks of the file of --labels; give that too");
    pack->orientation = text_of(session, OPTION_ORIENTATION);
    pack->number_labels = given(session, OPTION_NUMBER_LABELS);
    pack->skip_bad = given(session, OPTION_SKIP_BAD);
    pack->resume = given(session, OPTION_RESUME);
    pack->progress = progress_on_work;
    pack->user = &session->progress;
    pack->unusable = keep_unusable, pack->unusable_user = session;
    return status;
}

static int run(struct session *session) {
    static const struct field fields[] = {
        {"output", "dataset"},
        {"samples", "samples", UNIT_COUNT},
        {"dims", "dimensions"},
        {"channels", "channels"},
        {"min_size", "smallest", UNIT_SIZE},
        {"max_size", "largest", UNIT_SIZE},
        {"labels", "with labels", UNIT_SOME},
        {"classes", "classes", UNIT_SOME},
        {"skipped", "files of other kinds", UNIT_SOME},
        {"resumed", "taken over from before", UNIT_SOME},
        {"bad", "unusable, left out", UNIT_LENGTH},
        {"bytes", "size", UNIT_BYTES},
        {"seconds", "time", UNIT_SECONDS},
        {"hash", "content hash"},
        {0},
    };
    cover_pack_options pack = COVER_PACK_OPTIONS_INIT;
    cover_dicom_options dicom = COVER_DICOM_OPTIONS_INIT;
    int status = pack_options_read(session, &pack, &dicom);
    if (status != EXIT_OK) return status;
    pack.audit = text_of(session, OPTION_AUDIT);
    pack.audit_key = text_of(session, OPTION_AUDIT_KEY);
    pack.link = text_of(session, OPTION_LINK);
    char *summary = NULL;
    cover_status result = cover_dataset_pack(&summary, session->context, session->arguments.operands,
                                             session->arguments.operand_count, text_of(session, OPTION_OUTPUT), &pack);
    if (result != COVER_OK) {
        status = failed(session, result);
        if (result == COVER_ERROR_CANCELLED) fprintf(stderr, "the same command with --resume goes on from here\n");
        return status;
    }
    status = print_result(session, summary, fields);
    cover_text_release(session->context, summary);
    return status;
}

const struct verb verb_pack = {
    .name = "pack",
    .summary = "images into one dataset file",
    .operands = "SRC...",
    .operands_min = 1,
    .operands_max = -1,
    .detail = "Reads folders (and the folders in them) of PNG, JPEG, TIFF and NIfTI images, nnU-Net raw datasets "
              "(dataset.json, imagesTr, labelsTr), class folders (train/val/test/CLASS), collection files "
              "(pretrain_data.json), single images and DICOM (docs/dicom.md), and writes one HDF5 file. Pixels keep their type "
              "unless --size, "
              "--spacing, --window or --percentile change them; what was done is recorded in the file.\n"
              "Files of other kinds are ignored and counted. An image that cannot be used is listed with its reason; "
              "then nothing is written and the exit status is 1, unless --skip-bad.",
    .examples = {"cover pack xrays/ -o chest.h5", "cover pack Dataset004_Hippocampus -o hippo.h5 --spacing 1",
                 "cover pack ct/ -o lung.h5 --window -1000,400 --split patients.csv",
                 "cover pack xrays/ -o findings.h5 --labels labels.csv --negative \"No Finding\""},
    .people = true,
    .run = run,
    .options = {{OPTION_OUTPUT, "DATA.h5", "dataset file to write", true},
                {OPTION_SIZE, "HxW", "resize every image to HxW, or DxHxW in 3D"},
                {OPTION_SPACING},
                {OPTION_WINDOW},
                {OPTION_PERCENTILE},
                {OPTION_CHANNELS},
                {OPTION_DIMS, NULL, "take images of these dimensions; what the files are when not given"},
                {OPTION_SPLIT},
                {OPTION_LABELS},
                {OPTION_NEGATIVE},
                {OPTION_ORIENTATION},
                {OPTION_NUMBER_LABELS},
                {OPTION_SKIP_BAD},
                {OPTION_SERIES, NULL, "of DICOM series these alone: a number of 'cover dicom ls', SeriesNumber=N or Modality=CT"},
                {OPTION_TILT},
                {OPTION_SPACING_TOLERANCE},
                {OPTION_PADDING},
                {OPTION_AUDIT},
                {OPTION_AUDIT_KEY},
                {OPTION_LINK},
                {OPTION_RESUME}},
};
