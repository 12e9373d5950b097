/* See codecs.h.  It is opened by its absolute path, for itself alone, and stays: what it brings is not made to be unloaded. */
#include "codecs.h"

#include "core/base/files.h"

#include <dlfcn.h>
#include <string.h>

/* A sanitizer refuses to run with RTLD_DEEPBIND, which codecs/assertion.c is for. */
#if defined(SANITIZED) || !defined(RTLD_DEEPBIND)
enum { OPENED_AS = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE };
#else
enum { OPENED_AS = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE | RTLD_DEEPBIND };
#endif
static const char MODULE_FILE[] = "libcover-codecs.so";

cover_status dicom_codecs_open_file(const struct codecs_module **module, const char *path, const char *what) {
    codecs_module_entry *entry = NULL;
    if (!file_exists(path)) return fail(COVER_ERROR_UNSUPPORTED, "%s needs %s, which is not beside libcover.so", what, MODULE_FILE);
    void *handle = dlopen(path, OPENED_AS);
    if (!handle)
        return fail(COVER_ERROR_UNSUPPORTED, "%s needs %s, which cannot be opened: %s; install OpenJPEG", what, MODULE_FILE,
                    dlerror());
    void *symbol = dlsym(handle, CODECS_MODULE_ENTRY);
    memcpy(&entry, &symbol, sizeof entry);
    *module = entry ? entry(CODECS_INTERFACE) : NULL;
    dlclose(handle); /* it stays: RTLD_NODELETE */
    if (!*module)
        return fail(COVER_ERROR_UNSUPPORTED, "%s: %s was not made with this libcover (%s); build and install both together", what,
                    MODULE_FILE, CODECS_INTERFACE);
    return COVER_OK;
}

cover_status dicom_codecs_open(const struct codecs_module **module, const char *what) {
    char path[4096];
    TRY(path_beside_library(path, sizeof path, MODULE_FILE));
    return dicom_codecs_open_file(module, path, what);
}

bool dicom_codecs_found(void) {
    char path[4096];
    return path_beside_library(path, sizeof path, MODULE_FILE) == COVER_OK && file_exists(path);
}
