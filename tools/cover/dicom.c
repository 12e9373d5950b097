/* cover dicom KIND: what DICOM has, and turning it into other things (docs/dicom.md).  A kind is a row of the table below. */
#include "command.h"
#include "json_text.h"

#include "core/base/shown.h"

#include <libcover/dicom.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { WIDTH = 79 };

int dicom_options_read(struct session *session, cover_dicom_options *dicom) {
    const struct value *tolerance = &session->arguments.option[OPTION_SPACING_TOLERANCE];
    if (tolerance->given && (tolerance->count != 1 || !(tolerance->number[0] > 0 && tolerance->number[0] <= 1)))
        return usage_error(session->verb, "--spacing-tolerance %s: give a share of a step, 0 to 1", tolerance->text);
    dicom->spacing_tolerance = tolerance->given ? tolerance->number[0] : 0;
    dicom->tilt = text_of(session, OPTION_TILT);
    dicom->padding = text_of(session, OPTION_PADDING);
    const struct value *window = &session->arguments.option[OPTION_WINDOW];
    if (window->given && window->count > 0 && !verb_takes(session->verb, OPTION_PERCENTILE)) /* numbers are for packing */
        return usage_error(session->verb, "--window %s: 'header' is taken here", window->text);
    if (window->given && window->count == 0) dicom->window = "header";
    dicom->skip_bad = given(session, OPTION_SKIP_BAD);
    dicom->progress = progress_on_work;
    dicom->user = &session->progress;
    return EXIT_OK;
}

/* What a path has; NULL = it was said why not, and *status is the exit status. */
static cover_dicom *open_set(struct session *session, const char *path, int *count, int *status) {
    cover_dicom_options dicom = COVER_DICOM_OPTIONS_INIT;
    cover_dicom *set = NULL;
    *status = dicom_options_read(session, &dicom);
    if (*status != EXIT_OK) return NULL;
    cover_status result = cover_dicom_create(&set, session->context, &dicom);
    if (result == COVER_OK) result = cover_dicom_add_path(set, path);
    if (result == COVER_OK) result = cover_dicom_volumes(set, count);
    if (result == COVER_OK) return set;
    *status = failed(session, result);
    cover_dicom_destroy(set);
    return NULL;
}

char *segments_text(struct session *session, int *status) {
    const char *path = text_of(session, OPTION_SEGMENTS);
    struct json_fault fault;
    *status = EXIT_OK;
    if (!path) return NULL;
    json_t *read = json_of_file(path, &fault);
    char *text = read ? need(json_dumps(read, JSON_COMPACT)) : NULL; /* in the order of the file */
    json_decref(read);
    if (!text && fault.line > 0)
        *status = usage_error(session->verb, "--segments %s: line %d, column %d: %s", path, fault.line, fault.column, fault.what);
    else if (!text) *status = usage_error(session->verb, "--segments %s: %s", path, fault.what);
    return text;
}

int seg_options_read(struct session *session, cover_seg_options *options, char **segments) {
    const struct value *number = &session->arguments.option[OPTION_SERIES_NUMBER];
    int status;
    *segments = segments_text(session, &status);
    options->segments = *segments;
    options->type = text_of(session, OPTION_SEG_TYPE);
    options->description = text_of(session, OPTION_DESCRIPTION);
    options->time = text_of(session, OPTION_TIME);
    options->uid_root = text_of(session, OPTION_UID_ROOT);
    options->empty_frames = given(session, OPTION_EMPTY_FRAMES);
    options->series_number = number->given ? (int)number->integer[0] : 0;
    return status;
}

/* ---- ls */

/* What --phi asks for: by the names of the standard's keywords. */
static const struct {
    const char *keyword;
    uint32_t tag;
} identifying[] = {{"PatientName", 0x00100010},     {"PatientID", 0x00100020},        {"PatientBirthDate", 0x00100030},
                   {"StudyDate", 0x00080020},       {"StudyDescription", 0x00081030}, {"SeriesDescription", 0x0008103e},
                   {"AccessionNumber", 0x00080050}, {"StudyInstanceUID", 0x0020000d}, {"SeriesInstanceUID", 0x0020000e}};
enum { IDENTIFYING = sizeof identifying / sizeof *identifying };

/* "" where there is none. */
static const char *value_of(const cover_dicom *set, int index, uint32_t tag, char text[256]) {
    const void *bytes = NULL;
    size_t count = 0;
    if (cover_dicom_value(set, index, 0, tag, &bytes, &count) != COVER_OK || !bytes) count = 0;
    while (count > 0 && (((const char *)bytes)[count - 1] == ' ' || ((const char *)bytes)[count - 1] == 0)) count--;
    char as_sent[256]; /* in the character set of its object: what is not UTF-8 is shown as \xNN */
    snprintf(as_sent, sizeof as_sent, "%.*s", (int)count, count ? (const char *)bytes : "");
    shown_print(text, 256, "%s", as_sent);
    return text;
}

