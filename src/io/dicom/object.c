/* One DICOM object, read as far as its pixels and checked (PS3.3, C.7.6.3).  See object.h. */
#include "object.h"

#include "core/base/files.h"

#include <stdio.h>
#include <string.h>

enum { HASH_PIECE = 1 << 16 };
static const uint64_t HASH_MOST = (uint64_t)256 << 20; /* of a larger one messages have the number alone */
static const uint32_t PADDING_MOST = 1 << 16;          /* zeros behind native pixel data */

/* ---- its bytes */

cover_status dicom_without_path(cover_status status, const char *path) {
    char shown[1024], text[ERROR_TEXT_BYTES];
    shown_print(shown, sizeof shown, "%s: ", path);
    const size_t length = strncmp(cover_error_text(), shown, strlen(shown)) == 0 ? strlen(shown) : 0;
    snprintf(text, sizeof text, "the file %s", cover_error_text() + length);
    return length ? fail_text(status, text) : fail(status, "the file cannot be read");
}

cover_status dicom_object_open(const struct dicom_object *object, struct source *source) {
    *source = object->source;
    if (!object->path) return COVER_OK;
    const cover_status status = source_open(source, object->path);
    if (status != COVER_OK) return dicom_without_path(status, object->path);
    source->name = "";
    return COVER_OK;
}

void dicom_object_close(const struct dicom_object *object, struct source *source) {
    if (object->path) source_close(source);
}

static cover_status hash_source(const struct source *source, uint64_t from, uint8_t digest[SHA256_BYTES]) {
    uint8_t piece[HASH_PIECE];
    struct sha256 hash;
    sha256_begin(&hash);
    for (uint64_t at = from; at < source->bytes;) {
        const size_t bytes = source->bytes - at < sizeof piece ? (size_t)(source->bytes - at) : sizeof piece;
        TRY(source_read(source, at, piece, bytes));
        sha256_add(&hash, piece, bytes);
        at += bytes;
    }
    sha256_end(&hash, digest);
    return COVER_OK;
}

cover_status dicom_object_hash(const struct dicom_object *object, uint8_t digest[SHA256_BYTES], uint64_t *bytes) {
    struct source source;
    TRY(dicom_object_open(object, &source));
    *bytes = source.bytes;
    const cover_status status = hash_source(&source, object->tree.data_at, digest);
    dicom_object_close(object, &source);
    return status;
}

const char *dicom_object_name(const struct dicom_object *object, char name[DICOM_NAME_BYTES]) {
    uint8_t digest[SHA256_BYTES];
    char text[SHA256_TEXT], before[ERROR_TEXT_BYTES];
    struct source source;
    snprintf(name, DICOM_NAME_BYTES, "image %d", object->number);
    snprintf(before, sizeof before, "%s", error_slot());
    if (dicom_object_open(object, &source) == COVER_OK) {
        if (source.bytes <= HASH_MOST && hash_source(&source, 0, digest) == COVER_OK) {
            sha256_text(digest, text);
            snprintf(name, DICOM_NAME_BYTES, "image %d (sha256 %.8s)", object->number, text);
        }
        dicom_object_close(object, &source);
    }
    memcpy(error_slot(), before, strlen(before) + 1);
    return name;
}

/* ---- what it is */

static const struct {
    const char *prefix;
    enum dicom_kind kind;
} classes[] = {
    {"1.2.840.10008.5.1.4.1.1.66.4", DICOM_SEGMENTATION}, /* Segmentation */
    {"1.2.840.10008.5.1.4.1.1.66.7", DICOM_SEGMENTATION}, /* Label Map Segmentation */
    {"1.2.840.10008.5.1.4.1.1.66.", DICOM_OTHER},         /* registrations, fiducials, real world values, surfaces, tractography */
    {"1.2.840.10008.5.1.4.1.1.30", DICOM_OTHER},          /* Parametric Map */
    {"1.2.840.10008.5.1.4.1.1.481.", DICOM_OTHER},        /* RT */
    {"1.2.840.10008.5.1.4.1.1.11.", DICOM_OTHER},         /* presentation states */
    {"1.2.840.10008.5.1.4.1.1.9.", DICOM_OTHER},          /* waveforms */
    {"1.2.840.10008.5.1.4.1.1.88.", DICOM_OTHER},         /* SR */
    {"1.2.840.10008.5.1.4.1.1.104.", DICOM_OTHER},        /* PDF, CDA, meshes */
};

