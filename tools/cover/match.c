/* cover match: the displacement field between two images. */
#include "command.h"

#include <libcover/dataset.h>
#include <libcover/match.h>

#include <string.h>

static int run(struct session *session) {
    static const struct field fields[] = {
        {"size", "size", UNIT_SIZE},
        {"spacing_mm", "spacing", UNIT_MM},
        {"mean_mm", "mean displacement", UNIT_MM},
        {"max_mm", "largest displacement", UNIT_MM},
        {"seconds", "time", UNIT_SECONDS},
        {0},
    };
    const char **operand = session->arguments.operands;
    char *summary = NULL;
    cover_match_options options = COVER_MATCH_OPTIONS_INIT;
    options.warped = text_of(session, OPTION_WARPED);
    if (given(session, OPTION_CHANNELS)) options.channels = strcmp(text_of(session, OPTION_CHANNELS), "rgb") == 0 ? 3 : 1;
    cover_status result = cover_images_match_with(&summary, session->context, operand[0], operand[1], operand[2],
                                                  text_of(session, OPTION_OUTPUT), &options);
    if (result != COVER_OK) return failed(session, result);
    int status = print_result(session, summary, fields);
    cover_text_release(session->context, summary);
    return status;
}

const struct verb verb_match = {
    .name = "match",
    .summary = "the displacement field between two images",
    .operands = "WEIGHTS MOVING FIXED",
    .operands_min = 3,
    .operands_max = 3,
    .detail = "WEIGHTS is a run folder, a checkpoint or a safetensors file; MOVING and FIXED are images of the network's "
              "dimensions and of one size; of DICOM a folder with one volume. The field takes each point of FIXED to its place in "
              "MOVING: a 5-D NIfTI file, "
              "intent 1007, components x y z in mm, LPS, as ITK and ANTs read it.",
    .examples = {"cover match run/ a.png b.png -o field.nii.gz --warped a-on-b.nii.gz"},
    .people = true,
    .run = run,
    .options = {{OPTION_OUTPUT, "FIELD.nii.gz", "field to write, .nii or .nii.gz", true}, {OPTION_WARPED}, {OPTION_CHANNELS}},
};
