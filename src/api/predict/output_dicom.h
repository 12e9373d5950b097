/* What a prediction of DICOM leaves: the formats that `as` names, a row each, complete or absent, and the audit of it.
 * Called by predict.c and output_seg.c. */
#ifndef COVER_PREDICT_OUTPUT_DICOM_H
#define COVER_PREDICT_OUTPUT_DICOM_H

#include "output.h"

#include <libcover/predictor.h>

/* Are all words of a list formats?  COVER_ERROR_ARGUMENT; NULL is the usual one. */
cover_status output_dicom_check(const char *as);
/* files->dicom, seg, task, weights_sha256 and arena are set. */
cover_status output_dicom_begin(struct output_files *files, const cover_predict_options *options);
void output_dicom_end(struct output_files *files);
/* Does one of the formats need scores? */
bool output_dicom_scores(const struct output_files *files);

/* A case begins; its objects are written; or it came to nothing, for the reason just raised, which is passed on. */
cover_status output_dicom_start(struct output_files *files, const struct predict_case *item);
/* What is said of the whole volume is in a row of scores.csv. */
cover_status output_dicom_done(struct output_files *files);
/* A label map on the upright grid where the volume was tilted, in each format of files->as.  Changes the label. */
cover_status output_dicom_write(struct output_files *files, const struct predict_case *item, struct image *label,
                                const float *scores);
cover_status output_dicom_failed(struct output_files *files, const struct predict_case *item, cover_status status);

#endif
