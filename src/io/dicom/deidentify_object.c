/* See deidentify.h.  One pass over the parsed elements; values that are not in memory are copied from the source, pixels untouched. */
#include "deidentify.h"

#include "identity.h"
#include "input.h"
#include "recode.h"

#include "core/base/number.h"

#include <stdio.h>
#include <string.h>

enum { LEVELS = 2 * 32 + 2, COPY = 1 << 15 };

/* ---- may it leave? */

static bool is_uid(const char *text) {
    const size_t length = strlen(text);
    return length > 0 && length <= 64 && is_digit(text[0]) && strspn(text, "0123456789.") == length;
}

/* Classes whose pixels or texts hold names as a rule. */
static const struct {
    const char *prefix, *what;
} telling[] = {
    {"1.2.840.10008.5.1.4.1.1.3.1", "ultrasound"},          {"1.2.840.10008.5.1.4.1.1.3", "ultrasound"},
    {"1.2.840.10008.5.1.4.1.1.6.", "ultrasound"},           {"1.2.840.10008.5.1.4.1.1.6", "ultrasound"},
    {"1.2.840.10008.5.1.4.1.1.7.", "a secondary capture"},  {"1.2.840.10008.5.1.4.1.1.7", "a secondary capture"},
    {"1.2.840.10008.5.1.4.1.1.88.", "a structured report"}, {"1.2.840.10008.5.1.4.1.1.104.", "a document"},
};

static cover_status refuse(const char *what) {
    return fail(COVER_ERROR_UNSUPPORTED,
                "%s: what it shows may say who it is, and is not looked at; option accept_burned_in takes it", what);
}

cover_status deidentify_check(const struct deidentify *work, const struct dicom_object *object) {
    static const struct {
        uint32_t tag;
        const char *name;
    } needed[] = {{TAG_SOP_CLASS, NULL}, {TAG_SOP_INSTANCE, NULL}, {TAG_SERIES_UID, NULL}, {TAG_STUDY_UID, NULL}};
    const struct dicom_tree *tree = &object->tree;
    char text[66], name[DICOM_TAG_TEXT];
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        dicom_text(tree, dicom_find(tree, NULL, needed[i].tag), text, sizeof text);
        if (!is_uid(text))
            return fail(COVER_ERROR_FORMAT, "%s is %s", dicom_tag_name(name, needed[i].tag), *text ? "no UID" : "missing");
    }
    if (work->accept_burned_in) return COVER_OK;
    if (dicom_text_is(tree, dicom_find(tree, NULL, TAG_BURNED_IN), "YES")) return refuse("Burned In Annotation (0028,0301) is YES");
    if (strcmp(object->modality, "US") == 0 || strcmp(object->modality, "IVUS") == 0) return refuse("ultrasound");
    if (strcmp(object->modality, "SR") == 0) return refuse("a structured report");
    dicom_text(tree, dicom_find(tree, NULL, TAG_SOP_CLASS), text, sizeof text);
    for (size_t i = 0; i < sizeof telling / sizeof *telling; i++) {
        const size_t length = strlen(telling[i].prefix);
        const bool family = telling[i].prefix[length - 1] == '.';
        if (family ? strncmp(text, telling[i].prefix, length) == 0 : strcmp(text, telling[i].prefix) == 0)
            return refuse(telling[i].what);
    }
    return COVER_OK;
}

/* ---- other values */

/* Frames of reference that the standard names are nobody's (PS3.6, annex A). */
static bool is_well_known(const char *uid, size_t length) {
    static const char root[] = "1.2.840.10008.1.4.";
    if (length < sizeof root - 1 || length > 64 || memcmp(uid, root, sizeof root - 1) != 0) return false;
    for (size_t i = 0; i < length; i++)
        if (!is_digit(uid[i]) && uid[i] != '.') return false;
    return true;
}

