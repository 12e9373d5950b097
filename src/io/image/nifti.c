/* NIfTI-1 and NIfTI-2 in one file, .nii or .nii.gz, either byte order: all integer and real types, RGB.
 * The file's order is x fastest, which is our D, H, W as it stands.  A fourth dimension (or the fifth, of vectors)
 * gives channels.  Header before voxels, sizes before memory.  A row of image_formats. */
#include "image.h"

#include "core/base/number.h"
#include "io/bytes/stream.h"
#include "nifti_header.h"

#include <math.h>
#include <string.h>

/* What may follow the voxels in a compressed file. */
static const uint64_t TRAILING_SLACK = 1 << 20;

static const struct datatype {
    int code;
    const char *name;
    enum sample type;
    int components; /* of a voxel in the file: 3 = RGB, 4 = RGBA; 0 = known by name only */
} datatypes[] = {
    {2, "uint8", SAMPLE_U8, 1},          {256, "int8", SAMPLE_I8, 1},         {512, "uint16", SAMPLE_U16, 1},
    {4, "int16", SAMPLE_I16, 1},         {768, "uint32", SAMPLE_U32, 1},      {8, "int32", SAMPLE_I32, 1},
    {1280, "uint64", SAMPLE_U64, 1},     {1024, "int64", SAMPLE_I64, 1},      {16, "float32", SAMPLE_F32, 1},
    {64, "float64", SAMPLE_F64, 1},      {128, "RGB24", SAMPLE_U8, 3},        {2304, "RGBA32", SAMPLE_U8, 4},
    {1, "binary", SAMPLE_U8, 0},         {32, "complex64", SAMPLE_F32, 0},    {1536, "float128", SAMPLE_F64, 0},
    {1792, "complex128", SAMPLE_F64, 0}, {2048, "complex256", SAMPLE_F64, 0},
};

/* How the voxels lie in the file and become ours. */
struct voxels {
    const struct datatype *datatype;
    int planes; /* volumes one after the other that become channels */
    int kept;   /* components of a voxel that are kept: 1, or 3 of RGB and RGBA */
    bool scaled;
    double slope, intercept;
    bool swapped;
    int64_t count; /* voxels of one volume */
};

static bool detect(const uint8_t *head, size_t bytes) {
    bool swapped;
    return is_gzip(head, bytes) || (bytes >= 4 && nifti_version(head, &swapped) != 0);
}

/* dim[]: x, y, z and at most one further dimension above 1. */
static cover_status read_sizes(struct image *image, struct voxels *voxels, const struct nifti_header *header) {
    double rank = nifti_get(header, NIFTI_DIM, 0);
    if (!(rank >= 1 && rank <= 7))
        return fail(COVER_ERROR_FORMAT, "dim[0] is %.0f, not 1 to 7; the file is damaged or not NIfTI", rank);
    voxels->planes = 1;
    for (int i = 1; i <= 7; i++) {
        double size = i <= (int)rank ? nifti_get(header, NIFTI_DIM, i) : 1;
        if (!(size >= 1 && size <= 0x1p40))
            return fail(COVER_ERROR_FORMAT, "dim[%d] is %.0f; the file is damaged or not NIfTI", i, size);
        if (i <= 3) {
            image->size[3 - i] = (int64_t)size;
        } else if (size > 1) {
            if (voxels->planes > 1 || size > IMAGE_MOST_CHANNELS)
                return fail(COVER_ERROR_UNSUPPORTED,
                            "dim[%d] is %.0f: beyond x, y, z one dimension of at most %d becomes channels; "
                            "split the file into 3-D volumes",
                            i, size, IMAGE_MOST_CHANNELS);
            voxels->planes = (int)size;
        }
    }
    image->dims = image->size[0] > 1 ? 3 : 2;
    image->volume = rank >= 3;
    for (int axis = 0; axis < 3; axis++) image->spacing_mm[2 - axis] = axis < (int)rank ? nifti_spacing(header, axis) : 0;
    return COVER_OK;
}

static cover_status read_type(struct image *image, struct voxels *voxels, const struct nifti_header *header) {
    int code = (int)nifti_get(header, NIFTI_DATATYPE, 0);
    for (size_t i = 0; i < sizeof datatypes / sizeof *datatypes; i++)
        if (datatypes[i].code == code) voxels->datatype = &datatypes[i];
    if (!voxels->datatype)
        return fail(COVER_ERROR_FORMAT, "datatype is %d, which NIfTI does not define; the file is damaged", code);
    if (voxels->datatype->components == 0)
        return fail(COVER_ERROR_UNSUPPORTED, "datatype is %s; convert the file to an integer or float type",
                    voxels->datatype->name);
    voxels->kept = voxels->datatype->components > 1 ? 3 : 1;
    if (voxels->kept > 1 && voxels->planes > 1)
        return fail(COVER_ERROR_UNSUPPORTED, "%d volumes of %s; split the file into 3-D volumes", voxels->planes,
                    voxels->datatype->name);
    /* "if scl_slope is nonzero"; a slope that is not a number cannot be meant; colours are never scaled */
    voxels->slope = nifti_get(header, NIFTI_SLOPE, 0), voxels->intercept = nifti_get(header, NIFTI_INTER, 0);
    if (voxels->kept > 1 || voxels->slope == 0 || !isfinite(voxels->slope)) voxels->slope = 1, voxels->intercept = 0;
    if (!isfinite(voxels->intercept))
        return fail(COVER_ERROR_FORMAT, "scl_inter is %f, but scl_slope asks for scaling", voxels->intercept);
    voxels->scaled = voxels->slope != 1 || voxels->intercept != 0;
    voxels->swapped = header->swapped;
    image->dtype = voxels->scaled ? COVER_F32 : sample_dtype(voxels->datatype->type);
    image->channels = voxels->planes * voxels->kept;
    return COVER_OK;
}

