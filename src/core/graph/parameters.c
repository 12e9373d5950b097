/* The parameter table and fresh weights.  Called by graph building and by the trainer. */
#include "parameters.h"

#include "core/base/philox.h"

#include <stdio.h>
#include <string.h>

int parameters_find(const struct parameters *parameters, const char *name) {
    for (int i = 0; i < parameters->count; i++)
        if (strcmp(parameters->rows[i].name, name) == 0) return i;
    return -1;
}

static cover_status grow(struct parameters *parameters) {
    if (parameters->count < parameters->capacity) return COVER_OK;
    int capacity = parameters->capacity ? 2 * parameters->capacity : 64;
    struct parameter *rows = memory_zero(parameters->context, (size_t)capacity * sizeof *rows);
    if (!rows) return COVER_ERROR_MEMORY;
    if (parameters->count) memcpy(rows, parameters->rows, (size_t)parameters->count * sizeof *rows);
    memory_free(parameters->context, parameters->rows);
    parameters->rows = rows, parameters->capacity = capacity;
    return COVER_OK;
}

static int64_t padded_floats(const struct parameter *parameter) {
    return (parameter->count + PARAMETER_ALIGNMENT - 1) / PARAMETER_ALIGNMENT * PARAMETER_ALIGNMENT;
}

cover_status parameters_add(struct parameters *parameters, const char *name, int rank, const int64_t *shape, int64_t fan_in,
                            enum parameter_init init, int *row) {
    int found = parameters_find(parameters, name);
    if (strlen(name) >= PARAMETER_NAME_BYTES)
        return fail(COVER_ERROR_UNSUPPORTED, "%s...: a parameter's name has at most %d characters", name, PARAMETER_NAME_BYTES - 1);
    if (found >= 0) {
        const struct parameter *known = &parameters->rows[found];
        if (known->rank != rank || memcmp(known->shape, shape, (size_t)rank * sizeof *shape) != 0)
            return fail(COVER_ERROR_SHAPE, "%s: is used with two different shapes", name);
        *row = found;
        return COVER_OK;
    }
    if (!parameters->draft && !parameters->hold && parameters->trained < parameters->floats)
        return fail(COVER_ERROR_INTERNAL, "%s: is trained, but comes behind parameters that are held", name);
    TRY(grow(parameters));
    struct parameter *fresh = &parameters->rows[parameters->count];
    *fresh = (struct parameter){
        .rank = rank, .count = 1, .offset = parameters->floats, .fan_in = fan_in, .init = init, .held = parameters->hold};
    snprintf(fresh->name, sizeof fresh->name, "%s", name);
    for (int i = 0; i < rank; i++) {
        fresh->shape[i] = shape[i];
        if (shape[i] < 1 || !multiply(fresh->count, shape[i], &fresh->count) || fresh->count > INT64_C(1) << 40)
            return fail(COVER_ERROR_SHAPE, "%s: more than 2^40 values, or none", name);
    }
    parameters->floats += padded_floats(fresh);
    if (!parameters->hold) parameters->trained = parameters->floats;
    parameters->total += fresh->count;
    *row = parameters->count++;
    return COVER_OK;
}

bool parameter_trained(const struct parameters *parameters, int row) { return !parameters->rows[row].held; }

cover_status parameters_order(struct parameters *parameters) {
    struct parameter *rows = memory_zero(parameters->context, (size_t)parameters->capacity * sizeof *rows);
    if (!rows) return COVER_ERROR_MEMORY;
    int count = 0;
    int64_t floats = 0;
    for (int held = 0; held < 2; held++) {
        for (int i = 0; i < parameters->count; i++) {
            if (parameters->rows[i].held != held) continue;
            rows[count] = parameters->rows[i];
            rows[count].offset = floats;
            floats += padded_floats(&rows[count++]);
        }
        if (!held) parameters->trained = floats;
    }
    memory_free(parameters->context, parameters->rows);
    parameters->rows = rows, parameters->draft = parameters->hold = false;
    return COVER_OK;
}

void parameters_free(struct parameters *parameters) {
    if (parameters->context) memory_free(parameters->context, parameters->rows);
    *parameters = (struct parameters){.context = parameters->context};
}

static void initialise(float *values, const struct parameter *parameter, uint32_t row, uint64_t seed) {
    float bound = 1.0f / sqrtf((float)parameter->fan_in), sigma = sqrtf(2.0f / (float)parameter->fan_in);
    for (int64_t i = 0; i < parameter->count; i += 4) {
        struct random4 r = philox(seed, (uint32_t)(i / 4), RANDOM_INIT_WEIGHTS, row, (uint32_t)(i >> 34));
        float four[4];
        normal2(r.word[0], r.word[1], four), normal2(r.word[2], r.word[3], four + 2);
        for (int64_t k = 0; k < 4 && i + k < parameter->count; k++) switch (parameter->init) {
            case INIT_ZERO:
                values[i + k] = 0;
                break;
            case INIT_ONE:
                values[i + k] = 1;
                break;
            case INIT_KAIMING_NORMAL:
                values[i + k] = sigma * four[k];
                break;
            case INIT_UNIFORM_FAN:
                values[i + k] = bound * (2.0f * uniform01(r.word[k]) - 1.0f);
                break;
            }
    }
}

void parameters_initialise(const struct parameters *parameters, float *flat, uint64_t seed) {
    memset(flat, 0, (size_t)parameters->floats * sizeof *flat);
    for (int row = 0; row < parameters->count; row++)
        initialise(flat + parameters->rows[row].offset, &parameters->rows[row], (uint32_t)row, seed);
}
