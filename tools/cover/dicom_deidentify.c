/* cover dicom deidentify: objects without what says whose they are.  Called by dicom.c. */
#include "command.h"
#include "json_text.h"

#include <libcover/dicom.h>

int dicom_deidentify(struct session *session) {
    static const struct field fields[] = {{"written", "objects written", UNIT_COUNT},
                                          {"bytes", "bytes", UNIT_BYTES},
                                          {"duplicates", "there twice", UNIT_SOME},
                                          {"files", "not DICOM", UNIT_SOME},
                                          {0}};
    cover_deidentify_options options = COVER_DEIDENTIFY_OPTIONS_INIT;
    char *summary = NULL;
    options.key = text_of(session, OPTION_KEY);
    options.dates = text_of(session, OPTION_DATES);
    options.retain = text_of(session, OPTION_RETAIN);
    options.accept_burned_in = given(session, OPTION_ACCEPT_BURNED_IN);
    options.skip_bad = given(session, OPTION_SKIP_BAD);
    options.audit = text_of(session, OPTION_AUDIT);
    options.audit_key = text_of(session, OPTION_AUDIT_KEY);
    options.progress = progress_on_work;
    options.user = &session->progress;
    if (!options.key)
        return usage_error(session->verb,
                           "--key FILE is missing: a secret of at least 16 bytes, such as 'head -c 32 /dev/urandom' makes");
    const cover_status result = cover_dicom_deidentify(&summary, session->context, session->arguments.operands[1],
                                                       text_of(session, OPTION_OUTPUT), &options);
    if (result != COVER_OK) return failed(session, result);
    print_result(session, summary, fields);
    if (!given(session, OPTION_JSON)) {
        json_t *report = json_of(summary, NULL), *line;
        size_t index;
        json_array_foreach(json_object_get(report, "left_out"), index, line)
            say_to(stdout, "left out: %s\n", json_string_value(line));
        json_decref(report);
    }
    cover_text_release(session->context, summary);
    return EXIT_OK;
}
