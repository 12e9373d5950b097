/* See codes.h. */
#include "codes.h"

#include "core/base/json.h"
#include "core/base/number.h"
#include "core/base/sha256.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ANATOMY, ABNORMAL, UNKNOWN, CATEGORIES };
static const struct dicom_code categories[CATEGORIES] = {
    [ANATOMY] = {"123037004", "SCT", "Anatomical Structure"},
    [ABNORMAL] = {"49755003", "SCT", "Morphologically Abnormal Structure"},
    [UNKNOWN] = {"309825002", "SCT", "Spatial and Relational Concept"},
};
static const struct {
    const char *name;
    int category;
    struct dicom_code type;
} known[] = {
#define DICOM_SEGMENT(name, category, value, meaning) {name, category, {value, "SCT", meaning}},
#include "codes.def"
#undef DICOM_SEGMENT
};
static const struct {
    const char *word;
    struct dicom_code modifier;
} sides[] = {{"left", {"7771000", "SCT", "Left"}}, {"right", {"24028007", "SCT", "Right"}}};

/* Those that PS3.16, 8, names and segments may use; private ones begin with 99. */
static const char *const schemes[] = {"SCT", "DCM",  "SRT", "FMA", "RADLEX", "NCIt", "UMLS",
                                      "LN",  "UCUM", "I10", "I11", "MSH",    "UNS",  NULL};

/* For classes without one; they differ in tone, so that neighbours in a list are told apart. */
static const uint8_t colours[][3] = {
    {230, 25, 75},  {60, 180, 75},   {0, 130, 200}, {255, 225, 25}, {245, 130, 48}, {145, 30, 180},  {70, 240, 240}, {240, 50, 230},
    {210, 245, 60}, {250, 190, 212}, {0, 128, 128}, {170, 110, 40}, {128, 0, 0},    {170, 255, 195}, {128, 128, 0},  {0, 0, 128}};
enum { COLOURS = sizeof colours / sizeof *colours };

void dicom_clean_text(char *to, size_t room, const char *text) {
    size_t length = 0;
    for (; *text && length + 1 < room; text++) {
        const unsigned char c = (unsigned char)*text;
        if ((c & 0xc0) == 0x80) continue; /* one '?' a character of UTF-8 */
        to[length++] = (char)(c == '\\' ? '/' : c < ' ' || c > '~' ? '?' : c);
    }
    while (length > 0 && to[length - 1] == ' ') length--;
    to[length] = 0;
}

/* ---- colour: sRGB to CIELab of white D50, in DICOM's units (PS3.3, C.10.7.1.1) */

static double linear(double value) { return value <= 0.04045 ? value / 12.92 : pow((value + 0.055) / 1.055, 2.4); }
static double curve(double t) { return t > 216.0 / 24389 ? cbrt(t) : (t * 24389 / 27 + 16) / 116; }

static void to_lab(uint16_t lab[3], const uint8_t rgb[3]) {
    static const double from_srgb[3][3] = {/* adapted to D50 by Bradford's matrix */
                                           {0.4360747, 0.3850649, 0.1430804},
                                           {0.2225045, 0.7168786, 0.0606169},
                                           {0.0139322, 0.0971045, 0.7141733}};
    static const double white[3] = {0.96422, 1, 0.82521};
    double f[3];
    for (int i = 0; i < 3; i++) {
        double sum = 0;
        for (int k = 0; k < 3; k++) sum += from_srgb[i][k] * linear(rgb[k] / 255.0);
        f[i] = curve(sum / white[i]);
    }
    const double scaled[3] = {(116 * f[1] - 16) * 655.35, (500 * (f[0] - f[1]) + 128) * 257, (200 * (f[1] - f[2]) + 128) * 257};
    for (int i = 0; i < 3; i++) lab[i] = (uint16_t)rint(fmin(fmax(scaled[i], 0), 65535));
}

/* ---- by name */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c; }

/* The words of a name in small letters, one blank between; a word that is a side is left out, and said. */
static int words_of(char *to, size_t room, const char *name) {
    size_t length = 0;
    int side = -1;
    while (*name) {
        char word[65];
        size_t count = 0;
        for (; lower(*name) >= 'a' && lower(*name) <= 'z'; name++)
            if (count + 1 < sizeof word) word[count++] = lower(*name);
        word[count] = 0;
        int which = 0;
        while (which < 2 && strcmp(word, sides[which].word) != 0) which++;
        if (which < 2) side = which;
        else if (count > 0 && length + count + 2 < room) {
            if (length > 0) to[length++] = ' ';
            memcpy(to + length, word, count);
            length += count;
        }
        if (*name && !(lower(*name) >= 'a' && lower(*name) <= 'z')) {
            if (is_digit(*name) && length + 2 < room) to[length++] = *name; /* "lung 2" is no lung */
            name++;
        }
    }
    to[length] = 0;
    return side;
}

