/* What labels say, and the order in which they are drawn; how far rows are apart. */
#include "cluster.h"

#include "core/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int64_t clusters_used(int64_t *members, int64_t *largest, const int32_t *label, int64_t count, int64_t clusters) {
    int64_t used = 0;
    *largest = 0;
    memset(members, 0, (size_t)clusters * sizeof *members);
    for (int64_t i = 0; i < count; i++) members[label[i]]++;
    for (int64_t k = 0; k < clusters; k++) {
        used += members[k] > 0;
        *largest = members[k] > *largest ? members[k] : *largest;
    }
    return used;
}

/* ---- the order */

struct pick {
    float key;
    int32_t row;
    int64_t place; /* as drawn: equal keys stay in this order */
};

static int by_key(const void *a, const void *b) {
    const struct pick *x = a, *y = b;
    return x->key != y->key ? (x->key > y->key) - (x->key < y->key) : (x->place > y->place) - (x->place < y->place);
}

/* `each` picks of a cluster's members, which are shuffled where they suffice. */
static void draw_members(struct pick *pick, int32_t *member, int64_t members, int64_t each, const float *draw) {
    for (int64_t j = 0; j < each; j++) {
        if (members <= each) {
            pick[j].row = member[(int64_t)((double)draw[j] * (double)members)];
            continue;
        }
        const int64_t at = j + (int64_t)((double)draw[j] * (double)(members - j));
        const int32_t taken = member[at];
        member[at] = member[j], member[j] = taken;
        pick[j].row = taken;
    }
}

cover_status order_uniform(int32_t *order, cover_context *context, const int32_t *label, int64_t labels, int64_t clusters,
                           int64_t count, const float *draw, const float *key) {
    cover_status status = COVER_ERROR_MEMORY;
    int64_t *members = memory_within(context, (size_t)(2 * clusters) * sizeof *members), largest, used;
    int32_t *member = memory_within(context, (size_t)labels * sizeof *member); /* of one cluster after the other */
    struct pick *pick = NULL;
    if (!members || !member) goto done;
    used = clusters_used(members, &largest, label, labels, clusters);
    const int64_t each = order_picks(count, used);
    pick = memory_within(context, (size_t)(used * each) * sizeof *pick);
    if (!pick) goto done;
    int64_t *next = members + clusters;
    for (int64_t k = 0, before = 0; k < clusters; before += members[k++]) next[k] = before;
    for (int64_t i = 0; i < labels; i++) member[next[label[i]]++] = (int32_t)i;
    for (int64_t k = 0, drawn = 0; k < clusters; k++) {
        if (members[k] == 0) continue;
        draw_members(pick + drawn, member + next[k] - members[k], members[k], each, draw + drawn);
        drawn += each;
    }
    for (int64_t i = 0; i < used * each; i++) pick[i].key = key[i], pick[i].place = i;
    qsort(pick, (size_t)(used * each), sizeof *pick, by_key);
    for (int64_t i = 0; i < count; i++) order[i] = pick[i].row;
    status = COVER_OK;
done:
    memory_free(context, members);
    memory_free(context, member);
    memory_free(context, pick);
    return status;
}

/* ---- figures */

static double entropy(const int64_t *members, int64_t clusters, int64_t count) {
    double sum = 0;
    for (int64_t k = 0; k < clusters; k++)
        if (members[k] > 0) sum -= (double)members[k] / (double)count * log((double)members[k] / (double)count);
    return sum;
}

static int by_value(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The joint entropy from the sorted pairs: a table of all pairs would be clusters squared. */
static double joint_entropy(int64_t *pair, const int32_t *a, const int32_t *b, int64_t count, int64_t clusters) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) pair[i] = a[i] * clusters + b[i];
    qsort(pair, (size_t)count, sizeof *pair, by_value);
    for (int64_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && pair[end] == pair[i];) end++;
        sum -= (double)(end - i) / (double)count * log((double)(end - i) / (double)count);
    }
    return sum;
}

cover_status mutual_information(double *information, cover_context *context, const int32_t *a, const int32_t *b, int64_t count,
                                int64_t clusters) {
    int64_t *members = memory_within(context, (size_t)(clusters + count) * sizeof *members), largest;
    if (!members) return COVER_ERROR_MEMORY;
    clusters_used(members, &largest, a, count, clusters);
    const double of_a = entropy(members, clusters, count);
    clusters_used(members, &largest, b, count, clusters);
    const double of_b = entropy(members, clusters, count), of_both = joint_entropy(members + clusters, a, b, count, clusters);
    *information = of_a + of_b > 0 ? 2 * (of_a + of_b - of_both) / (of_a + of_b) : 1;
    memory_free(context, members);
    return COVER_OK;
}

cover_status spread(double *result, cover_context *context, const float *rows, int64_t count, int64_t channels) {
    double *length = memory_within(context, (size_t)(count + 2 * channels) * sizeof *length), sum = 0;
    if (!length) return COVER_ERROR_MEMORY;
    double *mean = length + count, *square = mean + channels;
    memset(length, 0, (size_t)(count + 2 * channels) * sizeof *length);
    for (int64_t i = 0; i < count; i++) {
        const float *row = rows + i * channels;
        for (int64_t c = 0; c < channels; c++) length[i] += (double)row[c] * (double)row[c];
        length[i] = fmax(sqrt(length[i]), 1e-12);
        for (int64_t c = 0; c < channels; c++) mean[c] += (double)row[c] / length[i] / (double)count;
    }
    for (int64_t i = 0; i < count; i++)
        for (int64_t c = 0; c < channels; c++) {
            const double away = (double)rows[i * channels + c] / length[i] - mean[c];
            square[c] += away * away;
        }
    for (int64_t c = 0; c < channels; c++) sum += sqrt(square[c] / (double)count);
    *result = sum / sqrt((double)channels);
    memory_free(context, length);
    return COVER_OK;
}
