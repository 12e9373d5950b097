/* cover predict: label maps or class scores of images, by a fine-tuned task. */
#include "command.h"
#include "json_text.h"

#include <libcover/dataset.h>
#include <libcover/predictor.h>

#include <stdlib.h>
#include <string.h>

/* What came of it; images that failed have been named, as they did. */
static int print_end(struct session *session, const char *summary, const struct field *fields) {
    json_t *result = json_of(summary, NULL);
    const int64_t failures = (int64_t)json_array_size(json_object_get(result, "failed"));
    const bool some = json_integer_value(json_object_get(result, "written")) > 0;
    int status = some || given(session, OPTION_JSON) ? print_result(session, summary, fields) : EXIT_OK;
    if (failures) {
        progress_end(&session->progress);
        fprintf(stderr, "cover predict: %lld of %lld images could not be predicted%s\n", (long long)failures,
                (long long)json_integer_value(json_object_get(result, "images")), some ? "; the others are done" : "");
        status = EXIT_FAILED;
    }
    json_decref(result);
    return status;
}

static int run(struct session *session) {
    static const struct field fields[] = {
        {"task", "task"},
        {"classes", "classes", UNIT_COUNT},
        {"images", "images", UNIT_COUNT},
        {"written", "predicted", UNIT_COUNT},
        {"seconds", "time", UNIT_SECONDS},
        {"output", "written to"},
        {0},
    };
    const struct value *overlap = &session->arguments.option[OPTION_OVERLAP];
    cover_predictor_options predictor = COVER_PREDICTOR_OPTIONS_INIT;
    cover_predict_options options = COVER_PREDICT_OPTIONS_INIT;
    cover_dicom_options dicom = COVER_DICOM_OPTIONS_INIT;
    cover_seg_options seg = COVER_SEG_OPTIONS_INIT;
    char *segments = NULL;
    int status = dicom_options_read(session, &dicom);
    if (status == EXIT_OK) status = seg_options_read(session, &seg, &segments);
    if (status != EXIT_OK) return status;
    if (overlap->given && (overlap->count != 1 || !(overlap->number[0] >= 0 && overlap->number[0] <= 0.9)))
        return usage_error(session->verb, "--overlap %s: give a share of a window, 0 to 0.9", overlap->text);
    if (overlap->given) predictor.overlap = overlap->number[0];
    predictor.mirror = text_of(session, OPTION_MIRROR);
    predictor.precision = text_of(session, OPTION_PRECISION);
    if (given(session, OPTION_CHANNELS)) predictor.channels = strcmp(text_of(session, OPTION_CHANNELS), "rgb") == 0 ? 3 : 1;
    options.predictor = &predictor;
    options.scores = given(session, OPTION_SCORES);
    options.skip_bad = 1;
    options.dicom = &dicom;
    options.series = text_of(session, OPTION_SERIES);
    options.as = text_of(session, OPTION_AS);
    options.seg = &seg;
    options.audit = text_of(session, OPTION_AUDIT);
    options.audit_key = text_of(session, OPTION_AUDIT_KEY);
    options.link = text_of(session, OPTION_LINK);
    options.progress = progress_on_work;
    options.user = &session->progress;
    char *summary = NULL;
    cover_status result = cover_images_predict(&summary, session->context, session->arguments.operands[0],
                                               text_of(session, OPTION_INPUT), text_of(session, OPTION_OUTPUT), &options);
    free(segments);
    if (result != COVER_OK) return failed(session, result);
    status = print_end(session, summary, fields);
    cover_text_release(session->context, summary);
    return status;
}

const struct verb verb_predict = {
    .name = "predict",
    .summary = "label maps or class scores of images, by a fine-tuned task",
    .operands = "TASK",
    .operands_min = 1,
    .operands_max = 1,
    .detail =
        "TASK is a run folder of fine-tuning or its weights.safetensors. IN is an image, a folder of images, a folder of "
        "nnU-Net's images (CASE_0000, CASE_0001, ...: one channel each), an nnU-Net raw dataset, or DICOM: a file, a DICOMDIR, a "
        "folder. What was done to the "
        "training images when they were packed is done again.\n"
        "Segmentation writes DIR/CASE.EXT in the image's own format, size, spacing and orientation; JPEG becomes PNG, of DICOM it "
        "becomes a DICOM Segmentation (--as). "
        "Classification writes DIR/scores.csv. An image that cannot be used is listed with its reason and left out; the others "
        "are predicted, and the exit status is 1.",
    .examples = {"cover predict lungs/ -i new-xrays/ -o masks/", "cover predict hippo/ -i case.nii.gz -o out/ --mirror all"},
    .people = true,
    .run = run,
    .options = {{OPTION_INPUT, NULL, NULL, true},
                {OPTION_OUTPUT, "DIR", "folder to write to", true},
                {OPTION_MIRROR},
                {OPTION_OVERLAP},
                {OPTION_CHANNELS},
                {OPTION_SCORES},
                {OPTION_AS},
                {OPTION_SEGMENTS},
                {OPTION_SEG_TYPE},
                {OPTION_EMPTY_FRAMES},
                {OPTION_SERIES_NUMBER},
                {OPTION_DESCRIPTION},
                {OPTION_UID_ROOT},
                {OPTION_TIME},
                {OPTION_AUDIT},
                {OPTION_AUDIT_KEY},
                {OPTION_LINK},
                {OPTION_SERIES, NULL, "of several DICOM series: a number of 'cover dicom ls', SeriesNumber=N, Modality=CT, or all"},
                {OPTION_TILT},
                {OPTION_SPACING_TOLERANCE},
                {OPTION_PADDING},
                {OPTION_WINDOW, "header", "DICOM in the first window of its header, 0 to 255, as the training images were"},
                {OPTION_SKIP_BAD, NULL, "predict DICOM volumes although images of their series cannot be read"}},
};
