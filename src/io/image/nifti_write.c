/* NIfTI-1 out: float32 volumes, displacement fields in the form that ITK and ANTs read (5-D, intent 1007, one volume a
 * component, mm, LPS), and label maps in the geometry of the image that they label.  Called by match, the demo's report and
 * prediction. */
#include "image.h"

#include "core/base/files.h"
#include "io/bytes/source.h"
#include "io/bytes/stream.h"
#include "nifti_header.h"

#include <math.h>
#include <string.h>
#include <zlib.h>

enum { VOXELS_AT = 352, PIECE = 4096, MOST_AT_ONCE = 1 << 24 };

/* A replacement file, behind deflate when the path asks for it. */
struct writer {
    cover_context *context;
    struct replacement file;
    bool gzip;
    z_stream deflater;
};

static void *zlib_allocate(void *context, unsigned items, unsigned bytes) { return memory_alloc(context, (size_t)items * bytes); }
static void zlib_release(void *context, void *memory) { memory_free(context, memory); }

static cover_status writer_deflates(struct writer *writer) {
    z_stream *z = &writer->deflater;
    z->zalloc = zlib_allocate, z->zfree = zlib_release, z->opaque = writer->context;
    if (deflateInit2(z, 4, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return COVER_ERROR_MEMORY;
    writer->gzip = true;
    return COVER_OK;
}

static cover_status writer_begin(struct writer *writer, cover_context *context, const char *path) {
    *writer = (struct writer){.context = context, .file.descriptor = -1};
    if (has_suffix(path, ".gz")) TRY(writer_deflates(writer));
    return replacement_begin(&writer->file, context, path);
}

/* flush: Z_NO_FLUSH, or Z_FINISH with the last bytes. */
static cover_status writer_write(struct writer *writer, const void *bytes, size_t count, int flush) {
    if (!writer->gzip) return replacement_write(&writer->file, bytes, count);
    uint8_t packed[16384];
    z_stream *z = &writer->deflater;
    z->next_in = (Bytef *)bytes, z->avail_in = (unsigned)count;
    do {
        z->next_out = packed, z->avail_out = sizeof packed;
        if (deflate(z, flush) == Z_STREAM_ERROR) return fail(COVER_ERROR_INTERNAL, "zlib refused to compress");
        TRY(replacement_write(&writer->file, packed, sizeof packed - z->avail_out));
    } while (z->avail_out == 0);
    return COVER_OK;
}

static cover_status writer_end(struct writer *writer, cover_status status) {
    if (writer->gzip) deflateEnd(&writer->deflater);
    if (status == COVER_OK) return replacement_commit(&writer->file, writer->context);
    replacement_abandon(&writer->file, writer->context);
    return status;
}

/* The image's geometry; where there is none, ITK's frame for images without: LPS axes are -x, -y, z in RAS. */
static void geometry(double world[12], double step[3], const struct image *image) {
    const bool known = image_place_known(image);
    memcpy(world, image->affine, sizeof image->affine);
    for (int axis = 0; axis < 3; axis++) {
        double spacing = image->spacing_mm[2 - axis] > 0 ? image->spacing_mm[2 - axis] : 1;
        if (!known) world[5 * axis] = axis < 2 ? -spacing : spacing;
        step[axis] = sqrt(world[axis] * world[axis] + world[4 + axis] * world[4 + axis] + world[8 + axis] * world[8 + axis]);
    }
}

/* What the voxels are. */
struct contents {
    int rank, components; /* dim[0]; dim[5] of vectors, else 0 */
    int datatype, bits;
};

/* The quaternion of a frame whose axes are orthogonal (nifti1.h, method 2); of another nothing is said: it could not hold a shear. */
static void put_qform(struct nifti_header *header, const double world[12], const double step[3]) {
    double r[3][3];
    for (int row = 0; row < 3; row++)
        for (int axis = 0; axis < 3; axis++) r[row][axis] = world[4 * row + axis] / step[axis];
    for (int a = 0; a < 3; a++) {
        const int b = (a + 1) % 3;
        if (!(fabs(r[0][a] * r[0][b] + r[1][a] * r[1][b] + r[2][a] * r[2][b]) < 1e-6)) return;
    }
    const double determinant = r[0][0] * (r[1][1] * r[2][2] - r[1][2] * r[2][1]) -
                               r[0][1] * (r[1][0] * r[2][2] - r[1][2] * r[2][0]) +
                               r[0][2] * (r[1][0] * r[2][1] - r[1][1] * r[2][0]);
    const double handed = determinant < 0 ? -1 : 1;
    for (int row = 0; row < 3; row++) r[row][2] *= handed;
    /* from the largest of the four components, so that none is divided by little */
    const double squares[4] = {1 + r[0][0] + r[1][1] + r[2][2], 1 + r[0][0] - r[1][1] - r[2][2], 1 - r[0][0] + r[1][1] - r[2][2],
                               1 - r[0][0] - r[1][1] + r[2][2]};
    int most = 0;
    for (int i = 1; i < 4; i++)
        if (squares[i] > squares[most]) most = i;
    const double twice = sqrt(squares[most]), off[3] = {r[2][1] - r[1][2], r[0][2] - r[2][0], r[1][0] - r[0][1]};
    double q[4]; /* a, b, c, d */
    q[most] = twice / 2;
    for (int i = 0; i < 3; i++) {
        if (most == 0) q[i + 1] = off[i] / (2 * twice);
        else if (i + 1 == most) q[0] = off[i] / (2 * twice);
        else q[i + 1] = (r[most - 1][i] + r[i][most - 1]) / (2 * twice);
    }
    nifti_put(header, NIFTI_PIXDIM, 0, handed);
    nifti_put(header, NIFTI_QFORM_CODE, 0, 1);
    for (int i = 0; i < 3; i++) {
        nifti_put(header, NIFTI_QUATERN, i, q[0] < 0 ? -q[i + 1] : q[i + 1]); /* a is not written, and not below 0 */
        nifti_put(header, NIFTI_QOFFSET, i, world[4 * i + 3]);
    }
}

static void fill_header(struct nifti_header *header, const int64_t size[3], const struct contents *contents, const double world[12],
                        const double step[3]) {
    *header = (struct nifti_header){.version = 1};
    memcpy(header->bytes, &(int32_t){NIFTI_HEADER_1}, 4);
    memcpy(header->bytes + 344, "n+1", 4);
    const int64_t dim[8] = {contents->rank, size[2], size[1], size[0], 1, contents->components ? contents->components : 1, 1, 1};
    for (int i = 0; i < 8; i++) {
        nifti_put(header, NIFTI_DIM, i, (double)dim[i]);
        nifti_put(header, NIFTI_PIXDIM, i, i >= 1 && i <= 3 ? step[i - 1] : 1);
    }
    nifti_put(header, NIFTI_INTENT, 0, contents->components ? NIFTI_INTENT_VECTOR : 0);
    nifti_put(header, NIFTI_DATATYPE, 0, contents->datatype);
    nifti_put(header, NIFTI_BITPIX, 0, contents->bits);
    nifti_put(header, NIFTI_OFFSET, 0, VOXELS_AT);
    nifti_put(header, NIFTI_SLOPE, 0, 1);
    nifti_put(header, NIFTI_UNITS, 0, NIFTI_UNITS_MM);
    nifti_put(header, NIFTI_SFORM_CODE, 0, 1); /* the image's own frame, twice: readers differ in which they take */
    for (int i = 0; i < 12; i++) nifti_put(header, NIFTI_SROW, i, world[i]);
    put_qform(header, world, step);
}

/* A displacement field on its way into a file. */
struct field {
    const float *voxels; /* (D, H, W, ndim), z, y, x or y, x */
    int ndim;
    const int64_t *size;
    double moving[12]; /* voxel to world of the image that it leads into */
    double apart[12];  /* the same less that of the image that it leads from */
};

/* Component `row` (x, y, z of LPS) of `count` displacements from pixel `first` on: from where FIXED has voxel v to where MOVING
 * has v + u, so moving (v + u) - fixed v in RAS, and L and P are its first two with the other sign. */
static void to_lps(float *to, const struct field *field, int64_t first, size_t count, int row) {
    const double *moving = field->moving + 4 * row, *apart = field->apart + 4 * row, sign = row < 2 ? -1 : 1;
    const float *u = field->voxels + first * field->ndim;
    for (size_t i = 0; i < count; i++, u += field->ndim) {
        const int64_t pixel = first + (int64_t)i, line = pixel / field->size[2];
        const int64_t v[3] = {pixel % field->size[2], line % field->size[1], line / field->size[1]};
        double sum = apart[3];
        for (int axis = 0; axis < 3; axis++) sum += apart[axis] * (double)v[axis];
        for (int axis = 0; axis < field->ndim; axis++) sum += moving[axis] * u[field->ndim - 1 - axis];
        to[i] = (float)(sign * sum);
    }
}

static cover_status write_header(struct writer *writer, struct nifti_header *header) {
    memset(header->bytes + NIFTI_HEADER_1, 0, VOXELS_AT - NIFTI_HEADER_1); /* no extensions */
    return writer_write(writer, header->bytes, VOXELS_AT, Z_NO_FLUSH);
}

/* A volume's dimensions are those of its file: ITK reads a single slice of a volume as 3D, and its field has three components. */
static int rank_of(const struct image *image) { return image->size[0] > 1 || image->volume ? 3 : 2; }

/* The values as they are, or the components of the field. */
static cover_status write_all(struct writer *writer, const float *values, const struct field *field, const struct image *like) {
    struct nifti_header header;
    double world[12], step[3];
    const int64_t *size = like->size;
    geometry(world, step, like);
    const int components = field ? rank_of(like) : 0;
    struct contents contents = {components ? 5 : rank_of(like), components, 16, 32};
    fill_header(&header, size, &contents, world, step);
    TRY(write_header(writer, &header));
    const int64_t count = size[0] * size[1] * size[2];
    for (int row = 0; row < (components ? components : 1); row++) {
        const int64_t most = field ? PIECE : MOST_AT_ONCE / (int64_t)sizeof(float);
        for (int64_t done = 0; done < count; done += most) {
            float piece[PIECE];
            const size_t some = (size_t)(count - done < most ? count - done : most);
            if (field) to_lps(piece, field, done, some, row);
            TRY(writer_write(writer, field ? piece : values + done, some * sizeof(float), Z_NO_FLUSH));
        }
    }
    return writer_write(writer, NULL, 0, Z_FINISH);
}

static cover_status check_size(const char *path, const int64_t size[3]) {
    for (int axis = 0; axis < 3; axis++)
        if (size[axis] < 1 || size[axis] > INT16_MAX)
            return fail(COVER_ERROR_SHAPE, "%s: axis %c has size %lld; NIfTI-1 holds 1 to %d", path, "DHW"[axis],
                        (long long)size[axis], INT16_MAX);
    return COVER_OK;
}

static cover_status write_file(cover_context *context, const char *path, const float *values, const struct field *field,
                               const struct image *like) {
    struct writer writer;
    TRY(check_size(path, like->size));
    cover_status status = writer_begin(&writer, context, path);
    if (status == COVER_OK) status = write_all(&writer, values, field, like);
    return writer_end(&writer, status);
}

cover_status nifti_write(cover_context *context, const char *path, const float *values, const struct image *like) {
    return write_file(context, path, values, NULL, like);
}

cover_status nifti_write_field(cover_context *context, const char *path, const float *voxels, const struct image *fixed,
                               const struct image *moving) {
    struct field field = {.voxels = voxels, .ndim = fixed->dims, .size = fixed->size};
    double world[12], step[3];
    geometry(world, step, fixed);
    geometry(field.moving, step, moving);
    for (int i = 0; i < 12; i++) field.apart[i] = field.moving[i] - world[i];
    return write_file(context, path, NULL, &field, fixed);
}

/* ---- labels */

/* The header of a NIfTI file; *found false when it is another kind of file. */
static cover_status read_like(struct nifti_header *header, bool *found, cover_context *context, const char *path) {
    enum { HEAD = 65536 }; /* holds the header, compressed or not */
    struct source source;
    struct stream stream;
    bool swapped;
    TRY(source_open(&source, path));
    size_t bytes = source.bytes < HEAD ? (size_t)source.bytes : HEAD;
    uint8_t *head = memory_alloc(context, HEAD);
    cover_status status = head ? source_read(&source, 0, head, bytes) : COVER_ERROR_MEMORY;
    *found = status == COVER_OK && bytes >= 4 && (is_gzip(head, bytes) || nifti_version(head, &swapped) != 0);
    if (*found) status = stream_open(&stream, context, head, bytes);
    if (*found && status == COVER_OK) {
        status = nifti_header_read(header, &stream);
        if (status != COVER_OK) fail_in(status, "%s", path);
        stream_close(&stream);
    }
    memory_free(context, head);
    source_close(&source);
    return status;
}

/* Field by field, so that every reader places the label where it places the image. */
static void copy_geometry(struct nifti_header *header, const struct nifti_header *like) {
    static const struct {
        enum nifti_field field;
        int count;
    } fields[] = {{NIFTI_PIXDIM, 4},  {NIFTI_UNITS, 1},   {NIFTI_QFORM_CODE, 1}, {NIFTI_SFORM_CODE, 1},
                  {NIFTI_QUATERN, 3}, {NIFTI_QOFFSET, 3}, {NIFTI_SROW, 12}};
    for (size_t f = 0; f < sizeof fields / sizeof *fields; f++)
        for (int i = 0; i < fields[f].count; i++) nifti_put(header, fields[f].field, i, nifti_get(like, fields[f].field, i));
    double rank = nifti_get(like, NIFTI_DIM, 0); /* a single slice may be a volume */
    nifti_put(header, NIFTI_DIM, 0, rank < 2 ? 2 : rank > 3 ? 3 : rank);
}

/* Header and voxels of a label map, into a writer that was begun. */
static cover_status put_label(struct writer *writer, const struct image *label, const struct nifti_header *like) {
    const bool small = label->dtype == COVER_U8;
    const size_t bytes = (size_t)(label->size[0] * label->size[1] * label->size[2]) * cover_dtype_bytes(label->dtype);
    const struct contents contents = {rank_of(label), 0, small ? 2 : 512, small ? 8 : 16};
    struct nifti_header header;
    double world[12], step[3];
    geometry(world, step, label);
    fill_header(&header, label->size, &contents, world, step);
    if (like) copy_geometry(&header, like);
    TRY(write_header(writer, &header));
    for (size_t done = 0, some; done < bytes; done += some) {
        some = bytes - done < MOST_AT_ONCE ? bytes - done : MOST_AT_ONCE;
        TRY(writer_write(writer, (const char *)label->data + done, some, Z_NO_FLUSH));
    }
    return writer_write(writer, NULL, 0, Z_FINISH);
}

cover_status nifti_write_label(cover_context *context, const char *path, const struct image *label, const char *like) {
    struct nifti_header other;
    struct writer writer;
    bool found = false;
    TRY(check_size(path, label->size));
    if (like) TRY(read_like(&other, &found, context, like));
    cover_status status = writer_begin(&writer, context, path);
    if (status == COVER_OK) status = put_label(&writer, label, found ? &other : NULL);
    return writer_end(&writer, status);
}

cover_status nifti_put_label(cover_context *context, struct replacement *file, const struct image *label) {
    struct writer writer = {.context = context, .file = *file};
    TRY(check_size(path_name(file->path), label->size));
    cover_status status = writer_deflates(&writer);
    if (status == COVER_OK) status = put_label(&writer, label, NULL);
    if (writer.gzip) deflateEnd(&writer.deflater);
    *file = writer.file;
    return status;
}
