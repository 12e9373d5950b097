/* A module of codecs that was built with another form of its header: test_codecs.c opens it. */
#include "io/dicom/codecs_module.h"

#include <string.h>

__attribute__((visibility("default"))) codecs_module_entry cover_codecs_module;
const struct codecs_module *cover_codecs_module(const char *interface) {
    static const struct codecs_module module;
    return strcmp(interface, "0.1.0-0123456789abcdef") == 0 ? &module : NULL;
}
