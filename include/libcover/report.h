/* The report of a run: one self-contained HTML page (docs/run-folder.md).
 *
 * Owner:      nothing is handed over
 * Lifetime:   nothing is lent
 * Threads:    all at once, on different outputs
 * Callbacks:  none but the log and the allocator of the context (context.h)
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  stable */
#ifndef LIBCOVER_REPORT_H
#define LIBCOVER_REPORT_H

#include <libcover/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Write the report of a run.  Fine-tuning: settings, curves, figures of the validation cases (box plots of Dice; confusion and
 *  ROC)
 *  and predictions over images.  Pretraining: its settings, loss curves, and a few view pairs with the true and the
 *  predicted displacement field, the moving image warped by each, and the field after every pyramid level (paper,
 *  Fig. 7).  The page opens nothing outside itself.
 *
 *  @param run   run folder: config.json, log.jsonl and the weights or the newest checkpoint are read
 *  @param path  HTML file; replaced in one move
 *  @return COVER_OK; COVER_ERROR_IO (run unreadable, path unwritable); COVER_ERROR_FORMAT names the damaged file and
 *  line; COVER_ERROR_MISMATCH (weights that do not fit config.json); COVER_ERROR_CANCELLED */
COVER_API cover_status cover_report_write(cover_context *context, const char *run, const char *path);

#ifdef __cplusplus
}
#endif
#endif