static enum dicom_kind kind_of(const struct dicom_object *object) {
    char class[65];
    dicom_text(&object->tree, dicom_find(&object->tree, NULL, TAG_SOP_CLASS), class, sizeof class);
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        const size_t length = strlen(classes[i].prefix);
        const bool whole = classes[i].prefix[length - 1] != '.' && strcmp(class, classes[i].prefix) != 0;
        if (!whole && strncmp(class, classes[i].prefix, length) == 0) return classes[i].kind;
    }
    return object->pixels ? DICOM_IMAGE : DICOM_OTHER;
}

static bool has_word(const char *words, const char *word) {
    const size_t length = strlen(word);
    for (const char *at = words; length > 0 && (at = strstr(at, word)); at += length)
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == 0)) return true;
    return false;
}

/* The terms that DICOM has (PS3.3, C.7.3.1.1.1), then the retired ones: another word may be a name, where an object is damaged (P1). */
static const char modalities[] =
    "ANN AR ASMT AU BDUS BI BMD CFM CR CT CTPROTOCOL DG DMS DOC DX ECG EEG EMG EOG EPS ES FID GM HC HD IO IOL IVOCT IVUS KER KO "
    "LEN LS M3D MG MR NM OAM OCT OP OPM OPT OPTBSV OPTENF OPV OSS OT PA PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE RTINTENT "
    "RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF STAIN TEXTUREMAP TG US VA XA XAPROTOCOL XC "
    "AS CD CF CP CS DD DF DM DS EC FA FS LP MA MS OPR ST VF";

/* Those whose MONOCHROME1 is a negative; of others it is how they are shown alone. */
static bool is_radiograph(const char *modality) { return has_word("CR DX MG RG RF XA IO PX OT", modality); }

/* ---- its pixels */

static cover_status read_short(const struct dicom_object *object, uint32_t tag, bool needed, int fallback, int *value) {
    uint16_t given;
    bool present;
    char name[DICOM_TAG_TEXT];
    TRY(dicom_short(&object->tree, dicom_find(&object->tree, NULL, tag), &given, &present));
    if (!present && needed) return fail(COVER_ERROR_FORMAT, "%s is missing", dicom_tag_name(name, tag));
    *value = present ? given : fallback;
    return COVER_OK;
}

static cover_status wrong(uint32_t tag, int value, const char *what) {
    char name[DICOM_TAG_TEXT];
    return fail(COVER_ERROR_FORMAT, "%s is %d: %s", dicom_tag_name(name, tag), value, what);
}

static cover_status read_bits(struct dicom_object *object) {
    struct dicom_frame_shape *shape = &object->shape;
    int representation;
    TRY(read_short(object, TAG_BITS_ALLOCATED, true, 0, &shape->bits_allocated));
    const int allocated = shape->bits_allocated;
    object->floating = object->pixels->tag != TAG_PIXELS;
    if (object->floating && allocated != (object->pixels->tag == TAG_FLOAT_PIXELS ? 32 : 64))
        return wrong(TAG_BITS_ALLOCATED, allocated, "not that of its floating-point pixel data");
    if (!object->floating && allocated != 1 && allocated != 8 && allocated != 16 && allocated != 32)
        return wrong(TAG_BITS_ALLOCATED, allocated, "1, 8, 16 and 32 are read");
    TRY(read_short(object, TAG_BITS_STORED, !object->floating, allocated, &shape->bits_stored));
    if (shape->bits_stored < 1 || shape->bits_stored > allocated)
        return wrong(TAG_BITS_STORED, shape->bits_stored, "1 to Bits Allocated are there");
    TRY(read_short(object, TAG_HIGH_BIT, false, shape->bits_stored - 1, &shape->high_bit));
    if (shape->high_bit < shape->bits_stored - 1 || shape->high_bit >= allocated)
        return wrong(TAG_HIGH_BIT, shape->high_bit, "Bits Stored and Bits Allocated leave it no place");
    TRY(read_short(object, TAG_REPRESENTATION, !object->floating, 0, &representation));
    if (representation > 1) return wrong(TAG_REPRESENTATION, representation, "0 is unsigned, 1 is signed");
    shape->is_signed = representation == 1;
    return COVER_OK;
}

