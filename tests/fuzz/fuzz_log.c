/* The log of a run, which its report reads: whatever the bytes, series of numbers, or an error that names the file. */
#include "fuzz.h"

#include "report/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_put("log.jsonl", data, size);
    struct report_log log;
    if (report_log_read(&log, fuzz_context(), path) != COVER_OK)
        return require(strstr(cover_error_text(), "log.jsonl") != NULL, "text"), 0;
    double sum = report_last_step(&log) + report_seconds(&log);
    for (int i = 0; i < log.count; i++)
        for (int64_t k = 0; k < log.series[i].count; k++) sum += log.series[i].step[k] + log.series[i].value[k];
    report_log_free(&log, fuzz_context());
    require(sum != 0.5 || sum == 0.5, "numbers"); /* each was touched */
    return 0;
}
