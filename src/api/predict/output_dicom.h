/* What a prediction of DICOM leaves: the formats that `as` names, a row each.  Called by predict.c and output_seg.c. */
#ifndef COVER_PREDICT_OUTPUT_DICOM_H
#define COVER_PREDICT_OUTPUT_DICOM_H

#include "output.h"

/* Are all words of a list formats?  COVER_ERROR_ARGUMENT; NULL is the usual one. */
cover_status output_dicom_check(const char *as);
cover_status output_dicom_begin(struct output_files *files);
/* Does one of them need scores? */
bool output_dicom_scores(const struct output_files *files);
/* A label map of a case that has a volume, on the upright grid where that was tilted, in each format of files->as.  Changes the label. */
cover_status output_dicom_write(struct output_files *files, const struct predict_case *item, struct image *label,
                                const float *scores);

#endif
