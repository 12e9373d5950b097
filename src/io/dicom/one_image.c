/* The one image that a path means: a file of an image format, or of DICOM (a file, a folder, a DICOMDIR) the only volume.
 * Called by match. */
#include "set.h"

#include "core/base/files.h"

static cover_status read_study(struct image *image, cover_context *context, const char *path) {
    cover_dicom *set;
    int count, index;
    TRY(cover_dicom_create(&set, context, NULL));
    cover_status status = cover_dicom_add_path(set, path);
    if (status == COVER_OK) status = cover_dicom_volumes(set, &count);
    if (status == COVER_OK) status = cover_dicom_find(set, NULL, &index);
    if (status == COVER_OK) status = dicom_volume_image(image, set, index, -1, false);
    cover_dicom_destroy(set);
    return status == COVER_OK ? status : fail_in(status, "%s", path);
}

cover_status dicom_or_image_read(struct image *image, cover_context *context, const char *path) {
    bool is = folder_exists(path);
    if (!is && !image_format_of(path)) TRY(dicom_is_file(path, &is));
    return is ? read_study(image, context, path) : image_read(image, context, path, 0);
}
