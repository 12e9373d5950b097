/* cover report: a run as one HTML page. */
#include "command.h"

#include <libcover/report.h>

#include <jansson.h>
#include <string.h>

static int run(struct session *session) {
    const char *folder = session->arguments.operands[0], *path = text_of(session, OPTION_OUTPUT);
    char own[4096];
    if (!path &&
        snprintf(own, sizeof own, "%s%sreport.html", folder, folder[strlen(folder) - 1] == '/' ? "" : "/") >= (int)sizeof own)
        return usage_error(session->verb, "%s: the name is too long; give -o", folder);
    if (!path) path = own;
    cover_status result = cover_report_write(session->context, folder, path);
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
    .examples = {"cover report run/", "cover report run/ -o run.html"},
    .run = run,
    .options = {{OPTION_OUTPUT, "FILE.html", "page to write; RUN/report.html when not given"}},
};
