/* K-means (Lloyd 1982) with clusters that are never left empty.  Distances are sums of (x - c)^2 in float, as two centroids may be near
 * each other; means and the objective are sums in double, in the rows' order.  Threads share out rows. */
#include "cluster.h"

#include "core/base/memory.h"
#include "core/base/threads.h"

#include <math.h>
#include <string.h>

/* Rows a job; rows and centroids whose distances are computed together; channels of a partial sum. */
enum { BLOCK = 64, ROWS = 2, WIDTH = 16, PART = 64 };
static const float TILT = 1.0f / 1024;

struct clustering {
    cover_context *context;
    struct pool *pool;
    const float *rows;
    int64_t count, dims, clusters;
    float *centroid; /* (clusters, dims) */
    float *packed;   /* by groups of WIDTH centroids: (groups, dims, WIDTH), zeros behind the last */
    float *distance; /* of each row to the nearest, squared */
    int32_t *label;
    double *sum;     /* (clusters, dims) */
    double *members; /* halves are possible */
};

static int64_t groups(const struct clustering *c) { return (c->clusters + WIDTH - 1) / WIDTH; }

static void pack(struct clustering *c) {
    for (int64_t k = 0; k < c->clusters; k++)
        for (int64_t d = 0; d < c->dims; d++)
            c->packed[(k / WIDTH * c->dims + d) * WIDTH + k % WIDTH] = c->centroid[k * c->dims + d];
}

/* Squared distances of two rows to a group's centroids. */
static void distances(float out[ROWS][WIDTH], const float *a, const float *b, const float *group, int64_t dims) {
    memset(out, 0, ROWS * sizeof *out);
    for (int64_t from = 0; from < dims; from += PART) {
        const int64_t end = from + PART < dims ? from + PART : dims;
        float x[WIDTH] = {0}, y[WIDTH] = {0};
        for (int64_t d = from; d < end; d++)
            for (int k = 0; k < WIDTH; k++) {
                const float to = group[d * WIDTH + k];
                x[k] += (a[d] - to) * (a[d] - to);
                y[k] += (b[d] - to) * (b[d] - to);
            }
        for (int k = 0; k < WIDTH; k++) out[0][k] += x[k], out[1][k] += y[k];
    }
}

static void assign_block(void *data, int64_t block) {
    const struct clustering *c = data;
    const int64_t end = (block + 1) * BLOCK < c->count ? (block + 1) * BLOCK : c->count;
    for (int64_t i = block * BLOCK; i < end; i++) c->distance[i] = INFINITY, c->label[i] = 0;
    for (int64_t g = 0; g < groups(c) && !cancelled(c->context); g++) {
        const int64_t first = g * WIDTH, size = first + WIDTH < c->clusters ? WIDTH : c->clusters - first;
        for (int64_t i = block * BLOCK; i < end; i += ROWS) {
            const float *row = c->rows + i * c->dims;
            float to[ROWS][WIDTH];
            distances(to, row, i + 1 < end ? row + c->dims : row, c->packed + first * c->dims, c->dims);
            for (int64_t r = i; r < i + ROWS && r < end; r++)
                for (int64_t k = 0; k < size; k++)
                    if (to[r - i][k] < c->distance[r]) c->distance[r] = to[r - i][k], c->label[r] = (int32_t)(first + k);
        }
    }
}

static cover_status assign(struct clustering *c) {
    pack(c);
    pool_each(c->pool, (c->count + BLOCK - 1) / BLOCK, assign_block, c);
    return cancelled(c->context) ? fail(COVER_ERROR_CANCELLED, "k-means: cancelled") : COVER_OK;
}

/* Both of them get the mean of the larger, apart by a trace. */
static void split(struct clustering *c, int64_t empty) {
    int64_t donor = 0;
    for (int64_t k = 1; k < c->clusters; k++) donor = c->members[k] > c->members[donor] ? k : donor;
    float *to = c->centroid + empty * c->dims, *from = c->centroid + donor * c->dims;
    for (int64_t d = 0; d < c->dims; d++) {
        const float tilt = d % 2 ? -TILT : TILT, mean = from[d];
        to[d] = mean * (1 + tilt), from[d] = mean * (1 - tilt);
    }
    c->members[empty] = c->members[donor] /= 2;
}

static void move(struct clustering *c) {
    memset(c->sum, 0, (size_t)(c->clusters * (c->dims + 1)) * sizeof *c->sum); /* and members */
    for (int64_t i = 0; i < c->count; i++) {
        const float *row = c->rows + i * c->dims;
        double *sum = c->sum + c->label[i] * c->dims;
        for (int64_t d = 0; d < c->dims; d++) sum[d] += (double)row[d];
        c->members[c->label[i]]++;
    }
    for (int64_t k = 0; k < c->clusters; k++)
        for (int64_t d = 0; d < c->dims && c->members[k] > 0; d++)
            c->centroid[k * c->dims + d] = (float)(c->sum[k * c->dims + d] / c->members[k]);
    for (int64_t k = 0; k < c->clusters; k++)
        if (c->members[k] == 0) split(c, k);
}

cover_status kmeans(int32_t *label, float *centroid, double *objective, cover_context *context, const float *rows, int64_t count,
                    int64_t dims, int64_t clusters, int iterations) {
    struct clustering c = {
        .context = context, .rows = rows, .count = count, .dims = dims, .clusters = clusters, .centroid = centroid, .label = label};
    cover_status status = COVER_ERROR_MEMORY;
    const size_t packed = (size_t)(groups(&c) * dims * WIDTH) * sizeof *c.packed;
    c.packed = memory_within(context, packed);
    c.distance = memory_within(context, (size_t)count * sizeof *c.distance);
    c.sum = memory_within(context, (size_t)(clusters * (dims + 1)) * sizeof *c.sum);
    if (!c.packed || !c.distance || !c.sum) goto done;
    c.members = c.sum + clusters * dims;
    memset(c.packed, 0, packed);
    GO(context_pool(context, &c.pool));
    for (int i = 0; i < iterations; i++) {
        GO(assign(&c));
        objective[i] = 0;
        for (int64_t r = 0; r < count; r++) objective[i] += (double)c.distance[r];
        move(&c);
    }
    status = assign(&c);
done:
    memory_free(context, c.packed);
    memory_free(context, c.distance);
    memory_free(context, c.sum);
    return status;
}
