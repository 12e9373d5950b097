/* cover check: is this file, or run folder, whole? */
#include "command.h"
#include "json_text.h"

#include <libcover/dataset.h>
#include <libcover/dicom.h>

#include <string.h>

/* A file that cannot even be read is a finding, too: with --json there is always an object to read. */
static int print_unreadable(struct session *session, cover_status result, const struct field *fields) {
    if (given(session, OPTION_JSON) && result != COVER_ERROR_CANCELLED)
        print_object(session, json_pack("{s:b, s:[s]}", "ok", 0, "errors", library_words(session->verb)), fields);
    return failed(session, result);
}

static int run(struct session *session) {
    static const struct field fields[] = {{0}};
    const char *path = session->arguments.operands[0];
    char *text = NULL;
    const char *source = text_of(session, OPTION_SOURCE);
    cover_status result =
        source ? cover_dicom_check(&text, session->context, path, source) : cover_file_check(&text, session->context, path);
    if (result != COVER_OK) return print_unreadable(session, result, fields);
    json_t *report = json_of(text, NULL);
    bool ok = json_is_true(json_object_get(report, "ok"));
    print_result(session, text, fields);
    if (!given(session, OPTION_JSON)) {
        const json_t *errors = json_object_get(report, "errors");
        size_t index;
        json_t *error;
        const char *kind = json_string_value(json_object_get(report, "kind"));
        const char *without =
            json_is_false(json_object_get(report, "hash")) ? "; no hash in it, so that values may have changed" : "";
        const char *article = !kind ? "" : strchr("aeiou", *kind) ? ", an " : ", a ";
        if (ok) say_to(stdout, "%s: ok%s%s%s\n", path, article, kind ? kind : "", without);
        json_array_foreach(errors, index, error) say_to(stdout, "%s\n", json_string_value(error));
    }
    json_decref(report);
    cover_text_release(session->context, text);
    return ok ? EXIT_OK : EXIT_FAILED;
}

const struct verb verb_check = {
    .name = "check",
    .summary = "verify a dataset, checkpoint, run folder, weight file, DICOM or audit",
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .detail = "Reads everything in the file, compares it with the hashes recorded there, and lists what is damaged. The "
              "exit status is 0 when the file is whole, 1 when it is not. FILE may be a folder of DICOM; of a DICOM Segmentation "
              "each frame is "
              "compared with the image of --source that it names, and where it lies.",
    .examples = {"cover check chest.h5", "cover check run/ --json", "cover check lungs.seg.dcm --source study/"},
    .run = run,
    .options = {{OPTION_SOURCE}},
};
