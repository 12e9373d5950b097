/* Inside of pack_dicom.c: DICOM Segmentations as labels (R48).  Called by pack_dicom.c and pack_image.c. */
#ifndef COVER_PACK_SEGMENTS_H
#define COVER_PACK_SEGMENTS_H

#include "pack.h"

/* Each segmentation of plan->dicom to the item of its volume, with the numbers of the classes; one that lies on none is an item that cannot
 * be used.  The volumes' items are there. */
cover_status pack_segments(struct pack_plan *plan);
/* The labels of an item with a segmentation, not numbered yet. */
cover_status pack_segments_read(struct image *label, cover_context *context, const struct pack_plan *plan,
                                const struct pack_item *item);

#endif