static cover_status read_photometric(struct dicom_object *object) {
    static const struct {
        const char *name;
        int samples;
    } known[] = {
        [PHOTOMETRIC_DARK_HIGH] = {"MONOCHROME1", 1},
        [PHOTOMETRIC_GREY] = {"MONOCHROME2", 1},
        [PHOTOMETRIC_RGB] = {"RGB", 3},
        [PHOTOMETRIC_PALETTE] = {"PALETTE COLOR", 1},
        [PHOTOMETRIC_YBR_FULL] = {"YBR_FULL", 3},
        [PHOTOMETRIC_YBR_FULL_422] = {"YBR_FULL_422", 3},
        [PHOTOMETRIC_YBR_RCT] = {"YBR_RCT", 3},
        [PHOTOMETRIC_YBR_ICT] = {"YBR_ICT", 3},
    };
    const struct dicom_node *node = dicom_find(&object->tree, NULL, TAG_PHOTOMETRIC);
    int kind = 0, planar;
    const int kinds = sizeof known / sizeof *known;
    while (kind < kinds && !dicom_text_is(&object->tree, node, known[kind].name)) kind++;
    if (kind == kinds)
        return fail(COVER_ERROR_UNSUPPORTED,
                    "Photometric Interpretation (0028,0004) is none of those that are read: grey, RGB, YBR, palettes");
    object->photometric = (enum dicom_photometric)kind;
    TRY(read_short(object, TAG_SAMPLES, true, 0, &object->shape.samples));
    if (object->shape.samples != known[kind].samples) {
        char text[64];
        snprintf(text, sizeof text, "%s has %d", known[kind].name, known[kind].samples);
        return wrong(TAG_SAMPLES, object->shape.samples, text);
    }
    TRY(read_short(object, TAG_PLANAR, false, 0, &planar));
    if (planar > 1) return wrong(TAG_PLANAR, planar, "0 and 1 are known");
    object->planar = planar == 1 && object->shape.samples == 3;
    object->inverted = kind == PHOTOMETRIC_DARK_HIGH && is_radiograph(object->modality);
    return COVER_OK;
}

static cover_status read_frames(struct dicom_object *object) {
    int64_t frames = 1;
    bool present;
    TRY(dicom_integer(&object->tree, dicom_find(&object->tree, NULL, TAG_FRAMES), &frames, &present));
    if (!present) frames = 1;
    if (frames < 1) return wrong(TAG_FRAMES, (int)frames, "there is at least one");
    object->frames = (int)frames;
    return COVER_OK;
}

/* What native pixel data takes, without the padding. */
static bool native_bytes(const struct dicom_object *object, uint64_t *bytes) {
    const struct dicom_frame_shape *shape = &object->shape;
    int64_t bits = shape->bits_allocated * (object->photometric == PHOTOMETRIC_YBR_FULL_422 ? 2 : shape->samples);
    if (!multiply(bits, shape->rows, &bits) || !multiply(bits, shape->columns, &bits) || !multiply(bits, object->frames, &bits))
        return false;
    *bytes = ((uint64_t)bits + 7) / 8;
    return true;
}

/* Exactly what its frames need, and zeros (R4). */
static cover_status check_native(const struct dicom_object *object, const struct source *source) {
    uint8_t rest[1 << 10];
    uint64_t need;
    const uint32_t given = object->pixels->length;
    if (!native_bytes(object, &need)) return fail(COVER_ERROR_FORMAT, "its size is beyond all memory");
    if (given < need)
        return fail(COVER_ERROR_FORMAT, "pixel data ends early: %lu of %llu bytes", (unsigned long)given, (unsigned long long)need);
    if (given - need > PADDING_MOST || (object->tree.deflated && given - need > 1))
        return fail(COVER_ERROR_FORMAT, "pixel data has %lu bytes, where %llu are needed", (unsigned long)given,
                    (unsigned long long)need);
    if (object->tree.deflated) return COVER_OK;
    for (uint64_t at = need; at < given;) {
        const size_t bytes = given - at < sizeof rest ? (size_t)(given - at) : sizeof rest;
        TRY(source_read(source, object->pixels->at + at, rest, bytes));
        for (size_t i = 0; i < bytes; i++)
            if (rest[i] != 0 && given - need > 1)
                return fail(COVER_ERROR_FORMAT, "pixel data has %lu bytes, where %llu are needed", (unsigned long)given,
                            (unsigned long long)need);
        at += bytes;
    }
    return COVER_OK;
}

static cover_status check_fragments(const struct dicom_object *object) {
    if (object->tree.fragment_count == 0 && object->pixels->length > 0)
        return fail(COVER_ERROR_FORMAT, "its pixel data has a length, where its transfer syntax has fragments");
    if (object->tree.fragment_count < 2) return fail(COVER_ERROR_FORMAT, "its pixel data has no fragments");
    return COVER_OK;
}