static void print_identity(const cover_dicom *set, int index) {
    char text[256];
    for (int i = 0; i < IDENTIFYING; i++)
        if (*value_of(set, index, identifying[i].tag, text)) say_to(stdout, "     %s %s\n", identifying[i].keyword, text);
}

static void print_sizes(const json_t *size, const json_t *spacing, bool volume) {
    char sizes[40] = "", spacings[40] = "";
    size_t at = 0, to = 0;
    for (size_t i = volume || json_integer_value(json_array_get(size, 0)) > 1 ? 0 : 1; i < 3; i++)
        at += (size_t)snprintf(sizes + at, sizeof sizes - at, "%s%lld", at ? "x" : "",
                               (long long)json_integer_value(json_array_get(size, i)));
    for (size_t i = volume ? 0 : 1; i < 3; i++)
        to += (size_t)snprintf(spacings + to, sizeof spacings - to, "%s%.3g", to ? "x" : "",
                               json_number_value(json_array_get(spacing, i)));
    if (json_number_value(json_array_get(spacing, 2)) == 0) strcpy(spacings, "-");
    printf("%-14s  %-16s", sizes, spacings);
}

static void print_row(const json_t *row) {
    const bool volume = strcmp(json_string_value(json_object_get(row, "kind")), "volume") == 0;
    const char *refused = json_string_value(json_object_get(row, "refused")),
               *orientation = json_string_value(json_object_get(row, "orientation"));
    char note[4600];
    say_to(stdout, "%4d  %-4s  ", (int)json_integer_value(json_object_get(row, "number")),
           json_string_value(json_object_get(row, "modality")));
    print_sizes(json_object_get(row, "size"), json_object_get(row, "spacing_mm"), volume);
    say_to(stdout, "  %-5s  %6d  %s\n", *orientation ? orientation : "-", (int)json_integer_value(json_object_get(row, "images")),
           json_string_value(json_object_get(row, "syntax")));
    snprintf(note, sizeof note, "%s%s%s", refused ? "refused: " : "", refused ? refused : "",
             json_is_true(json_object_get(row, "localizer")) ? "localizer" : "");
    if (!*note) return;
    printf("      ");
    print_wrapped(stdout, note, 6, 6, WIDTH);
}

static void print_table(struct session *session, const cover_dicom *set, const json_t *report) {
    const json_t *volumes = json_object_get(report, "volumes"), *row, *line;
    const long long others = (long long)json_integer_value(json_object_get(report, "others"));
    const long long files = (long long)json_integer_value(json_object_get(report, "files"));
    size_t i;
    progress_end(&session->progress);
    printf("  no  kind  %-14s  %-16s  %-5s  %6s  %s\n", "size", "spacing, mm", "axes", "images", "syntax");
    json_array_foreach(volumes, i, row) {
        print_row(row);
        if (given(session, OPTION_PHI)) print_identity(set, (int)i);
    }
    json_array_foreach(json_object_get(report, "unreadable"), i, line) {
        say_to(stdout, "      ");
        char text[4600];
        snprintf(text, sizeof text, "cannot be read: %s", json_string_value(line));
        print_wrapped(stdout, text, 6, 6, WIDTH);
    }
    if (others) printf("      %lld without an image (reports, plans, directories)\n", others);
    if (files) printf("      %lld %s not DICOM\n", files, files == 1 ? "file is" : "files are");
}

static int run_ls(struct session *session) {
    int count, status;
    char *json = NULL;
    cover_dicom *set = open_set(session, session->arguments.operands[1], &count, &status);
    if (!set) return status;
    cover_status result = cover_dicom_report(set, &json);
    if (result != COVER_OK) {
        status = failed(session, result);
    } else {
        static const struct field none[] = {{0}};
        json_t *report = json_of(json, NULL), *row;
        char text[256];
        size_t index;
        if (given(session, OPTION_PHI))
            json_array_foreach(json_object_get(report, "volumes"), index, row) for (int i = 0; i < IDENTIFYING; i++)
                json_object_set_new(row, identifying[i].keyword, json_string(value_of(set, (int)index, identifying[i].tag, text)));
        if (given(session, OPTION_JSON)) status = print_object(session, report, none);
        else print_table(session, set, report), json_decref(report);
    }
    cover_text_release(session->context, json);
    cover_dicom_destroy(set);
    return status;
}

/* ---- volume */

static int run_volume(struct session *session) {
    static const struct field fields[] = {{"output", "written"}, {0}};
    const char *output = text_of(session, OPTION_OUTPUT);
    int count, index, status;
    cover_dicom *set = open_set(session, session->arguments.operands[1], &count, &status);
    if (!set) return status;
    cover_status result = cover_dicom_find(set, text_of(session, OPTION_SERIES), &index);
    if (result == COVER_OK) result = cover_dicom_write_nifti(set, index, output);
    status = result == COVER_OK ? print_object(session, json_pack("{s:s}", "output", output), fields) : failed(session, result);
    cover_dicom_destroy(set);
    return status;
}

/* ---- seg */

