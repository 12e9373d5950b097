/* The fields of a NIfTI header and its geometry (nifti1.h, "3D image orientation and location in space").
 * Called by nifti.c and nifti_write.c. */
#include "nifti_header.h"

#include "io/bytes/stream.h"

#include <math.h>
#include <string.h>

/* Type and offset in version 1 and in version 2. */
static const struct {
    enum sample type;
    int at;
} fields[][2] = {
    [NIFTI_DIM] = {{SAMPLE_I16, 40}, {SAMPLE_I64, 16}},
    [NIFTI_INTENT] = {{SAMPLE_I16, 68}, {SAMPLE_I32, 504}},
    [NIFTI_DATATYPE] = {{SAMPLE_I16, 70}, {SAMPLE_I16, 12}},
    [NIFTI_BITPIX] = {{SAMPLE_I16, 72}, {SAMPLE_I16, 14}},
    [NIFTI_PIXDIM] = {{SAMPLE_F32, 76}, {SAMPLE_F64, 104}},
    [NIFTI_OFFSET] = {{SAMPLE_F32, 108}, {SAMPLE_I64, 168}},
    [NIFTI_SLOPE] = {{SAMPLE_F32, 112}, {SAMPLE_F64, 176}},
    [NIFTI_INTER] = {{SAMPLE_F32, 116}, {SAMPLE_F64, 184}},
    [NIFTI_UNITS] = {{SAMPLE_U8, 123}, {SAMPLE_I32, 500}},
    [NIFTI_QFORM_CODE] = {{SAMPLE_I16, 252}, {SAMPLE_I32, 344}},
    [NIFTI_SFORM_CODE] = {{SAMPLE_I16, 254}, {SAMPLE_I32, 348}},
    [NIFTI_QUATERN] = {{SAMPLE_F32, 256}, {SAMPLE_F64, 352}}, /* b c d */
    [NIFTI_QOFFSET] = {{SAMPLE_F32, 268}, {SAMPLE_F64, 376}}, /* x y z */
    [NIFTI_SROW] = {{SAMPLE_F32, 280}, {SAMPLE_F64, 400}},    /* 3 rows of 4 */
};

int nifti_version(const uint8_t *head, bool *swapped) {
    for (int turn = 0; turn < 2; turn++) {
        uint8_t four[4];
        int32_t size;
        memcpy(four, head, 4);
        if (turn) samples_swap(four, 4, 1);
        memcpy(&size, four, 4);
        *swapped = turn == 1;
        if (size == NIFTI_HEADER_1) return 1;
        if (size == NIFTI_HEADER_2) return 2;
    }
    return 0;
}

cover_status nifti_header_read(struct nifti_header *header, struct stream *stream) {
    static const uint8_t magic1[4] = "n+1", magic2[8] = "n+2\0\r\n\032\n"; /* at the end, and behind sizeof_hdr */
    memset(header, 0, sizeof *header);
    TRY(stream_read(stream, header->bytes, 4));
    header->version = nifti_version(header->bytes, &header->swapped);
    if (!header->version)
        return fail(stream->gzip ? COVER_ERROR_UNSUPPORTED : COVER_ERROR_FORMAT,
                    "sizeof_hdr is neither 348 nor 540: gzip, but no NIfTI file inside");
    TRY(stream_read(stream, header->bytes + 4, (header->version == 1 ? NIFTI_HEADER_1 : NIFTI_HEADER_2) - 4));
    const uint8_t *magic = header->bytes + (header->version == 1 ? 344 : 4);
    if (header->version == 1 ? memcmp(magic, magic1, 4) == 0 : memcmp(magic, magic2, 8) == 0) return COVER_OK;
    if (memcmp(magic, "ni1", 4) == 0 || memcmp(magic, "ni2", 4) == 0)
        return fail(COVER_ERROR_UNSUPPORTED, "the header of a .hdr/.img pair; convert the pair to one .nii file");
    return fail(COVER_ERROR_FORMAT, "no NIfTI magic (n+1 or n+2): ANALYZE 7.5, which says too little about its geometry, "
                                    "or damaged; convert it to .nii");
}

