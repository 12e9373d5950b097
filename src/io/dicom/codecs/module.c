/* libcover-codecs.so: OpenJPEG behind the words of codecs_module.h. */
#include "codecs_parts.h"

#include <string.h>

__attribute__((visibility("default"))) codecs_module_entry cover_codecs_module;
const struct codecs_module *cover_codecs_module(const char *interface) {
    static const struct codecs_module module = {openjpeg_decode, assertion_leave};
    return strcmp(interface, CODECS_INTERFACE) == 0 ? &module : NULL;
}