/* The voxels must start behind the header and fit what is left of the file. */
static cover_status find_voxels(struct voxels *voxels, const struct image *image, const struct nifti_header *header,
                                struct stream *stream) {
    const int64_t *size = image->size;
    double offset = nifti_get(header, NIFTI_OFFSET, 0);
    if (!(offset >= (double)stream->position && offset <= 0x1p40) || offset != floor(offset))
        return fail(COVER_ERROR_FORMAT, "vox_offset is %g, but the voxels start at byte %llu or later", offset,
                    (unsigned long long)stream->position);
    int64_t needed = (int64_t)sample_bytes(voxels->datatype->type) * voxels->datatype->components * voxels->planes;
    bool fits = multiply(size[0], size[1], &voxels->count) && multiply(voxels->count, size[2], &voxels->count) &&
                multiply(needed, voxels->count, &needed);
    uint64_t left = stream_most_left(stream), skipped = (uint64_t)offset - stream->position;
    if (!fits || skipped > left || (uint64_t)needed > left - skipped)
        return fail(COVER_ERROR_FORMAT,
                    "dim says %lld x %lld x %lld voxels (x, y, z) of %s, %d to a place, from byte %.0f on, but the file "
                    "has only %zu bytes%s; it is truncated or damaged",
                    (long long)size[2], (long long)size[1], (long long)size[0], voxels->datatype->name, voxels->planes, offset,
                    stream->count, stream->gzip ? ", compressed" : "");
    return stream_skip(stream, skipped);
}

/* One volume into its channels of the image, piece by piece. */
static cover_status read_volume(struct image *image, const struct voxels *voxels, struct stream *stream, int plane) {
    enum { PIECE = 2048 };
    _Alignas(8) uint8_t raw[PIECE * 8], ours[PIECE * 8];
    const enum sample type = voxels->datatype->type;
    const size_t components = (size_t)voxels->datatype->components, element = cover_dtype_bytes(image->dtype);
    const size_t voxel_bytes = element * (size_t)image->channels, kept_bytes = element * (size_t)voxels->kept;
    const bool in_place = components == (size_t)image->channels; /* the file's order is ours */
    uint8_t *to = (uint8_t *)image->data + element * (size_t)(plane * voxels->kept);
    for (int64_t done = 0; done < voxels->count;) {
        size_t piece = PIECE / components;
        if ((uint64_t)(voxels->count - done) < piece) piece = (size_t)(voxels->count - done);
        size_t samples = piece * components;
        TRY(stream_read(stream, raw, samples * sample_bytes(type)));
        if (voxels->swapped) samples_swap(raw, sample_bytes(type), samples);
        void *target = in_place ? to : ours;
        if (image->dtype != COVER_F32) samples_copy(target, raw, type, samples);
        else samples_to_float(target, raw, type, samples, voxels->slope, voxels->intercept);
        if (!in_place)
            for (size_t i = 0; i < piece; i++) memcpy(to + i * voxel_bytes, ours + i * components * element, kept_bytes);
        to += piece * voxel_bytes;
        done += (int64_t)piece;
    }
    return COVER_OK;
}

/* Two statements of how large a voxel is may differ: then the sform counts, since it alone says where voxels lie; so spacing and affine
 * are of one mind everywhere. */
static void agree(struct image *image, const struct nifti_header *header) {
    static const double RELATIVE = 1e-3;
    const double *affine = image->affine;
    double step[3], said[3];
    bool differ = false;
    if (nifti_get(header, NIFTI_SFORM_CODE, 0) <= 0 || !image_place_known(image)) return;
    for (int axis = 0; axis < 3; axis++) {
        step[axis] = hypot(hypot(affine[axis], affine[4 + axis]), affine[8 + axis]), said[axis] = image->spacing_mm[2 - axis];
        differ = differ || (step[axis] > 0 && said[axis] > 0 && fabs(step[axis] - said[axis]) > RELATIVE * step[axis]);
    }
    if (!differ) return;
    for (int axis = 0; axis < 3; axis++)
        if (step[axis] > 0 && said[axis] > 0) image->spacing_mm[2 - axis] = step[axis];
    number_print(image->note, sizeof image->note,
                 "its sform says voxels of %.6g x %.6g x %.6g mm (x, y, z), its pixdim %.6g x %.6g x %.6g mm; the sform counts",
                 step[0], step[1], step[2], said[0], said[1], said[2]);
}

static cover_status decode(struct image *image, const struct image_source *source, struct stream *stream) {
    struct nifti_header header;
    struct voxels voxels = {0};
    size_t bytes;
    TRY(nifti_header_read(&header, stream));
    TRY(read_sizes(image, &voxels, &header));
    TRY(read_type(image, &voxels, &header));
    TRY(nifti_affine(&header, image->affine));
    agree(image, &header);
    if (source->header_only) return COVER_OK;
    TRY(find_voxels(&voxels, image, &header, stream));
    TRY(image_allocate(image, source, &bytes));
    for (int plane = 0; plane < voxels.planes; plane++) TRY(read_volume(image, &voxels, stream, plane));
    return stream_finish(stream, TRAILING_SLACK);
}

static cover_status read_nifti(struct image *image, const struct image_source *source) {
    struct stream stream;
    TRY(stream_open(&stream, source->context, source->bytes, source->count));
    cover_status status = decode(image, source, &stream);
    stream_close(&stream);
    if (status != COVER_OK) image_free(image, source->context);
    return status;
}

const struct image_format nifti_format = {
    .name = "NIfTI", .extensions = ".nii .nii.gz", .detect = detect, .read = read_nifti, .write_label = nifti_write_label};