void deidentify_name(struct deidentify_name *name, const struct deidentify *work, const struct dicom_object *object) {
    const char *const uids[3] = {object->study_uid, object->series_uid, object->sop_uid};
    char *const to[3] = {name->study, name->series, name->instance};
    for (int i = 0; i < 3; i++)
        if (work->choice.uids) snprintf(to[i], UID_BYTES, "%s", uids[i]);
        else pseudonym_uid(to[i], &work->key, uids[i], strlen(uids[i]));
}

struct writing {
    const struct deidentify *work;
    const struct dicom_object *object;
    const struct dicom_tree *tree;
    struct dicom_input *input; /* for values that are not kept: forward alone */
    struct recode *out;
    char patient[PSEUDONYM_CODE];
    int days;
    struct {
        int64_t next; /* the first node behind it */
        bool items;   /* a sequence */
    } levels[LEVELS];
    int depth;
};

/* Of what a form without them does not say, or says is unknown, the table's. */
static const char *form_of(const struct dicom_node *node, const char *vr) { return memcmp(node->vr, "UN", 2) == 0 ? vr : node->vr; }

static cover_status write_empty(struct writing *writing, const struct dicom_node *node) {
    return recode_header(writing->out, node->tag, node->vr, 0);
}

/* UIDs between backslashes, each another one. */
static cover_status write_uids(struct writing *writing, const struct dicom_node *node) {
    struct text text = {.context = writing->work->context};
    struct dicom_parts parts = dicom_parts(writing->tree, node);
    const uint8_t *part;
    size_t length;
    for (bool first = true; dicom_part(&parts, &part, &length); first = false) {
        const char *given = (const char *)part;
        char uid[UID_BYTES];
        if (!first) text_add(&text, "\\");
        if (is_well_known(given, length)) text_add_bytes(&text, given, length);
        else if (length > 0) pseudonym_uid(uid, &writing->work->key, given, length), text_add(&text, "%s", uid);
    }
    const cover_status status =
        text.failed ? COVER_ERROR_MEMORY : recode_value(writing->out, node->tag, node->vr, text.data ? text.data : "", text.length);
    text_free(&text);
    return status;
}

/* What is there, fits the representation, and says nothing. */
static cover_status write_dummy(struct writing *writing, const struct dicom_node *node, const char *vr) {
    static const struct {
        const char *vrs, *text;
    } dummies[] = {
        {"LO SH ST LT UC UT PN AE CS UR", "REMOVED"},
        {"DA", "19000101"},
        {"DT", "19000101000000"},
        {"TM", "000000"},
        {"DS IS", "0"},
        {"AS", "000Y"},
    };
    static const uint8_t zeros[8];
    struct recode *out = writing->out;
    if (memcmp(vr, "SQ", 2) == 0) { /* one item with nothing in it */
        TRY(recode_header(out, node->tag, "SQ", RECODE_UNDEFINED));
        TRY(recode_header(out, TAG_ITEM, "--", RECODE_UNDEFINED));
        TRY(recode_header(out, TAG_ITEM_END, "--", 0));
        return recode_header(out, TAG_SEQUENCE_END, "--", 0);
    }
    if (memcmp(vr, "UI", 2) == 0) return write_uids(writing, node);
    for (size_t i = 0; i < sizeof dummies / sizeof *dummies; i++)
        for (const char *known = dummies[i].vrs; *known; known += known[2] ? 3 : 2)
            if (memcmp(known, vr, 2) == 0) return recode_text(out, node->tag, vr, dummies[i].text);
    return recode_value(out, node->tag, vr, zeros, sizeof zeros);
}

