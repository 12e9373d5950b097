/* Which way the axes of an image run in the world, and images brought to other axes: pixels change their places, none its value or
 * its place in the world.  Called by the image rules, pack and prediction. */
#ifndef COVER_ORIENT_H
#define COVER_ORIENT_H

#include "image.h"

enum { ORIENTATION_BYTES = 4 };

/* "RAS": x leads to the right, y to the front, z up, each by the axis of the world that it is closest to; false when the image does not
 * say where it lies. */
bool orientation_of(const struct image *image, char code[ORIENTATION_BYTES]);
bool orientation_known(const char *code); /* R or L, A or P, S or I, once each, in any order */

/* Axis i (x, y, z) of the result is axis[i] of the image, backwards where flip. */
struct turn {
    int axis[3];
    bool flip[3];
};
struct turn turn_to(const char *from, const char *to);
struct turn turn_back(const struct turn *turn);
bool turn_is_none(const struct turn *turn);
/* Size, spacing and affine alone; all of it.  On failure the image is as it was. */
void image_turn_geometry(struct image *image, const struct turn *turn);
cover_status image_turn(struct image *image, cover_context *context, const struct turn *turn);

#endif
