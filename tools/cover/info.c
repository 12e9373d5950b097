/* cover info: what this build and this machine offer. */
#include "command.h"

static int run(struct session *session) {
    static const struct field fields[] = {
        {"version", "libcover"},
        {"backends", "backends"},
        {"cpu_features", "CPU features"},
        {"threads", "threads"},
        {"memory_limit", "memory limit", UNIT_BYTES},
        {"libraries", "libraries"},
        {"dicom", "DICOM"},
        {"cuda", "CUDA"},
        {0},
    };
    const char *json = cover_context_info(session->context);
    return json ? print_result(session, json, fields) : failed(session, COVER_ERROR_INTERNAL);
}

const struct verb verb_info = {
    .name = "info",
    .summary = "version, backends, CPU features, libraries",
    .operands = "",
    .detail = "Prints the version, the backends that are installed, the CPU features that are used (--isa caps them), "
              "the number of threads, the versions of the libraries it stands on, and the transfer syntaxes of DICOM that it "
              "decodes; with --device cuda the GPU, too.",
    .examples = {"cover info", "cover info --json", "cover info --device cuda"},
    .run = run,
};
