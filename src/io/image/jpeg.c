/* JPEG (ITU-T T.81): baseline and progressive, grey and colour, 8 bits.  The orientation that a camera may note beside the pixels (Exif)
 * is not applied.  A row of image_formats. */
#include "image.h"
#include "jpeg_read.h"

struct target {
    struct image *image;
    const struct image_source *source;
};

static bool detect(const uint8_t *head, size_t bytes) {
    return bytes >= 3 && head[0] == 0xff && head[1] == 0xd8 && head[2] == 0xff;
}

static cover_status set_colours(struct jpeg_decompress_struct *jpeg, struct image *image) {
    switch (jpeg->jpeg_color_space) {
    case JCS_GRAYSCALE:
        jpeg->out_color_space = JCS_GRAYSCALE, image->channels = 1;
        return COVER_OK;
    case JCS_YCbCr:
    case JCS_RGB:
        jpeg->out_color_space = JCS_RGB, image->channels = 3;
        return COVER_OK;
    case JCS_CMYK:
    case JCS_YCCK:
        return fail(COVER_ERROR_UNSUPPORTED, "a CMYK (print) JPEG; convert it to grey or RGB");
    default:
        return fail(COVER_ERROR_UNSUPPORTED, "a JPEG of %d components; convert it to grey or RGB", jpeg->num_components);
    }
}

static cover_status place(void *user, struct jpeg_decompress_struct *jpeg, void **pixels, size_t *row_bytes) {
    struct image *image = ((struct target *)user)->image;
    size_t bytes;
    TRY(set_colours(jpeg, image));
    if (jpeg->data_precision != 8)
        return fail(COVER_ERROR_UNSUPPORTED, "a JPEG with %d bits a sample; convert it to PNG or TIFF", jpeg->data_precision);
    image->dtype = COVER_U8, image->lossy = true;
    image->size[0] = 1, image->size[1] = jpeg->image_height, image->size[2] = jpeg->image_width;
    TRY(image_allocate(image, ((struct target *)user)->source, &bytes));
    *pixels = image->data, *row_bytes = bytes / jpeg->image_height;
    return COVER_OK;
}

static cover_status read_jpeg(struct image *image, const struct image_source *source) {
    struct target target = {image, source};
    cover_status status = jpeg_read(source->context, source->bytes, source->count, source->limit_bytes, place, &target);
    if (status != COVER_OK) image_free(image, source->context);
    return status;
}

const struct image_format jpeg_format = {.name = "JPEG", .extensions = ".jpg .jpeg", .detect = detect, .read = read_jpeg};