/* Dates between backslashes, each so many days earlier; one that is none makes the whole a dummy. */
static cover_status write_shifted(struct writing *writing, const struct dicom_node *node, const char *vr) {
    char text[257];
    size_t count;
    const uint8_t *bytes = dicom_bytes(writing->tree, node, &count);
    if (!bytes) return write_empty(writing, node);
    if (count >= sizeof text) return write_dummy(writing, node, vr);
    memcpy(text, bytes, count);
    text[count] = 0;
    while (count > 0 && (text[count - 1] == ' ' || text[count - 1] == 0)) count--;
    for (size_t at = 0; at < count;) {
        const char *stop = memchr(text + at, '\\', count - at);
        const size_t length = stop ? (size_t)(stop - text) - at : count - at;
        const size_t least = memcmp(vr, "DA", 2) == 0 ? length : 8; /* YYYYMMDD alone, or with a time behind it */
        if (length > 0 &&
            (least != 8 || strspn(text + at, "0123456789.+-") < length || !date_shift(text + at, length, writing->days)))
            return write_dummy(writing, node, vr);
        at += length + 1;
    }
    return recode_value(writing->out, node->tag, vr, text, count);
}

/* ---- values as they are */

static cover_status copy(struct writing *writing, uint64_t at, uint64_t bytes) {
    uint8_t piece[COPY];
    TRY(input_skip(writing->input, at - writing->input->at));
    while (bytes > 0) {
        const size_t now = bytes < sizeof piece ? (size_t)bytes : sizeof piece;
        TRY(input_take(writing->input, piece, now));
        TRY(recode_bytes(writing->out, piece, now));
        bytes -= now;
        if (cancelled(writing->work->context)) return fail(COVER_ERROR_CANCELLED, "cancelled while an object was written");
    }
    return COVER_OK;
}

static cover_status copy_fragments(struct writing *writing, const struct dicom_node *node) {
    const struct dicom_tree *tree = writing->tree;
    TRY(recode_header(writing->out, node->tag, "OB", RECODE_UNDEFINED));
    for (int64_t i = 0; i < tree->fragment_count; i++) {
        const struct dicom_fragment *fragment = &tree->fragments[i];
        TRY(recode_header(writing->out, TAG_ITEM, "--", (uint32_t)(fragment->length + fragment->length % 2)));
        TRY(copy(writing, fragment->at, fragment->length));
        TRY(recode_bytes(writing->out, "", fragment->length % 2));
    }
    return recode_header(writing->out, TAG_SEQUENCE_END, "--", 0);
}

static cover_status write_value(struct writing *writing, const struct dicom_node *node) {
    size_t count;
    const uint8_t *bytes = dicom_bytes(writing->tree, node, &count);
    if (node == writing->object->pixels && writing->tree->fragment_count > 0) return copy_fragments(writing, node);
    if (node->length == 0) return write_empty(writing, node);
    if (bytes) return recode_value(writing->out, node->tag, node->vr, bytes, count);
    TRY(recode_header(writing->out, node->tag, node->vr, node->length + node->length % 2));
    TRY(copy(writing, node->at, node->length));
    return recode_bytes(writing->out, "", node->length % 2);
}

/* ---- elements */

static cover_status enter(struct writing *writing, const struct dicom_node *node, bool items) {
    if (writing->depth == LEVELS) return fail(COVER_ERROR_INTERNAL, "sequences are nested deeper than they were read");
    writing->levels[writing->depth].next = node->next, writing->levels[writing->depth++].items = items;
    return recode_header(writing->out, items ? node->tag : (uint32_t)TAG_ITEM, "SQ", RECODE_UNDEFINED);
}

/* The ends of what ends before node `index`. */
static cover_status leave(struct writing *writing, int64_t index) {
    while (writing->depth > 0 && writing->levels[writing->depth - 1].next <= index) {
        writing->depth--;
        TRY(recode_header(writing->out, writing->levels[writing->depth].items ? TAG_SEQUENCE_END : TAG_ITEM_END, "--", 0));
    }
    return COVER_OK;
}

static bool is_sequence(const struct dicom_node *node) { return memcmp(node->vr, "SQ", 2) == 0; }

/* What no kept attribute is: a file that gives one such a form has put something else there. */
static bool is_of_a_person(const char vr[2]) {
    static const char known[] = "PN DA DT TM AE AS LT ST UT";
    for (const char *at = known; *at; at += at[2] ? 3 : 2)
        if (memcmp(at, vr, 2) == 0) return true;
    return false;
}

