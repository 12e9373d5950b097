/* cover report: a run as one HTML page. */
#include "command.h"

#include <libcover/report.h>

#include <jansson.h>

static int run(struct session *session) {
    const char *path = text_of(session, OPTION_OUTPUT);
    cover_status result = cover_report_write(session->context, session->arguments.operands[0], path);
    if (result != COVER_OK) return failed(session, result);
    static const struct field fields[] = {{"report", "report"}, {0}};
    return print_object(session, json_pack("{s:s}", "report", path), fields);
}

const struct verb verb_report = {
    .name = "report",
    .summary = "curves, views and fields of a run as one HTML page",
    .operands = "RUN",
    .operands_min = 1,
    .operands_max = 1,
    .detail = "Writes one page that opens nothing outside itself: settings, loss curves, view pairs with the true and the "
              "predicted field, the moving image warped by each, and the field after every pyramid level. pretrain "
              "writes it at its end; this verb writes it again, or for a run still going on.",
    .examples = {"cover report run/ -o run.html"},
    .run = run,
    .options = {{OPTION_OUTPUT, "FILE.html", "page to write", true}},
};
