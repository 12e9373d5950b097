/* What happens to an image between its file and the network: channels, clipping, resampling, as a value that is kept
 * (in a dataset's "about", in a task's weights) and applied again to new images (docs/dataset.md, "Preparation").
 * Called by pack, which does nothing else to pixels, and by prediction. */
#ifndef COVER_IMAGE_RULES_H
#define COVER_IMAGE_RULES_H

#include "orient.h"

#include <jansson.h>
#include <libcover/dataset.h>

struct image_rules {
    int dims;             /* 2 or 3; 0 = what the file is */
    int channels;         /* 1 grey, 3 RGB; 0 = what the file is */
    int64_t size[3];      /* D, H, W; 0 = keep */
    double spacing_mm[3]; /* D, H, W; 0 = keep; never together with size */
    double window[2];     /* clipped to when [1] > [0] */
    double percentile[2]; /* of each image's own values, clipped to when [1] > [0]; never together with window */
    char orientation[7];  /* "RAS": of all images that say where they lie; "" = they differ, or none does */
    bool orient;          /* images are brought to it */
    char spacing_at[16];  /* of radiographs of DICOM: where their spacing was measured, "detector"; "" = they differ, or are none */
};
_Static_assert(sizeof(struct image_rules) == 2 * 4 + 3 * 8 + 7 * 8 + 8 + 16, "no padding: pack hashes the bytes");

void image_rules_of_options(struct image_rules *rules, const cover_pack_options *options);
/* COVER_ERROR_ARGUMENT when a value is out of range or two exclude each other; the text begins with "where: ". */
cover_status image_rules_check(const struct image_rules *rules, const char *where);

/* Apply them in the order of docs/dataset.md; a label map (one channel, of the image's size; may be NULL) is resampled
 * along.  On failure the error text is the reason, without the path, and both images can still be freed. */
cover_status image_rules_apply(const struct image_rules *rules, cover_context *context, struct image *image, struct image *label);
/* How an image is turned for them; none where it says nothing of its place, or nothing was asked for. */
struct turn image_rules_turn(const struct image_rules *rules, const struct image *image);
/* The grid that an image of this size and spacing is resampled to. */
cover_status image_rules_size(const struct image_rules *rules, const struct image *image, int64_t size[3]);

/* The members of a JSON object, without its braces: "dims": 2, "channels": 0, ... */
void image_rules_write(const struct image_rules *rules, struct text *text);
/* From an object with these members (others are passed over), checked as image_rules_check() does. */
cover_status image_rules_read(struct image_rules *rules, const json_t *object, const char *where);

#endif
