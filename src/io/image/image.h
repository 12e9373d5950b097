/* Images as files hold them: one row a format {name, detect, read}; the first row whose detect() likes the first bytes
 * reads the file.  Readers check every size against the bytes present before they allocate. */
#ifndef COVER_IMAGE_H
#define COVER_IMAGE_H

#include "core/base/base.h"

#include <libcover/tensor.h>

struct image {
    cover_dtype dtype;    /* COVER_U8, COVER_U16 or COVER_F32 (other types are converted to F32; scl_slope is applied) */
    int dims;             /* 2 or 3 */
    int channels;         /* 1 or 3, or the volumes of a 4-D NIfTI file, at most IMAGE_MOST_CHANNELS; alpha is dropped,
                          palettes are resolved (grey palettes give 1 channel) */
    int64_t size[3];      /* D, H, W; D = 1 in 2D */
    double spacing_mm[3]; /* D, H, W order; 0 = not known */
    double affine[12];    /* voxel (x, y, z) to world, 3x4 rows, RAS mm; all 0 = not known */
    bool volume;          /* its file is one of three dimensions, of a single slice where dims is 2 */
    bool lossy;           /* JPEG: values are near those that were meant */
    bool printed;         /* spacing_mm is a resolution for printing (dpi of an 8-bit TIFF), hardly that of what is seen */
    char note[200];       /* what is odd about the file, for whoever reads it to say once; "" = nothing */
    void *data;           /* channels last, D, H, W, C */
};
enum { IMAGE_MOST_CHANNELS = 16 };

/* What a reader works from. */
struct image_source {
    cover_context *context;
    const char *path; /* image_decode() puts it before a reader's error text */
    const uint8_t *bytes;
    size_t count;
    uint64_t limit_bytes; /* on the decoded size; never 0 here */
    bool header_only;     /* a reader that can leaves data NULL, and may have the first bytes of the file alone */
    bool indices;         /* those of a palette are wanted, not its colours */
};

struct image_format {
    const char *name;       /* "PNG" */
    const char *extensions; /* ".png" or ".nii .nii.gz": files of these are taken when a folder is walked */
    bool (*detect)(const uint8_t *head, size_t bytes);
    /* Fills *image, or fails and leaves nothing allocated. */
    cover_status (*read)(struct image *image, const struct image_source *source);
    /* See label_write(); NULL = a format that would change labels. */
    cover_status (*write_label)(cover_context *context, const char *path, const struct image *label, const char *like);
};
extern const struct image_format *const image_formats[]; /* NULL ends it */
extern const struct image_format png_format, jpeg_format, tiff_format, nifti_format;

/* The format of a path by extension; NULL when none takes it. */
const struct image_format *image_format_of(const char *path);
/* Where the extension begins by which image_format_of() takes the path; its end when no format does. */
const char *image_extension(const char *path);
/* Read a file; the error text begins with the path.  limit_bytes bounds the decoded size; 0 = the context's limit, without one 16 GiB
 * or what the machine has.  Whatever it is, all images and decoders of the context together keep to the context's limit. */
cover_status image_read(struct image *image, cover_context *context, const char *path, uint64_t limit_bytes);
/* A label map: one channel of u8, or of u16 where that is too small.  A palette's indices are the labels, numbers within 1e-3 of a
 * whole one are that; JPEG and several channels are refused.  The error text begins with the path. */
cover_status label_map_read(struct image *label, cover_context *context, const char *path);
/* The first step of it: image_read() that leaves indices of a palette as they are. */
cover_status image_read_indices(struct image *image, cover_context *context, const char *path);
/* Size, spacing and affine of a file: data is NULL.  A NIfTI file's header is all that is read of it. */
cover_status image_look(struct image *image, cover_context *context, const char *path);
/* Several files as one image, their channels behind each other in the order given; all must be of one size and lie
 * in one place. */
cover_status image_read_files(struct image *image, cover_context *context, const char *const *files, int count);
/* Does it say where it lies? */
bool image_place_known(const struct image *image);
/* Are the corners of two images of one size within a tenth of a voxel, where both say where they lie?  corner_a, corner_b: those
 * furthest apart. */
bool image_same_place(const struct image *a, const struct image *b, double corner_a[3], double corner_b[3]);
/* Take a single slice for what is wanted: a 2D image, or a volume where its file is one. */
void image_take_dims(struct image *image, int dims);
/* Three channels that are equal everywhere become one: grey that a program has saved as RGB.  False, and nothing is changed, else. */
bool image_drop_equal_channels(struct image *image);
/* Images of one size may be of different patients or orientations: where both say where they lie, each corner must be in
 * the same place within a tenth of a voxel; `what` names the other one. */
cover_status image_check_place(const struct image *image, const struct image *other, const char *what);
/* The same as image_read() from memory; path is the name in messages. */
cover_status image_decode(struct image *image, cover_context *context, const char *path, const uint8_t *bytes, size_t count,
                          uint64_t limit_bytes);
void image_free(struct image *image, cover_context *context);

/* For readers.  Allocate image->data for its dtype, size and channels, all checked, and put its bytes in *bytes. */
cover_status image_allocate(struct image *image, const struct image_source *source, size_t *bytes);

/* Write a label map (u8 or u16, one channel) in the format of the path's extension, in one move; spacing and affine are
 * kept where the format has a place for them.  like: the file of the image that it labels, whose geometry a NIfTI label takes
 * over field by field (sform, qform, units), or NULL.  COVER_ERROR_UNSUPPORTED when the format holds no such label. */
cover_status label_write(cover_context *context, const char *path, const struct image *label, const char *like);

/* Writers: PNG of 8-bit grey or RGB into memory (memory_free it); NIfTI-1 files, gzip when the path ends in .gz. */
cover_status png_encode(cover_context *context, uint8_t **bytes, size_t *count, const uint8_t *pixels, int64_t height,
                        int64_t width, int channels);
/* (D, H, W) float32 with the size and the geometry of an image.  One without an affine (a PNG, or NIfTI without qform and sform)
 * has ITK's frame for such images: axes along L, P, S, origin 0, spacing_mm where it is known and 1 mm where not. */
cover_status nifti_write(cover_context *context, const char *path, const float *values, const struct image *like);
/* The field that takes each point of `fixed`, where its file says that it lies, to its place in `moving`, where that one's file says
 * that it lies: 5-D NIfTI, intent 1007, x y z in mm, LPS, as ITK and ANTs read it; x y alone of 2D files.  field: (D, H, W, dims),
 * how many voxels further `moving` has what `fixed` has here, array-axis order; both images have one size. */
cover_status nifti_write_field(cover_context *context, const char *path, const float *field, const struct image *fixed,
                               const struct image *moving);
/* The write_label of the formats whose writers are files of their own. */
cover_status nifti_write_label(cover_context *context, const char *path, const struct image *label, const char *like);
/* The same, compressed, into a file that the caller has begun and will commit. */
struct replacement;
cover_status nifti_put_label(cover_context *context, struct replacement *file, const struct image *label);
cover_status tiff_write_label(cover_context *context, const char *path, const struct image *label, const char *like);

#endif
