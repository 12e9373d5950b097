/* The adversary of in-painting: a small network that tells images from such with restored pixels, and what both lose.  Called by
 * inpainting.c. */
#ifndef COVER_OBJECTIVE_ADVERSARY_H
#define COVER_OBJECTIVE_ADVERSARY_H

#include "networks.h"

struct adversary {
    int image, restored; /* of the sample graph: an image, the same with the prediction in its holes */
    int real, fake;      /* inputs of one pixel: a 1, a 0 */
    float weight;        /* of what the network loses by it */
};
/* Its terms are appended to the model; its losses are what is returned, none where not given.  Its parameters, discriminator.*, have a rate of
 * their own. */
enum { ADVERSARY_LOSSES = 3 };
void adversary_add(struct model *model, const struct adversary *adversary, const struct setting_list *widths,
                   int losses[ADVERSARY_LOSSES]);
/* Widths that can be normalised, on a crop that can be pooled as often: COVER_ERROR_ARGUMENT says what would do. */
cover_status adversary_fits(const struct setting_list *widths, const struct grid *crop);

#endif
