/* HD95, the 95 % surface distance between two objects in mm, over an exact distance transform (Felzenszwalb and
 * Huttenlocher, "Distance Transforms of Sampled Functions", 2012).  metrics.h says what is measured.  Only the box that
 * holds both objects is looked at.  Called by evaluation, a class at a time. */
#include "metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the distance transform: along one axis at a time, min over q of (x - q)^2 + f(q) */

struct parabolas {   /* of one line; x and q count pixels */
    double *height;  /* f(q) */
    double *begins;  /* where the envelope's k-th parabola becomes the lowest */
    int64_t *vertex; /* its q */
};

/* Where the parabola of q > p becomes lower than that of p. */
static double crossing(const double *height, int64_t p, int64_t q, double square) {
    return ((height[q] - height[p]) / square + (double)(q * q - p * p)) / (2.0 * (double)(q - p));
}

/* `square`: of the spacing along the line. */
static void transform_line(float *line, int64_t stride, int64_t count, double square, const struct parabolas *use) {
    int64_t last = -1;
    for (int64_t q = 0; q < count; q++) {
        use->height[q] = line[q * stride];
        if (isinf(use->height[q])) continue;
        double from = -INFINITY;
        for (; last >= 0; last--) {
            from = crossing(use->height, use->vertex[last], q, square);
            if (from > use->begins[last]) break;
        }
        last++;
        use->vertex[last] = q, use->begins[last] = last ? from : -INFINITY;
    }
    if (last < 0) return; /* nothing on this line: it stays at infinity */
    for (int64_t x = 0, k = 0; x < count; x++) {
        while (k < last && use->begins[k + 1] < (double)x) k++;
        const double away = (double)(x - use->vertex[k]);
        line[x * stride] = (float)(square * away * away + use->height[use->vertex[k]]);
    }
}

cover_status distance_transform(cover_context *context, float *squared, const struct grid *grid, const double spacing_mm[3]) {
    const int64_t *size = grid->size, stride[3] = {size[1] * size[2], size[2], 1};
    int64_t longest = 1;
    for (int axis = 0; axis < 3; axis++)
        if (size[axis] > longest) longest = size[axis];
    struct parabolas use = {.height = memory_alloc(context, (size_t)longest * sizeof *use.height),
                            .begins = memory_alloc(context, (size_t)longest * sizeof *use.begins),
                            .vertex = memory_alloc(context, (size_t)longest * sizeof *use.vertex)};
    const cover_status status = use.height && use.begins && use.vertex ? COVER_OK : COVER_ERROR_MEMORY;
    for (int axis = 2; axis >= 0 && status == COVER_OK; axis--) {
        const int outer = axis == 0 ? 1 : 0, inner = axis == 2 ? 1 : 2;
        if (size[axis] == 1) continue;
        for (int64_t i = 0; i < size[outer]; i++)
            for (int64_t j = 0; j < size[inner]; j++)
                transform_line(squared + i * stride[outer] + j * stride[inner], stride[axis], size[axis],
                               spacing_mm[axis] * spacing_mm[axis], &use);
    }
    memory_free(context, use.height);
    memory_free(context, use.begins);
    memory_free(context, use.vertex);
    return status;
}

/* ---- surfaces, inside the box of both objects */

struct box {
    int64_t low[3], high[3]; /* of the whole grid, both inside */
    bool found[2];           /* in the prediction, in the truth */
};
static int64_t box_size(const struct box *box, int axis) { return box->high[axis] - box->low[axis] + 1; }

/* One object in its own array over the box. */
struct object {
    bool *surface;
    int64_t surface_pixels;
    float *squared; /* distance to the surface */
};

static void widen(struct box *box, int map, const int64_t at[3]) {
    if (!box->found[0] && !box->found[1]) memcpy(box->low, at, sizeof box->low), memcpy(box->high, at, sizeof box->high);
    for (int a = 0; a < 3; a++) {
        if (at[a] < box->low[a]) box->low[a] = at[a];
        if (at[a] > box->high[a]) box->high[a] = at[a];
    }
    box->found[map] = true;
}

