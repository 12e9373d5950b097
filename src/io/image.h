/* Images as files hold them: one row a format {name, detect, read}; the first row whose detect() likes the first bytes
 * reads the file.  Readers check every size against the bytes present before they allocate. */
#ifndef COVER_IMAGE_H
#define COVER_IMAGE_H

#include "../core/base/base.h"

#include <libcover/tensor.h>

struct image {
    cover_dtype dtype;     /* COVER_U8, COVER_U16 or COVER_F32 (other types are converted to F32; scl_slope is applied) */
    int dims;              /* 2 or 3 */
    int channels;          /* 1, 3; alpha is dropped, palettes are resolved (grey palettes give 1 channel) */
    int64_t size[3];       /* D, H, W; D = 1 in 2D */
    double spacing_mm[3];  /* D, H, W order; 0 = not known */
    double affine[12];     /* voxel (x, y, z) to world, 3x4 rows, RAS mm; all 0 = not known */
    void *data;            /* channels last, D, H, W, C */
};

struct image_format {
    const char *name;       /* "PNG" */
    const char *extensions; /* ".png" or ".nii .nii.gz": files of these are taken when a folder is walked */
    bool (*detect)(const uint8_t *head, size_t bytes);
    cover_status (*read)(struct image *image, cover_context *context, const char *path, const uint8_t *bytes,
                         size_t count);
};
extern const struct image_format *const image_formats[]; /* NULL ends it */

/* The format of a path by extension; NULL when none takes it. */
const struct image_format *image_format_of(const char *path);
/* Read a file; the error text begins with the path.  limit_bytes bounds the decoded size (0 = 16 GiB). */
cover_status image_read(struct image *image, cover_context *context, const char *path, uint64_t limit_bytes);
void image_free(struct image *image, cover_context *context);

/* Writers: PNG of 8-bit grey or RGB into memory (memory_free it); NIfTI-1 files, gzip when the path ends in .gz. */
cover_status png_encode(cover_context *context, uint8_t **bytes, size_t *count, const uint8_t *pixels, int64_t height,
                        int64_t width, int channels);
/* (D, H, W) float32, or with components > 0 a displacement field (D, H, W, components) in voxels, array-axis order,
 * written as 5-D NIfTI, intent 1007, x y z in mm, LPS. */
cover_status nifti_write(cover_context *context, const char *path, const float *values, const int64_t size[3],
                         int components, const double spacing_mm[3], const double affine[12]);

#endif