/* "lung" or "lungs" */
static bool is_name(const char *words, const char *name) {
    const size_t length = strlen(name);
    return strncmp(words, name, length) == 0 && (!words[length] || strcmp(words + length, "s") == 0);
}

static void by_name(struct dicom_segment *segment, const char *name) {
    char words[128];
    const int side = words_of(words, sizeof words, name);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!is_name(words, known[i].name)) continue;
        segment->category = categories[known[i].category];
        segment->type = known[i].type;
        if (side >= 0) segment->modifier = sides[side].modifier;
    }
}

static void make_private(struct dicom_segment *segment, const char *name) {
    uint8_t digest[SHA256_BYTES];
    char text[SHA256_TEXT];
    sha256(name, strlen(name), digest);
    sha256_text(digest, text);
    segment->type = (struct dicom_code){.scheme = "99COVER"};
    snprintf(segment->type.value, sizeof segment->type.value, "C%.12s", text);
    memcpy(segment->type.meaning, segment->label, sizeof segment->type.meaning);
    if (!segment->category.value[0]) segment->category = categories[UNKNOWN];
}

/* ---- by JSON */

static cover_status read_part(char *to, size_t room, const json_t *value, const char *class, const char *field) {
    char number[24];
    const char *text = json_is_string(value) ? json_string_value(value) : NULL;
    if (json_is_integer(value)) {
        number_print(number, sizeof number, "%lld", (long long)json_integer_value(value));
        text = number;
    }
    if (!text || !*text)
        return fail(COVER_ERROR_ARGUMENT, "segments: %s of \"%s\" must be [value, scheme, meaning], three texts", field, class);
    if (strlen(text) >= room)
        return fail(COVER_ERROR_ARGUMENT, "segments: %s of \"%s\": \"%s\" has %d characters, at most %d are allowed", field, class,
                    text, (int)strlen(text), (int)room - 1);
    dicom_clean_text(to, room, text);
    if (strcmp(to, text) != 0)
        return fail(COVER_ERROR_ARGUMENT, "segments: %s of \"%s\": \"%s\" holds more than ASCII, or a backslash", field, class,
                    text);
    return COVER_OK;
}

static cover_status read_code(struct dicom_code *code, const json_t *entry, const char *class, const char *field) {
    const json_t *given = json_object_get(entry, field);
    if (!given || json_is_null(given)) return COVER_OK;
    if (!json_is_array(given) || json_array_size(given) != 3)
        return fail(COVER_ERROR_ARGUMENT, "segments: %s of \"%s\" must be [value, scheme, meaning]", field, class);
    TRY(read_part(code->value, sizeof code->value, json_array_get(given, 0), class, field));
    TRY(read_part(code->scheme, sizeof code->scheme, json_array_get(given, 1), class, field));
    TRY(read_part(code->meaning, sizeof code->meaning, json_array_get(given, 2), class, field));
    for (int i = 0; schemes[i]; i++)
        if (strcmp(code->scheme, schemes[i]) == 0) return COVER_OK;
    if (strncmp(code->scheme, "99", 2) == 0) return COVER_OK;
    struct names names = {0};
    for (int i = 0; schemes[i]; i++) names_add(&names, schemes[i]);
    return fail(COVER_ERROR_ARGUMENT,
                "segments: %s of \"%s\" has the unknown scheme \"%s\"; known are %s; private ones begin with 99", field, class,
                code->scheme, names.text);
}

static cover_status read_colour(uint8_t rgb[3], const json_t *entry, const char *class) {
    const json_t *given = json_object_get(entry, "rgb");
    if (!given || json_is_null(given)) return COVER_OK;
    for (size_t i = 0; i < 3; i++) {
        const json_t *value = json_array_get(given, i);
        if (json_array_size(given) != 3 || !json_is_integer(value) || json_integer_value(value) < 0 ||
            json_integer_value(value) > 255)
            return fail(COVER_ERROR_ARGUMENT, "segments: rgb of \"%s\" must be three numbers of 0 to 255", class);
        rgb[i] = (uint8_t)json_integer_value(value);
    }
    return COVER_OK;
}