static cover_status read_pixels(struct dicom_object *object, const struct source *source) {
    TRY(dicom_syntax_find(&object->syntax, object->tree.syntax));
    TRY(read_short(object, TAG_ROWS, true, 0, &object->shape.rows));
    TRY(read_short(object, TAG_COLUMNS, true, 0, &object->shape.columns));
    if (object->shape.rows == 0) return wrong(TAG_ROWS, 0, "there is at least one");
    if (object->shape.columns == 0) return wrong(TAG_COLUMNS, 0, "there is at least one");
    TRY(read_bits(object));
    TRY(read_photometric(object));
    TRY(read_frames(object));
    if (object->syntax->codec) return check_fragments(object);
    if (object->tree.fragment_count > 0)
        return fail(COVER_ERROR_FORMAT, "its pixel data is in fragments, which its transfer syntax has not");
    return check_native(object, source);
}

/* ---- functional groups */

static cover_status read_groups(struct dicom_object *object, cover_context *context) {
    const struct dicom_tree *tree = &object->tree;
    const struct dicom_node *groups = dicom_find(tree, NULL, TAG_FRAME_GROUPS);
    object->shared = dicom_first(tree, dicom_find(tree, NULL, TAG_SHARED_GROUPS));
    int64_t count = 0;
    for (const struct dicom_node *item = dicom_first(tree, groups); item; item = dicom_next(tree, groups, item)) count++;
    if (count == 0) return COVER_OK;
    if (count != object->frames)
        return fail(COVER_ERROR_FORMAT, "it has %d frames, but %lld items of Per-frame Functional Groups", object->frames,
                    (long long)count);
    object->per_frame = memory_alloc(context, (size_t)count * sizeof(struct dicom_node *));
    if (!object->per_frame) return COVER_ERROR_MEMORY;
    count = 0;
    for (const struct dicom_node *item = dicom_first(tree, groups); item; item = dicom_next(tree, groups, item))
        object->per_frame[count++] = item;
    return COVER_OK;
}

const struct dicom_node *dicom_of_frame(const struct dicom_object *object, int frame, uint32_t macro, uint32_t tag) {
    const struct dicom_tree *tree = &object->tree;
    const struct dicom_node *groups[2] = {object->per_frame ? object->per_frame[frame] : NULL, object->shared};
    for (int g = 0; g < 2; g++) {
        const struct dicom_node *item = groups[g] ? dicom_first(tree, dicom_find(tree, groups[g], macro)) : NULL;
        const struct dicom_node *found = item ? dicom_find(tree, item, tag) : NULL;
        if (found) return found;
    }
    return dicom_find(tree, NULL, tag);
}

/* ---- the whole */

static cover_status read(struct dicom_object *object, cover_context *context, const struct source *source) {
    struct dicom_tree *tree = &object->tree;
    static const uint32_t pixels[] = {TAG_PIXELS, TAG_FLOAT_PIXELS, TAG_DOUBLE_PIXELS};
    TRY(dicom_parse(tree, context, source));
    for (int i = 0; i < 3; i++) {
        const struct dicom_node *found = dicom_find(tree, NULL, pixels[i]);
        if (found && object->pixels) return fail(COVER_ERROR_FORMAT, "it has pixel data of two kinds");
        if (found) object->pixels = found;
    }
    dicom_text(tree, dicom_find(tree, NULL, TAG_MODALITY), object->modality, sizeof object->modality);
    if (!has_word(modalities, object->modality)) object->modality[0] = 0;
    dicom_text(tree, dicom_find(tree, NULL, TAG_SOP_INSTANCE), object->sop_uid, sizeof object->sop_uid);
    dicom_text(tree, dicom_find(tree, NULL, TAG_SERIES_UID), object->series_uid, sizeof object->series_uid);
    dicom_text(tree, dicom_find(tree, NULL, TAG_STUDY_UID), object->study_uid, sizeof object->study_uid);
    object->kind = kind_of(object);
    if (object->kind == DICOM_OTHER) return COVER_OK;
    if (!object->pixels) return fail(COVER_ERROR_FORMAT, "it has no pixel data");
    TRY(read_pixels(object, source));
    return read_groups(object, context);
}

cover_status dicom_object_read(struct dicom_object *object, cover_context *context) {
    struct source source;
    TRY(dicom_object_open(object, &source));
    const cover_status status = read(object, context, &source);
    dicom_object_close(object, &source);
    return status;
}

void dicom_object_free(struct dicom_object *object) {
    cover_context *context = object->tree.context;
    if (context) {
        memory_free(context, object->per_frame);
        memory_free(context, object->path);
        memory_free(context, object->owned);
        dicom_tree_free(&object->tree);
    }
    *object = (struct dicom_object){0};
}
