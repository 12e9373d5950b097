/* What the command says when something went wrong, and the nearest name to a mistyped one. */
#include "command.h"

#include "core/base/shown.h"

#include <libcover/ranks.h>

#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- failures as JSON */

static bool as_json, answered;

void answer_as_json(bool wanted) { as_json = wanted; }
bool answer_begin(void) {
    const bool first = !answered;
    answered = true;
    return first;
}

/* The first failure is the one that others follow from. */
static void answer_error(cover_status status, const char *message, json_t *bad) {
    if (!as_json || !answer_begin()) return;
    json_t *object =
        json_pack("{s:{s:s, s:s}, s:O*}", "error", "status", cover_status_name(status), "message", message, "bad", bad);
    if (!object || json_dumpf(object, stdout, 0) != 0) printf("{\"error\": {\"status\": \"%s\"}}", cover_status_name(status));
    putchar('\n');
    json_decref(object);
}

void *need(void *memory) {
    if (memory) return memory;
    fputs("cover: out of memory\n", stderr);
    if (as_json && !answered) puts("{\"error\": {\"status\": \"COVER_ERROR_MEMORY\", \"message\": \"out of memory\"}}");
    exit(EXIT_FAILED);
}

/* A word as a shell takes it; what would steer the terminal as $'\x1B', which bash, zsh and ksh know. */
void say_word(FILE *stream, const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=,:+@%";
    if (*word && !word[strspn(word, plain)]) {
        fputs(word, stream);
        return;
    }
    bool steers = false;
    for (const unsigned char *c = (const unsigned char *)word; *c && !steers;) {
        const size_t length = utf8_length(c);
        steers = length == 0 || character_steers(c, length);
        c += length;
    }
    fputs(steers ? "$'" : "'", stream);
    for (; *word && !steers; word++) fputs(*word == '\'' ? "'\\''" : (char[2]){*word, 0}, stream);
    for (; *word; word++) {
        const unsigned char c = (unsigned char)*word;
        if (c == '\'' || c == '\\') fprintf(stream, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f) fprintf(stream, "\\x%02X", c);
        else fputc(c, stream);
    }
    fputc('\'', stream);
}

void say_to(FILE *stream, const char *format, ...) {
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    shown_print_list(text, sizeof text, format, arguments);
    va_end(arguments);
    fputs(text, stream);
}

int usage_error(const struct verb *verb, const char *format, ...) {
    if (ranks_expected() > 0) return EXIT_USAGE; /* rank 0 has the same words, and says so */
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    shown_print_list(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *space = verb ? " " : "", *name = verb ? verb->name : "";
    fprintf(stderr, "cover%s%s: %s\n'cover%s%s -h' shows how it is used\n", space, name, text, space, name);
    answer_error(COVER_ERROR_ARGUMENT, text, NULL);
    return EXIT_USAGE;
}

int refuse(const struct verb *verb, cover_status status, const char *format, ...) {
    if (ranks_expected() > 0) return EXIT_FAILED;
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    shown_print_list(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "cover %s: %s\n", verb->name, text);
    answer_error(status, text, NULL);
    return EXIT_FAILED;
}

static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text), bytes = strlen(end);
    return length >= bytes && strcmp(text + length - bytes, end) == 0;
}

int failed(struct session *session, cover_status status) {
    progress_end(&session->progress);
    if (!cover_context_speaks(session->context)) return status == COVER_ERROR_CANCELLED ? EXIT_INTERRUPTED : EXIT_FAILED;
    const char *text = library_words(session->verb), *name = session->verb->name;
    size_t length = strlen(name);
    if (strncmp(text, name, length) == 0 && strncmp(text + length, ": ", 2) == 0) text += length + 2;
    if (!*text) text = cover_status_name(status);
    answer_error(status, text, session->bad);
    const bool interrupted = status == COVER_ERROR_CANCELLED, more = !interrupted || !ends_with(text, "cancelled");
    fprintf(stderr, "cover %s: %s%s%s\n", name, interrupted ? "interrupted" : "", interrupted && more ? "; " : "",
            more ? text : "");
    return interrupted ? EXIT_INTERRUPTED : EXIT_FAILED;
}

/* Edit distance with swaps of neighbours (optimal string alignment). */
static int distance(const char *a, const char *b) {
    enum { LONGEST = 63 };
    int rows = (int)strlen(a), columns = (int)strlen(b), cost[LONGEST + 1][LONGEST + 1];
    if (rows > LONGEST || columns > LONGEST) return LONGEST;
    for (int i = 0; i <= rows; i++) {
        for (int j = 0; j <= columns; j++) {
            if (i == 0 || j == 0) {
                cost[i][j] = i + j;
                continue;
            }
            int best = cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (cost[i - 1][j] + 1 < best) best = cost[i - 1][j] + 1;
            if (cost[i][j - 1] + 1 < best) best = cost[i][j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && cost[i - 2][j - 2] + 1 < best) best = cost[i - 2][j - 2] + 1;
            cost[i][j] = best;
        }
    }
    return cost[rows][columns];
}

void nearest_offer(struct nearest *nearest, const char *candidate) {
    size_t length = strlen(nearest->word);
    int away = distance(nearest->word, candidate), near = 1 + (int)length / 4;
    /* a beginning of at least three letters is near, too: --resu, --checkpoint */
    if (length >= 3 && strncmp(nearest->word, candidate, length) == 0) away = 1;
    if (away > near || (*nearest->best && away >= nearest->distance)) return;
    snprintf(nearest->best, sizeof nearest->best, "%s", candidate);
    nearest->distance = away;
}