/* A patient keeps one name for those who have no key: what belongs together can be told. */
static bool is_patient(const struct dicom_node *node) { return node->tag == TAG_PATIENT_ID || node->tag == TAG_PATIENT_NAME; }

static bool is_pixels(const struct dicom_node *node) {
    return node->tag == TAG_PIXELS || node->tag == TAG_FLOAT_PIXELS || node->tag == TAG_DOUBLE_PIXELS;
}

/* An element that says who somebody is, otherwise. */
static cover_status write_changed(struct writing *writing, const struct dicom_node *node, enum confidential_action action,
                                  const char *vr) {
    const bool too_long = node->length > 0 && node->kept < 0 && !is_sequence(node); /* for any such value */
    const bool other = action == CONFIDENTIAL_EMPTY || action == CONFIDENTIAL_DUMMY;
    if (other && is_patient(node) && node->length > 0 && writing->depth == 0)
        return recode_text(writing->out, node->tag, node->vr, writing->patient);
    if (action == CONFIDENTIAL_EMPTY || too_long) return write_empty(writing, node);
    if (action == CONFIDENTIAL_UID) return write_uids(writing, node);
    if (action == CONFIDENTIAL_SHIFT) return write_shifted(writing, node, vr);
    return write_dummy(writing, node, form_of(node, vr));
}

/* One element; *inside: those within it follow.  What has not the form that it must have is nothing that is known. */
static cover_status write_element(struct writing *writing, const struct dicom_node *node, bool *inside) {
    const char *vr;
    const enum confidential_action action = dicom_confidential(node->tag, &writing->work->choice, &vr);
    const bool items = action == CONFIDENTIAL_ITEMS, of_table = memcmp(vr, "UN", 2) != 0;
    *inside = false;
    if (action == CONFIDENTIAL_GOES || (is_pixels(node) && node != writing->object->pixels)) return COVER_OK;
    if (is_sequence(node) && !items && memcmp(vr, "SQ", 2) != 0) return COVER_OK;
    if (items && !is_sequence(node)) return write_empty(writing, node);
    if (items) {
        *inside = true;
        return enter(writing, node, true);
    }
    if (action != CONFIDENTIAL_VALUE) return write_changed(writing, node, action, vr);
    return !of_table && is_of_a_person(node->vr) ? write_empty(writing, node) : write_value(writing, node);
}

/* ---- what is added (PS3.15, E.1.1) */

static const struct {
    int code;
    const char *meaning;
} methods[] = {
    {113100, "Basic Application Confidentiality Profile"},
    {RETAIN_FULL_DATES, "Retain Longitudinal Temporal Information Full Dates Option"},
    {RETAIN_SHIFTED_DATES, "Retain Longitudinal Temporal Information Modified Dates Option"},
    {RETAIN_PATIENT, "Retain Patient Characteristics Option"},
    {RETAIN_DEVICE, "Retain Device Identity Option"},
    {RETAIN_UIDS, "Retain UIDs Option"},
    {RETAIN_INSTITUTION, "Retain Institution Identity Option"},
};

static bool is_chosen(const struct confidential_choice *choice, int code) {
    switch (code) {
    case RETAIN_FULL_DATES:
        return choice->full_dates;
    case RETAIN_SHIFTED_DATES:
        return choice->shifted_dates;
    case RETAIN_PATIENT:
        return choice->patient;
    case RETAIN_DEVICE:
        return choice->device;
    case RETAIN_UIDS:
        return choice->uids;
    case RETAIN_INSTITUTION:
        return choice->institution;
    }
    return true;
}