static int run_seg(struct session *session) {
    static const struct field fields[] = {{"output", "written"}, {0}};
    const char *source = text_of(session, OPTION_SOURCE), *output = text_of(session, OPTION_OUTPUT);
    cover_seg_options options = COVER_SEG_OPTIONS_INIT;
    int count, index, status;
    if (!source) return usage_error(session->verb, "--source DIR is missing: the DICOM images that the label map was made from");
    if (!given(session, OPTION_SEGMENTS)) return usage_error(session->verb, "--segments FILE is missing: it names the classes");
    char *segments = NULL;
    status = seg_options_read(session, &options, &segments);
    cover_dicom *set = status == EXIT_OK ? open_set(session, source, &count, &status) : NULL;
    if (set) {
        cover_status result = cover_dicom_find(set, text_of(session, OPTION_SERIES), &index);
        if (result == COVER_OK) result = cover_dicom_write_seg_file(set, index, session->arguments.operands[1], &options, output);
        status = result == COVER_OK ? print_object(session, json_pack("{s:s}", "output", output), fields) : failed(session, result);
    }
    cover_dicom_destroy(set);
    free(segments);
    return status;
}

/* ---- the kinds */

static const struct kind {
    const char *name;
    bool output; /* -o must be given */
    int (*run)(struct session *session);
} kinds[] = {
    {"ls", false, run_ls},
    {"volume", true, run_volume},
    {"seg", true, run_seg},
    {"deidentify", true, dicom_deidentify},
};

static int run(struct session *session) {
    const struct verb *verb = session->verb;
    umask(077); /* what is made of DICOM is its owner's alone */
    const char *name = session->arguments.operands[0];
    struct nearest nearest = {.word = name};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        nearest_offer(&nearest, kinds[i].name);
        if (strcmp(kinds[i].name, name) != 0) continue;
        if (kinds[i].output && !given(session, OPTION_OUTPUT))
            return usage_error(verb, "-o PATH is missing: it says where the result goes");
        return kinds[i].run(session);
    }
    return usage_error(verb, "no 'cover dicom %s'%s%s%s", name,
                       *nearest.best ? "; did you mean " : ": give ls, volume, seg or deidentify", nearest.best,
                       *nearest.best ? "?" : "");
}

const struct verb verb_dicom = {
    .name = "dicom",
    .summary = "DICOM: what is there, volumes as NIfTI, label maps as DICOM, de-identification",
    .operands = "KIND IN",
    .kinds = "ls|volume|seg|deidentify",
    .operands_min = 2,
    .operands_max = 2,
    .detail =
        "IN is a DICOM file, a folder with all below it, or a DICOMDIR. Files are known by what is in them, whatever their names.\n"
        "ls IN: the volumes, and images without a place, with size, spacing, axes, transfer syntax, and what is wrong with those "
        "that are refused. Nothing that identifies a person is shown without --phi.\n"
        "volume IN: one volume as NIfTI (.nii, .nii.gz), as training and prediction see it: for eyes and for other programs.\n"
        "seg LABEL: a label map of a volume of --source as DICOM Segmentation; --segments names its classes 1, 2, ... in their "
        "order.\n"
        "deidentify IN: all objects without what says whose they are, as DICOM's Basic Application Level Confidentiality Profile "
        "has it (PS3.15, Table E.1-1), in the transfer syntax in which they came, pixels untouched: OUT/STUDY/SERIES/INSTANCE.dcm "
        "by new UIDs, which are a function of the old ones and of the key. What may show a name in its pixels or texts is refused.",
    .examples = {"cover dicom ls study/", "cover dicom volume study/ -o ct.nii.gz --series 2",
                 "cover dicom seg label.nii.gz --source study/ --segments lungs.json -o lungs.dcm",
                 "cover dicom deidentify study/ -o out/ --key secret.key --dates shift"},
    .people = true,
    .run = run,
    .options = {{OPTION_OUTPUT, "PATH", "volume, seg: the file to write; deidentify: the folder"},
                {OPTION_SERIES},
                {OPTION_TILT},
                {OPTION_SPACING_TOLERANCE},
                {OPTION_PADDING},
                {OPTION_WINDOW, "header", "volume: values in the first window of the header, 0 to 255"},
                {OPTION_SKIP_BAD, NULL, "read volumes although images of their series cannot be read"},
                {OPTION_SOURCE},
                {OPTION_SEGMENTS},
                {OPTION_SEG_TYPE},
                {OPTION_EMPTY_FRAMES},
                {OPTION_SERIES_NUMBER},
                {OPTION_DESCRIPTION},
                {OPTION_UID_ROOT},
                {OPTION_TIME, NULL, "when it is said to be made: 2026-11-30T12:00:00+01:00; now when not given"},
                {OPTION_PHI},
                {OPTION_KEY, "FILE", "deidentify: at least 16 secret bytes, from which new UIDs, names and dates follow"},
                {OPTION_DATES},
                {OPTION_RETAIN},
                {OPTION_ACCEPT_BURNED_IN},
                {OPTION_AUDIT},
                {OPTION_AUDIT_KEY}},
};
