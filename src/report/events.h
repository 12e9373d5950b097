/* TensorBoard event files: TFRecord frames (length, masked CRC-32C, data, masked CRC-32C) of protocol-buffer messages
 * Event{wall_time, step, summary{tag, simple_value}}, written by hand.  Called by the trainer. */
#ifndef COVER_EVENTS_H
#define COVER_EVENTS_H

#include "core/base/base.h"

struct events;
struct event_scalar {
    const char *tag; /* "loss/l_vec" */
    double value;
};

/* Begin a new events.out.tfevents.* file in a folder.  first_step > 0: the run goes on with this step, and TensorBoard
 * drops what earlier files say of it and of later ones. */
cover_status events_open(struct events **events, cover_context *context, const char *folder, int64_t first_step);
/* One event with all scalars of a step; what the disk refuses waits for the next, with a warning. */
cover_status events_append(struct events *events, int64_t step, const struct event_scalar *scalars, int count);
cover_status events_flush(struct events *events); /* COVER_ERROR_IO when something still waits; takes NULL */
void events_close(struct events *events);         /* takes NULL */

#endif
