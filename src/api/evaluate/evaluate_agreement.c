/* Do two evaluations of the same cases agree?  Pearson's r over the cases' Dice, as test-retest studies report it
 * (include/libcover/evaluate.h).  Reads the JSON of evaluations, or a fine-tuning run's result.json.  Called by
 * the command's `eval --correlate`. */
#include "evaluate.h"

#include "core/base/files.h"
#include "core/base/json.h"

#include <math.h>
#include <string.h>

enum { LARGEST_RESULT = 1 << 30 };

struct side {
    const char *path;
    json_t *root;
    const json_t *figures, *cases; /* members of root */
};

static cover_status read_side(struct side *side, cover_context *context, const char *path) {
    side->path = path;
    TRY(json_file_read(&side->root, context, path, LARGEST_RESULT));
    const json_t *best = json_object_get(side->root, "best"); /* of a fine-tuning run: its best validation */
    side->figures = best ? best : side->root;
    side->cases = json_object_get(side->figures, "cases");
    const char *kind = json_string_value(json_object_get(side->root, best ? "task" : "kind"));
    if (!json_is_array(side->cases) || !kind)
        return fail(COVER_ERROR_FORMAT,
                    "%s: no evaluation; give the JSON of an evaluation of label maps, or a fine-tuning run's result.json", path);
    if (!json_object_get(json_array_get(side->cases, 0), "mean_dice"))
        return fail(COVER_ERROR_ARGUMENT, "%s: an evaluation of %s has no Dice to correlate", path, kind);
    return COVER_OK;
}

static double number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_number_or_nan(value);
}

/* The Dice of a case: of one class, or with NULL their mean. */
static double dice_of(const json_t *one, const char *class_name) {
    return class_name ? number(json_object_get(one, "dice"), class_name) : number(one, "mean_dice");
}

static const char *case_name(const json_t *one) {
    const json_t *name = json_object_get(one, "case");
    return json_string_value(name ? name : json_object_get(one, "name"));
}

/* Cases of both sides in pairs[2 * count], in the order of the first. */
static cover_status pair_up(const json_t **pairs, const struct side sides[2]) {
    const size_t count = json_array_size(sides[0].cases);
    json_t *by_name = json_object(), *one;
    size_t i;
    cover_status status = COVER_OK;
    if (!by_name) return fail(COVER_ERROR_MEMORY, "%s: out of memory", sides[1].path);
    json_array_foreach((json_t *)sides[1].cases, i, one) {
        const char *name = case_name(one);
        if (!name) GO(fail(COVER_ERROR_FORMAT, "%s: case %zu has no name", sides[1].path, i + 1));
        if (json_object_set(by_name, name, one) != 0) GO(fail(COVER_ERROR_MEMORY, "%s: out of memory", sides[1].path));
    }
    json_array_foreach((json_t *)sides[0].cases, i, one) {
        const char *name = case_name(one);
        if (!name) GO(fail(COVER_ERROR_FORMAT, "%s: case %zu has no name", sides[0].path, i + 1));
        pairs[2 * i] = one, pairs[2 * i + 1] = json_object_get(by_name, name);
        if (!pairs[2 * i + 1])
            GO(fail(COVER_ERROR_MISMATCH, "%s: case '%s' of %s is not there; evaluate the same cases", sides[1].path, name,
                    sides[0].path));
    }
    if (json_object_size(by_name) != count)
        GO(fail(COVER_ERROR_MISMATCH, "%s: %zu cases, but %s has %zu; evaluate the same cases", sides[1].path,
                json_object_size(by_name), sides[0].path, count));
done:
    json_decref(by_name);
    return status;
}

struct agreement {
    double r, p, mean[2];
    int64_t count; /* cases with a Dice in both */
};

static void correlate(struct agreement *agreement, double *values, const json_t **pairs, int64_t count, const char *class_name) {
    double *one = values, *other = values + count;
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
        one[kept] = dice_of(pairs[2 * i], class_name), other[kept] = dice_of(pairs[2 * i + 1], class_name);
        if (isfinite(one[kept]) && isfinite(other[kept])) kept++;
    }
    *agreement = (struct agreement){.mean = {mean_known(one, kept), mean_known(other, kept)}, .count = kept};
    pearson(&agreement->r, &agreement->p, one, other, kept);
}

static void add_number(struct text *json, double value) { text_add_number(json, value, 10); }

static void write_agreement(struct text *json, const struct agreement *agreement) {
    text_add(json, "\"count\": %lld, \"r\": ", (long long)agreement->count);
    add_number(json, agreement->r);
    text_add(json, ", \"p\": ");
    add_number(json, agreement->p);
    text_add(json, ", \"mean_dice\": [");
    add_number(json, agreement->mean[0]);
    text_add(json, ", ");
    add_number(json, agreement->mean[1]);
    text_add(json, "], \"mean_difference\": ");
    add_number(json, agreement->mean[1] - agreement->mean[0]);
}

cover_status cover_evaluation_agreement(char **out, cover_context *context, const char *one, const char *other) {
    if (!context || !one || !other || !out) return fail(COVER_ERROR_ARGUMENT, "cover_evaluation_agreement: an argument is NULL");
    struct side sides[2] = {0};
    struct text json = {.context = context};
    const json_t **pairs = NULL;
    double *values = NULL;
    struct agreement agreement;
    cover_status status;
    GO(read_side(&sides[0], context, one));
    GO(read_side(&sides[1], context, other));
    const int64_t count = (int64_t)json_array_size(sides[0].cases);
    pairs = memory_alloc(context, (size_t)(2 * count + 1) * sizeof *pairs);
    values = memory_alloc(context, (size_t)(2 * count + 2) * sizeof *values);
    GO(pairs && values ? COVER_OK : COVER_ERROR_MEMORY);
    GO(pair_up(pairs, sides));
    correlate(&agreement, values, pairs, count, NULL);
    if (agreement.count < 3)
        GO(fail(COVER_ERROR_ARGUMENT, "%s and %s: %lld cases have a Dice in both; a correlation needs at least 3", one, other,
                (long long)agreement.count));
    text_add(&json, "{\"kind\": \"agreement\", ");
    write_agreement(&json, &agreement);
    text_add(&json, ",\n \"classes\": {");
    const char *name;
    json_t *value;
    int written = 0;
    json_object_foreach(json_object_get(sides[0].figures, "classes"), name, value) {
        correlate(&agreement, values, pairs, count, name);
        text_add(&json, written++ ? ",\n  " : "\n  ");
        text_add_json(&json, name);
        text_add(&json, ": {");
        write_agreement(&json, &agreement);
        text_add(&json, "}");
    }
    text_add(&json, "}}\n");
    GO(text_take(&json, out));
done:
    text_free(&json);
    memory_free(context, pairs);
    memory_free(context, values);
    json_decref(sides[0].root);
    json_decref(sides[1].root);
    return status;
}