double nifti_get(const struct nifti_header *header, enum nifti_field field, int index) {
    enum sample type = fields[field][header->version - 1].type;
    size_t bytes = sample_bytes(type);
    uint8_t value[8];
    memcpy(value, header->bytes + fields[field][header->version - 1].at + (size_t)index * bytes, bytes);
    if (header->swapped) samples_swap(value, bytes, 1);
    return sample_value(value, type);
}

void nifti_put(struct nifti_header *header, enum nifti_field field, int index, double value) {
    uint8_t *to = header->bytes + fields[field][0].at;
    switch (fields[field][0].type) {
    case SAMPLE_F32:
        memcpy(to + index * 4, &(float){(float)value}, 4);
        break;
    case SAMPLE_I16:
        memcpy(to + index * 2, &(int16_t){(int16_t)value}, 2);
        break;
    default:
        to[index] = (uint8_t)value; /* xyzt_units */
    }
}

/* xyzt_units, its spatial part: how many mm are one unit (unknown counts as mm, as everywhere). */
static double unit_mm(const struct nifti_header *header) {
    static const double mm[8] = {1, 1000, 1, 0.001, 1, 1, 1, 1};
    return mm[(int64_t)nifti_get(header, NIFTI_UNITS, 0) & 7];
}

double nifti_spacing(const struct nifti_header *header, int axis) {
    double size = fabs(nifti_get(header, NIFTI_PIXDIM, axis + 1));
    return isfinite(size) ? size * unit_mm(header) : 0;
}

/* Method 2: a rotation as unit quaternion (a, b, c, d), whose a >= 0 is not stored; pixdim[0] < 0 turns the z axis. */
static cover_status affine_of_qform(const struct nifti_header *header, double affine[12]) {
    double b = nifti_get(header, NIFTI_QUATERN, 0), c = nifti_get(header, NIFTI_QUATERN, 1);
    double d = nifti_get(header, NIFTI_QUATERN, 2);
    const double squares = b * b + c * c + d * d;
    double a = 1 - squares;
    if (!(squares < 1.01))
        return fail(COVER_ERROR_FORMAT, "quatern is (%g, %g, %g), longer than 1; the geometry is damaged", b, c, d);
    if (a < 1e-7) { /* a turn by 180 degrees, up to rounding */
        double length = sqrt(squares);
        a = 0, b /= length, c /= length, d /= length;
    } else {
        a = sqrt(a);
    }
    const double rotation[3][3] = {
        {a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)},
        {2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)},
        {2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c},
    };
    double turn = nifti_get(header, NIFTI_PIXDIM, 0) < 0 ? -1 : 1;
    for (int row = 0; row < 3; row++) {
        for (int axis = 0; axis < 3; axis++) {
            double step = fabs(nifti_get(header, NIFTI_PIXDIM, axis + 1));
            if (!(step > 0 && isfinite(step))) step = 1; /* a 2D image may leave pixdim[3] empty */
            affine[4 * row + axis] = rotation[row][axis] * step * (axis == 2 ? turn : 1);
        }
        affine[4 * row + 3] = nifti_get(header, NIFTI_QOFFSET, row);
    }
    return COVER_OK;
}

cover_status nifti_affine(const struct nifti_header *header, double affine[12]) {
    memset(affine, 0, 12 * sizeof *affine);
    if (nifti_get(header, NIFTI_SFORM_CODE, 0) > 0)
        for (int i = 0; i < 12; i++) affine[i] = nifti_get(header, NIFTI_SROW, i);
    else if (nifti_get(header, NIFTI_QFORM_CODE, 0) > 0) TRY(affine_of_qform(header, affine));
    for (int i = 0; i < 12; i++) {
        if (!isfinite(affine[i]))
            return fail(COVER_ERROR_FORMAT, "element %d of the affine (sform or qform) is %g; the geometry is damaged", i,
                        affine[i]);
        affine[i] *= unit_mm(header);
    }
    return COVER_OK;
}
