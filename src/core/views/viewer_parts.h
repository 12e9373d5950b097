/* What the files of viewer.h share.  Called by viewer.c, two_views.c and partner_views.c. */
#ifndef COVER_VIEWER_PARTS_H
#define COVER_VIEWER_PARTS_H

#include "viewer.h"

struct viewer {
    cover_context *context;
    struct settings settings; /* with the map of the recipe's place */
    struct view_recipe recipe;
    struct grid crop;
    struct sevr *sevr; /* of VIEW_SEVR */
    struct room source, second, field, scratch;
};
size_t two_views_scratch(const struct viewer *viewer, const struct grid *largest, const struct grid *work);
size_t partner_scratch(const struct viewer *viewer, const struct grid *largest, const struct grid *work);
/* A draw of the image, its window of the crop's size at first 0. */
struct draw viewer_draw(const struct viewer *viewer, const struct stored_image *image, const struct chance *chance);

#endif