/* Of the labels first .. first + count - 1, in one pass over the image. */
static void find_boxes(struct box *boxes, int first, int count, const struct labels maps[2], const struct grid *grid) {
    const int64_t *size = grid->size;
    int64_t at[3], pixel = 0;
    for (at[0] = 0; at[0] < size[0]; at[0]++)
        for (at[1] = 0; at[1] < size[1]; at[1]++)
            for (at[2] = 0; at[2] < size[2]; at[2]++, pixel++)
                for (int map = 0; map < 2; map++) {
                    const int label = label_at(&maps[map], pixel) - first;
                    if (label >= 0 && label < count) widen(&boxes[label], map, at);
                }
}

/* What lies outside the box is outside both objects, so the box may stand for the image here. */
static void find_surface(struct object *object, const struct labels *map, int label, const struct box *box,
                         const struct grid *grid) {
    const int64_t *size = grid->size, stride[3] = {size[1] * size[2], size[2], 1};
    int64_t out = 0, at[3];
    object->surface_pixels = 0;
    for (at[0] = box->low[0]; at[0] <= box->high[0]; at[0]++)
        for (at[1] = box->low[1]; at[1] <= box->high[1]; at[1]++)
            for (at[2] = box->low[2]; at[2] <= box->high[2]; at[2]++, out++) {
                const int64_t pixel = at[0] * stride[0] + at[1] * stride[1] + at[2];
                bool surface = false;
                if (label_at(map, pixel) == label)
                    for (int a = 3 - grid->ndim; a < 3 && !surface; a++)
                        surface = at[a] == 0 || at[a] == size[a] - 1 || label_at(map, pixel - stride[a]) != label ||
                                  label_at(map, pixel + stride[a]) != label;
                object->surface[out] = surface, object->surface_pixels += surface;
                object->squared[out] = surface ? 0 : INFINITY;
            }
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The 95th percentile of the distances from one surface to the other. */
static cover_status one_way(double *mm, cover_context *context, const struct object *from, const struct object *to,
                            int64_t pixels) {
    double *distance = memory_alloc(context, (size_t)from->surface_pixels * sizeof *distance);
    if (!distance) return COVER_ERROR_MEMORY;
    int64_t count = 0;
    for (int64_t i = 0; i < pixels; i++)
        if (from->surface[i]) distance[count++] = sqrt((double)to->squared[i]);
    qsort(distance, (size_t)count, sizeof *distance, ascending);
    *mm = percentile_sorted(distance, count, 0.95);
    memory_free(context, distance);
    return COVER_OK;
}

static cover_status measure(double *mm, cover_context *context, const struct labels maps[2], int label, const struct box *box,
                            const struct grid *grid, const double spacing_mm[3]) {
    const struct grid inside = {.ndim = grid->ndim, .size = {box_size(box, 0), box_size(box, 1), box_size(box, 2)}};
    const int64_t pixels = grid_pixels(&inside);
    struct object object[2] = {0};
    double way[2];
    cover_status status;
    for (int i = 0; i < 2; i++) {
        object[i].surface = memory_alloc(context, (size_t)pixels * sizeof *object[i].surface);
        object[i].squared = memory_alloc(context, (size_t)pixels * sizeof *object[i].squared);
        GO(object[i].surface && object[i].squared ? COVER_OK : COVER_ERROR_MEMORY);
        find_surface(&object[i], &maps[i], label, box, grid);
        GO(distance_transform(context, object[i].squared, &inside, spacing_mm));
    }
    GO(one_way(&way[0], context, &object[0], &object[1], pixels));
    GO(one_way(&way[1], context, &object[1], &object[0], pixels));
    *mm = fmax(way[0], way[1]);
done:
    for (int i = 0; i < 2; i++) {
        memory_free(context, object[i].surface);
        memory_free(context, object[i].squared);
    }
    return status;
}

cover_status surface_hd95(double *mm, cover_context *context, struct labels prediction, struct labels truth, int first, int count,
                          const struct grid *grid, const double spacing_mm[3]) {
    const struct labels maps[2] = {prediction, truth};
    struct box *boxes = memory_zero(context, (size_t)count * sizeof *boxes);
    if (!boxes) return COVER_ERROR_MEMORY;
    cover_status status = COVER_OK;
    find_boxes(boxes, first, count, maps, grid);
    for (int i = 0; i < count && status == COVER_OK; i++) {
        const struct box *box = &boxes[i];
        if (box->found[0] && box->found[1]) status = measure(&mm[i], context, maps, first + i, box, grid, spacing_mm);
        else mm[i] = box->found[0] || box->found[1] ? INFINITY : NAN;
    }
    memory_free(context, boxes);
    return status;
}
