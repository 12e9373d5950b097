/* Small connected components of a label map become background.  Called by output_seg.c. */
#ifndef COVER_SMALL_COMPONENTS_H
#define COVER_SMALL_COMPONENTS_H

#include "io/image/image.h"

/* label: u8 or u16, one channel.  Components are pixels of one class above 0 that share faces; those of fewer than `fewest`
 * pixels become 0. */
cover_status small_components_drop(struct image *label, cover_context *context, int64_t fewest);

#endif