static cover_status read_entry(struct dicom_segment *segment, const json_t *entry, const char *class) {
    static const char *const fields[] = {"category", "type", "modifier", "region", "rgb", NULL};
    struct dicom_code *const codes[] = {&segment->category, &segment->type, &segment->modifier, &segment->region};
    const char *key;
    json_t *value;
    if (!json_is_object(entry)) return fail(COVER_ERROR_ARGUMENT, "segments: \"%s\" must be an object", class);
    json_object_foreach((json_t *)entry, key, value) {
        struct names names = {0};
        int i = 0;
        for (; fields[i] && strcmp(fields[i], key) != 0; i++) names_add(&names, fields[i]);
        if (!fields[i])
            return fail(COVER_ERROR_ARGUMENT, "segments: \"%s\" has an unknown \"%s\"; known are %s", class, key, names.text);
    }
    /* a type of its own is another thing than the name: nothing is mixed */
    if (json_object_get(entry, "type")) segment->modifier = segment->category = (struct dicom_code){0};
    for (int i = 0; i < 4; i++) TRY(read_code(codes[i], entry, class, fields[i]));
    if (segment->type.value[0] && !segment->category.value[0])
        return fail(COVER_ERROR_ARGUMENT, "segments: \"%s\" has a type but no category", class);
    return read_colour(segment->rgb, entry, class);
}

/* ---- the whole */

static cover_status make_one(struct dicom_segment *segment, cover_context *context, const char *name, const json_t *entry,
                             int index) {
    memcpy(segment->rgb, colours[index % COLOURS], sizeof segment->rgb);
    dicom_clean_text(segment->label, sizeof segment->label, name);
    if (!segment->label[0]) snprintf(segment->label, sizeof segment->label, "class %d", index + 1);
    by_name(segment, name);
    if (entry) TRY(read_entry(segment, entry, name));
    if (!segment->type.value[0]) {
        make_private(segment, name);
        log_line(context, COVER_LOG_WARNING,
                 "class \"%s\" has no code: its segments get the private scheme 99COVER; give it one by the setting segments",
                 name);
    }
    to_lab(segment->lab, segment->rgb);
    return COVER_OK;
}

/* A name that is no class is a slip of the pen, or of another task. */
static void warn_of_strangers(cover_context *context, const char *const *names, int count, const json_t *json) {
    const char *key;
    json_t *entry;
    json_object_foreach((json_t *)json, key, entry) {
        int i = 0;
        while (i < count && strcmp(names[i], key) != 0) i++;
        if (i == count) log_line(context, COVER_LOG_WARNING, "segments: \"%s\" is no class of this task", key);
    }
}

static cover_status make_all(struct dicom_segment *segments, int count, cover_context *context, const char *const *names,
                             const json_t *json) {
    if (names) {
        warn_of_strangers(context, names, count, json);
        for (int i = 0; i < count; i++)
            TRY(make_one(&segments[i], context, names[i], json ? json_object_get(json, names[i]) : NULL, i));
        return COVER_OK;
    }
    const char *name;
    json_t *entry;
    int i = 0;
    json_object_foreach((json_t *)json, name, entry) {
        TRY(make_one(&segments[i], context, name, entry, i));
        i++;
    }
    return COVER_OK;
}

cover_status dicom_segments_make(struct dicom_segment **segments, int *count, cover_context *context, const char *const *names,
                                 int classes, const char *json) {
    json_t *read = NULL;
    cover_status status;
    struct dicom_segment *made = NULL;
    if (!names && !json) return fail(COVER_ERROR_ARGUMENT, "class_names and segments are NULL: one of them names the classes");
    if (json) TRY(json_read(&read, "segments", json, strlen(json)));
    if (read && !json_is_object(read)) GO(fail(COVER_ERROR_ARGUMENT, "segments: an object with a member a class is needed"));
    const int found = names ? classes - 1 : (int)json_object_size(read);
    if (found < 1) GO(fail(COVER_ERROR_ARGUMENT, "there is no class beside the background"));
    made = memory_zero(context, (size_t)found * sizeof *made);
    if (!made) GO(COVER_ERROR_MEMORY);
    GO(make_all(made, found, context, names ? names + 1 : NULL, read));
    *segments = made, *count = found;
    made = NULL;
done:
    memory_free(context, made);
    json_decref(read);
    return status;
}