static cover_status add_methods(struct writing *writing) {
    struct recode *out = writing->out;
    char code[12];
    TRY(recode_header(out, TAG_DEIDENTIFICATION_CODES, "SQ", RECODE_UNDEFINED));
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (!is_chosen(&writing->work->choice, methods[i].code)) continue;
        snprintf(code, sizeof code, "%d", methods[i].code);
        TRY(recode_header(out, TAG_ITEM, "--", RECODE_UNDEFINED));
        TRY(recode_text(out, TAG_CODE_VALUE, "SH", code));
        TRY(recode_text(out, TAG_CODE_SCHEME, "SH", "DCM"));
        TRY(recode_text(out, TAG_CODE_MEANING, "LO", methods[i].meaning));
        TRY(recode_header(out, TAG_ITEM_END, "--", 0));
    }
    return recode_header(out, TAG_SEQUENCE_END, "--", 0);
}
static cover_status add_removed(struct writing *writing) { return recode_text(writing->out, TAG_IDENTITY_REMOVED, "CS", "YES"); }
static cover_status add_method(struct writing *writing) {
    return recode_text(writing->out, TAG_DEIDENTIFICATION_METHOD, "LO", "libcover " COVER_VERSION ", PS3.15 2026c Table E.1-1");
}
static cover_status add_dates(struct writing *writing) {
    const struct confidential_choice *choice = &writing->work->choice;
    return recode_text(writing->out, TAG_DATES_MODIFIED, "CS",
                       choice->full_dates      ? "UNMODIFIED"
                       : choice->shifted_dates ? "MODIFIED"
                                               : "REMOVED");
}

static const struct {
    uint32_t tag;
    cover_status (*add)(struct writing *writing);
} additions[] = {{TAG_IDENTITY_REMOVED, add_removed},
                 {TAG_DEIDENTIFICATION_METHOD, add_method},
                 {TAG_DEIDENTIFICATION_CODES, add_methods},
                 {TAG_DATES_MODIFIED, add_dates}};
enum { ADDITIONS = sizeof additions / sizeof *additions };

/* Those up to a tag, from *next on. */
static cover_status add_until(struct writing *writing, uint64_t tag, int *next) {
    for (; *next < ADDITIONS && additions[*next].tag <= tag; ++*next) TRY(additions[*next].add(writing));
    return COVER_OK;
}

/* ---- the whole */

static cover_status write_all(struct writing *writing) {
    const struct dicom_tree *tree = writing->tree;
    int next = 0;
    for (int64_t i = 0; i < tree->count;) {
        const struct dicom_node *node = &tree->nodes[i];
        bool inside = true, replaced = false;
        TRY(leave(writing, i));
        if (writing->depth == 0) TRY(add_until(writing, node->tag, &next));
        for (int a = 0; a < ADDITIONS; a++) replaced = replaced || node->tag == additions[a].tag;
        if (memcmp(node->vr, "--", 2) == 0) TRY(enter(writing, node, false));
        else if (replaced) inside = false;
        else TRY(write_element(writing, node, &inside));
        i = inside ? i + 1 : node->next;
    }
    TRY(leave(writing, tree->count));
    return add_until(writing, UINT64_MAX, &next);
}

cover_status deidentify_write(const struct deidentify *work, const struct dicom_object *object, const struct source *source,
                              struct replacement *file, uint8_t digest[SHA256_BYTES], uint64_t *bytes) {
    struct dicom_input input;
    struct recode out = {.file = file};
    struct deidentify_name name;
    struct writing writing = {.work = work, .object = object, .tree = &object->tree, .input = &input, .out = &out};
    char class[66];
    uint8_t patient[SHA256_BYTES];
    cover_status status;
    dicom_patient(object, patient);
    pseudonym_code(writing.patient, &work->key, patient, sizeof patient);
    writing.days = pseudonym_days(&work->key, patient, sizeof patient);
    dicom_text(&object->tree, dicom_find(&object->tree, NULL, TAG_SOP_CLASS), class, sizeof class);
    input_open(&input, work->context, source);
    deidentify_name(&name, work, object);
    if (object->tree.deflated) {
        GO(input_skip(&input, object->tree.data_at));
        GO(input_deflated(&input));
    }
    GO(recode_begin(&out, work->context, file, &object->tree, class, name.instance));
    GO(write_all(&writing));
    GO(recode_end(&out, digest));
    *bytes = out.bytes;
done:
    recode_close(&out);
    input_close(&input);
    return status;
}
