/* cover_context_info(): version, backends, CPU features, threads and libraries as JSON (the command's `info --json`).
 * It stands at the top of the tree because it asks every layer. */
#include "devices.h"

#include "io/dicom/codec.h"
#include "io/dicom/codecs.h"

#include <hdf5.h>
#include <jansson.h>
#include <jpeglib.h>
#include <png.h>
#include <stdio.h>
#include <tiffio.h>
#include <zlib.h>
#ifdef HAVE_ONEDNN
#include <oneapi/dnnl/dnnl.h>
#endif

#include <string.h>

#define QUOTED(x) #x
#define VALUE(x) QUOTED(x)

/* "avx2 avx512" as ["avx2", "avx512"] */
static void add_words(struct text *text, const char *words) {
    text_add(text, "[");
    for (bool first = true; *words; first = false) {
        size_t length = strcspn(words, " ");
        text_add(text, "%s\"%.*s\"", first ? "" : ", ", (int)length, words);
        words += length + (words[length] == ' ');
    }
    text_add(text, "]");
}

static void add_libraries(struct text *text) {
    /* TIFFGetVersion() is "LIBTIFF, Version 4.5.0" and a copyright */
    const char *tiff = strpbrk(TIFFGetVersion(), "0123456789");
    text_add(text, "{\"hdf5\": \"%d.%d.%d\", \"libpng\": \"%s\"", H5_VERS_MAJOR, H5_VERS_MINOR, H5_VERS_RELEASE,
             png_get_libpng_ver(NULL));
#ifdef HAVE_ONEDNN
    const dnnl_version_t *onednn = dnnl_version();
    text_add(text, ", \"onednn\": \"%d.%d.%d\"", onednn->major, onednn->minor, onednn->patch);
#endif
#ifdef LIBJPEG_TURBO_VERSION
    text_add(text, ", \"libjpeg-turbo\": \"%s\"", VALUE(LIBJPEG_TURBO_VERSION));
#endif
    text_add(text, ", \"libtiff\": \"%.*s\", \"zlib\": \"%s\", \"jansson\": \"%s\"}", tiff ? (int)strspn(tiff, "0123456789.") : 0,
             tiff ? tiff : "", zlibVersion(), jansson_version_str());
}

/* The transfer syntaxes that are read here, and what decodes those that are compressed. */
static void add_dicom(struct text *text) {
    const bool whole = dicom_codecs_found();
    const struct dicom_syntax *syntax;
    text_add(text, ", \"dicom\": {\"syntaxes\": [");
    for (int i = 0, told = 0; (syntax = dicom_syntax_at(i)) != NULL; i++)
        if (syntax->kind < DICOM_REFUSED && (whole || syntax->kind < DICOM_JPEG_2000))
            text_add(text, "%s\"%s\"", told++ ? ", " : "", syntax->uid);
    text_add(text,
             "], \"codecs\": {\"rle\": \"libcover\", \"lossless jpeg\": \"libcover\", \"jpeg-ls\": \"libcover\", \"jpeg\": "
             "\"libjpeg, %s\"",
             dicom_jpeg_bits());
    if (whole) text_add(text, ", \"jpeg 2000\": \"libcover-codecs.so\"");
    text_add(text, "}}");
}

static void add_cuda(struct text *text, const cover_context *context) {
    text_add(text, ", \"cuda\": {");
    if (context->device) context->executor->device_describe(context->device, text);
    text_add(text, "}");
}

const char *cover_context_info(cover_context *context) {
    if (!context) return NULL;
    if (context->info) return context->info;
    struct text text = {.context = context};
    char module[4096];
    bool cuda = context->device || device_module_found(module, sizeof module);
    text_add(&text, "{\"version\": \"%s\", \"backends\": [\"cpu\"%s], \"cpu_features\": ", cover_version(),
             cuda ? ", \"cuda\"" : "");
    add_words(&text, context->cpu_features_text);
    text_add(&text, ", \"threads\": %d", context->threads);
    if (context->memory_limit_bytes) text_add(&text, ", \"memory_limit\": %llu", (unsigned long long)context->memory_limit_bytes);
    text_add(&text, ", \"libraries\": ");
    add_libraries(&text);
    add_dicom(&text);
    if (cuda) add_cuda(&text, context);
    text_add(&text, "}\n");
    return text_take(&text, &context->info) == COVER_OK ? context->info : NULL;
}
