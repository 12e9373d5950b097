/* See orient.h.  Codes are those of nibabel (aff2axcodes). */
#include "orient.h"

#include "core/base/memory.h"

#include <math.h>
#include <string.h>

static const char letters[3][2] = {{'L', 'R'}, {'P', 'A'}, {'I', 'S'}}; /* of an axis of the world: its negative and positive end */

bool orientation_of(const struct image *image, char code[ORIENTATION_BYTES]) {
    double cosine[3][3]; /* of axis of the world, of the image */
    bool taken_row[3] = {false}, taken[3] = {false};
    if (!image_place_known(image)) return false;
    for (int axis = 0; axis < 3; axis++) {
        const double *affine = image->affine;
        const double length = hypot(hypot(affine[axis], affine[4 + axis]), affine[8 + axis]);
        for (int row = 0; row < 3; row++) cosine[row][axis] = length > 0 ? affine[4 * row + axis] / length : 0;
    }
    memset(code, 0, ORIENTATION_BYTES);
    for (int step = 0; step < 3; step++) { /* the closest pair that is left */
        int row = -1, axis = -1;
        for (int r = 0; r < 3; r++)
            for (int a = 0; a < 3; a++)
                if (!taken_row[r] && !taken[a] && (row < 0 || fabs(cosine[r][a]) > fabs(cosine[row][axis]))) row = r, axis = a;
        taken_row[row] = taken[axis] = true;
        code[axis] = letters[row][cosine[row][axis] >= 0];
    }
    return true;
}

/* Which axis of the world a letter belongs to; -1 = none. */
static int row_of(char letter) {
    for (int row = 0; row < 3; row++)
        if (letter && (letter == letters[row][0] || letter == letters[row][1])) return row;
    return -1;
}

bool orientation_known(const char *code) {
    unsigned seen = 0;
    for (int i = 0; i < 3; i++) {
        if (row_of(code[i]) < 0) return false;
        seen |= 1u << row_of(code[i]);
    }
    return seen == 7 && !code[3];
}

struct turn turn_to(const char *from, const char *to) {
    struct turn turn = {{0, 1, 2}, {false}};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            if (row_of(from[j]) == row_of(to[i])) turn.axis[i] = j, turn.flip[i] = from[j] != to[i];
    return turn;
}

struct turn turn_back(const struct turn *turn) {
    struct turn back;
    for (int i = 0; i < 3; i++) back.axis[turn->axis[i]] = i, back.flip[turn->axis[i]] = turn->flip[i];
    return back;
}

bool turn_is_none(const struct turn *turn) {
    for (int i = 0; i < 3; i++)
        if (turn->axis[i] != i || turn->flip[i]) return false;
    return true;
}

void image_turn_geometry(struct image *image, const struct turn *turn) {
    const struct image old = *image;
    const bool known = image_place_known(image);
    for (int i = 0; i < 3; i++) { /* sizes and spacings are z, y, x */
        const int axis = turn->axis[i];
        image->size[2 - i] = old.size[2 - axis];
        image->spacing_mm[2 - i] = old.spacing_mm[2 - axis];
        for (int row = 0; row < 3 && known; row++) {
            const double step = old.affine[4 * row + axis];
            image->affine[4 * row + i] = turn->flip[i] ? 0 - step : step; /* no -0: what is equal has equal bytes */
            if (turn->flip[i]) image->affine[4 * row + 3] += step * (double)(old.size[2 - axis] - 1);
        }
    }
}

cover_status image_turn(struct image *image, cover_context *context, const struct turn *turn) {
    const size_t pixel = cover_dtype_bytes(image->dtype) * (size_t)image->channels;
    const int64_t *old = image->size, stride[3] = {1, old[2], old[1] * old[2]};
    if (turn_is_none(turn)) return COVER_OK;
    if (image->dims == 2 && turn->axis[2] != 2)
        return fail(COVER_ERROR_UNSUPPORTED, "a slice of another plane than the orientation that was asked for; pack it apart");
    struct image turned = *image;
    image_turn_geometry(&turned, turn);
    char *to = turned.data = memory_within(context, (size_t)(old[0] * old[1] * old[2]) * pixel);
    if (!to) return COVER_ERROR_MEMORY;
    int64_t start = 0, step[3]; /* in the old image, of the new one's x, y, z */
    for (int i = 0; i < 3; i++) {
        step[i] = turn->flip[i] ? -stride[turn->axis[i]] : stride[turn->axis[i]];
        if (turn->flip[i]) start += stride[turn->axis[i]] * (old[2 - turn->axis[i]] - 1);
    }
    for (int64_t z = 0; z < turned.size[0]; z++)
        for (int64_t y = 0; y < turned.size[1]; y++) {
            const int64_t row = start + z * step[2] + y * step[1];
            for (int64_t x = 0; x < turned.size[2]; x++, to += pixel)
                memcpy(to, (const char *)image->data + (size_t)(row + x * step[0]) * pixel, pixel);
        }
    memory_free(context, image->data);
    *image = turned;
    return COVER_OK;
}
