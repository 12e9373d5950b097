/* The header of a NIfTI file: where each field lies in version 1 (nifti1.h, 348 bytes) and version 2 (nifti2.h, 540
 * bytes), as one table from which the reader takes and the writer puts. */
#ifndef COVER_NIFTI_HEADER_H
#define COVER_NIFTI_HEADER_H

#include "samples.h"

/* Only what libcover reads or writes. */
enum nifti_field {
    NIFTI_DIM,
    NIFTI_INTENT,
    NIFTI_DATATYPE,
    NIFTI_BITPIX,
    NIFTI_PIXDIM,
    NIFTI_OFFSET,
    NIFTI_SLOPE,
    NIFTI_INTER,
    NIFTI_UNITS,
    NIFTI_QFORM_CODE,
    NIFTI_SFORM_CODE,
    NIFTI_QUATERN,
    NIFTI_QOFFSET,
    NIFTI_SROW
};
enum { NIFTI_HEADER_1 = 348, NIFTI_HEADER_2 = 540, NIFTI_INTENT_VECTOR = 1007, NIFTI_UNITS_MM = 2 };

struct nifti_header {
    int version;  /* 1 or 2 */
    bool swapped; /* its byte order is not this machine's */
    uint8_t bytes[NIFTI_HEADER_2];
};

/* The version that the first bytes (at least 4) announce by sizeof_hdr, 0 when none, and its byte order. */
int nifti_version(const uint8_t *head, bool *swapped);
/* The header at the start of a file, either version and byte order. */
struct stream;
cover_status nifti_header_read(struct nifti_header *header, struct stream *stream);
double nifti_get(const struct nifti_header *header, enum nifti_field field, int index);
/* Into a header of version 1 and this machine's byte order. */
void nifti_put(struct nifti_header *header, enum nifti_field field, int index, double value);

/* Voxel (x, y, z) to world, rows of 3x4, RAS mm: sform if coded, else qform if coded; all 0 when neither is, for then
 * pixdim alone tells how large a voxel is, but not which way it faces. */
cover_status nifti_affine(const struct nifti_header *header, double affine[12]);
/* pixdim[axis + 1] in mm, 0 when it is not known. */
double nifti_spacing(const struct nifti_header *header, int axis);

#endif
