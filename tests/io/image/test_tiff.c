/* TIFF files of every layout, written by libtiff into memory, read by ours: exact values, orientations, spacing,
 * stacks; then the three attacks, lying headers and what is refused by name. */
#include "io_test.h"

#include <tiffio.h>

/* ---- libtiff writing into memory */
struct sink {
    struct bytes file;
    size_t at;
};
static tmsize_t sink_read(thandle_t handle, void *to, tmsize_t count) {
    struct sink *sink = handle;
    size_t left = sink->at < sink->file.count ? sink->file.count - sink->at : 0;
    if ((size_t)count > left) count = (tmsize_t)left;
    if (count) memcpy(to, sink->file.data + sink->at, (size_t)count);
    sink->at += (size_t)count;
    return count;
}
static tmsize_t sink_write(thandle_t handle, void *from, tmsize_t count) {
    struct sink *sink = handle;
    bytes_put(&sink->file, sink->at, from, (size_t)count);
    sink->at += (size_t)count;
    return count;
}
static toff_t sink_seek(thandle_t handle, toff_t offset, int whence) {
    struct sink *sink = handle;
    return sink->at = offset + (whence == SEEK_CUR ? sink->at : whence == SEEK_END ? sink->file.count : 0);
}
static int sink_close(thandle_t handle) { return (void)handle, 0; }
static toff_t sink_size(thandle_t handle) { return ((struct sink *)handle)->file.count; }

/* 0 means the usual: 1 sample, 8 bits, unsigned, black is zero, no compression, strips of all rows, one page. */
struct tiff_spec {
    uint32_t width, height, pages;
    int samples, bits, format, photometric, compression, orientation;
    bool separate, white_is_zero;
    uint32_t rows, tile_width, tile_height;
    int unit; /* of resolution */
    float x_resolution, y_resolution;
    const uint16_t *palette; /* 3 tables of 2^bits */
    const char *description;
    const char *mode; /* "wl" little-endian, "wb" big-endian, "w8" BigTIFF */
    int predictor;
    uint16_t extra; /* kind of the last sample, with `has_extra` */
    bool has_extra, subsampled;
    uint32_t copy_after; /* write a reduced copy behind page number copy_after */
};

static void set_tags(TIFF *tiff, const struct tiff_spec *spec) {
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, spec->width);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, spec->height);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, spec->samples ? spec->samples : 1);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, spec->bits ? spec->bits : 8);
    TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, spec->format ? spec->format : SAMPLEFORMAT_UINT);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC,
                 spec->white_is_zero  ? PHOTOMETRIC_MINISWHITE
                 : spec->photometric  ? spec->photometric
                 : spec->samples >= 3 ? PHOTOMETRIC_RGB
                                      : PHOTOMETRIC_MINISBLACK);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, spec->compression ? spec->compression : COMPRESSION_NONE);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, spec->separate ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG);
    if (spec->has_extra) TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, &spec->extra);
    if (spec->orientation) TIFFSetField(tiff, TIFFTAG_ORIENTATION, spec->orientation);
    if (spec->predictor) TIFFSetField(tiff, TIFFTAG_PREDICTOR, spec->predictor);
    if (spec->palette) {
        const size_t entries = (size_t)1 << (spec->bits ? spec->bits : 8);
        TIFFSetField(tiff, TIFFTAG_COLORMAP, spec->palette, spec->palette + entries, spec->palette + 2 * entries);
    }
    if (spec->description) TIFFSetField(tiff, TIFFTAG_IMAGEDESCRIPTION, spec->description);
    if (spec->unit) TIFFSetField(tiff, TIFFTAG_RESOLUTIONUNIT, spec->unit);
    if (spec->x_resolution > 0) TIFFSetField(tiff, TIFFTAG_XRESOLUTION, spec->x_resolution);
    if (spec->y_resolution > 0) TIFFSetField(tiff, TIFFTAG_YRESOLUTION, spec->y_resolution);
    if (spec->compression == COMPRESSION_JPEG && spec->photometric == PHOTOMETRIC_YCBCR) {
        TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        TIFFSetField(tiff, TIFFTAG_YCBCRSUBSAMPLING, spec->subsampled ? 2 : 1, spec->subsampled ? 2 : 1);
    }
    if (spec->tile_width) {
        TIFFSetField(tiff, TIFFTAG_TILEWIDTH, spec->tile_width);
        TIFFSetField(tiff, TIFFTAG_TILELENGTH, spec->tile_height);
    } else {
        TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, spec->rows ? spec->rows : spec->height);
    }
}

/* `pixels`: channels last, packed rows as the file wants them for bits < 8. */
static void write_page(TIFF *tiff, const struct tiff_spec *spec, const uint8_t *pixels) {
    const size_t samples = spec->samples ? (size_t)spec->samples : 1, bits = spec->bits ? (size_t)spec->bits : 8;
    const size_t element = bits / 8, row_bytes = (spec->width * samples * bits + 7) / 8;
    const uint32_t across = spec->tile_width ? (spec->width - 1) / spec->tile_width + 1 : 1;
    const uint32_t piece_width = spec->tile_width ? spec->tile_width : spec->width;
    const uint32_t piece_height = spec->tile_width ? spec->tile_height : spec->rows ? spec->rows : spec->height;
    const uint32_t down = (spec->height - 1) / piece_height + 1;
    const size_t planes = spec->separate ? samples : 1, a_pixel = spec->separate ? 1 : samples;
    uint32_t index = 0;
    for (size_t plane = 0; plane < planes; plane++)
        for (uint32_t j = 0; j < down; j++)
            for (uint32_t i = 0; i < across; i++, index++) {
                size_t piece_row = bits < 8 ? row_bytes : piece_width * a_pixel * element;
                uint8_t *piece = calloc(piece_height, piece_row);
                uint32_t rows = spec->height - j * piece_height < piece_height ? spec->height - j * piece_height : piece_height;
                for (uint32_t y = 0; y < rows; y++) {
                    const uint8_t *row = pixels + (j * piece_height + y) * row_bytes;
                    if (bits < 8) memcpy(piece + y * piece_row, row, row_bytes);
                    else
                        for (uint32_t x = 0; x < piece_width && i * piece_width + x < spec->width; x++)
                            memcpy(piece + y * piece_row + x * a_pixel * element,
                                   row + ((i * piece_width + x) * samples + plane) * element, a_pixel * element);
                }
                tmsize_t bytes = (tmsize_t)(piece_row * (spec->tile_width ? piece_height : rows));
                tmsize_t got = spec->tile_width ? TIFFWriteEncodedTile(tiff, index, piece, bytes)
                                                : TIFFWriteEncodedStrip(tiff, index, piece, bytes);
                ck_assert_int_eq(got, bytes);
                free(piece);
            }
}

/* Each page begins `page_bytes` behind the one before. */
static struct bytes tiff_file(const struct tiff_spec *spec, const void *pixels, size_t page_bytes) {
    struct sink sink = {0};
    TIFF *tiff = TIFFClientOpen("memory", spec->mode ? spec->mode : "w", &sink, sink_read, sink_write, sink_seek, sink_close,
                                sink_size, NULL, NULL);
    ck_assert_ptr_nonnull(tiff);
    for (uint32_t page = 0; page < (spec->pages ? spec->pages : 1); page++) {
        set_tags(tiff, spec);
        write_page(tiff, spec, (const uint8_t *)pixels + page * page_bytes);
        ck_assert_int_eq(TIFFWriteDirectory(tiff), 1);
        if (spec->copy_after != page + 1) continue;
        struct tiff_spec copy = {.width = 2, .height = 2};
        set_tags(tiff, &copy);
        TIFFSetField(tiff, TIFFTAG_SUBFILETYPE, FILETYPE_REDUCEDIMAGE);
        write_page(tiff, &copy, pixels);
        ck_assert_int_eq(TIFFWriteDirectory(tiff), 1);
    }
    TIFFClose(tiff);
    return sink.file;
}

enum { W = 37, H = 23 };

static uint8_t noise[W * H * 4 * 8];
__attribute__((constructor)) static void make_noise(void) {
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (uint8_t)(i * 2654435761u >> 21);
}

START_TEST(strips_tiles_planes_codecs_and_byte_orders_give_the_same_pixels) {
    static const int compressions[] = {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE, COMPRESSION_PACKBITS};
    static const char *const modes[] = {"wl", "wb", "w8l", "w8b"};
    for (int c = 0; c < 4; c++)
        for (int layout = 0; layout < 3; layout++)
            for (int samples = 1; samples <= 4; samples++)
                for (int bits = 8; bits <= 16; bits += 8)
                    for (int separate = 0; separate <= (samples > 1); separate++) {
                        struct tiff_spec spec = {.width = W,
                                                 .height = H,
                                                 .samples = samples,
                                                 .bits = bits,
                                                 .compression = compressions[c],
                                                 .separate = separate,
                                                 .mode = modes[(c + layout + samples) % 4]};
                        if (layout == 1) spec.rows = 5;
                        if (layout == 2) spec.tile_width = 16, spec.tile_height = 32;
                        if (samples % 2 == 0) spec.has_extra = true, spec.extra = EXTRASAMPLE_UNASSALPHA;
                        struct bytes file = tiff_file(&spec, noise, 0);
                        struct image image = decoded(&file);
                        const int channels = samples < 3 ? 1 : 3;
                        ck_assert_shape(&image, bits == 8 ? COVER_U8 : COVER_U16, 2, channels, 1, H, W);
                        const size_t element = (size_t)bits / 8;
                        for (size_t i = 0; i < W * H; i++)
                            ck_assert_mem_eq((uint8_t *)image.data + i * (size_t)channels * element,
                                             noise + i * (size_t)samples * element, (size_t)channels * element);
                        image_free(&image, context);
                        bytes_free(&file);
                    }
}
END_TEST

START_TEST(the_number_types_keep_their_values) {
    static const struct {
        int format, bits;
    } types[] = {{SAMPLEFORMAT_INT, 8},   {SAMPLEFORMAT_INT, 16},  {SAMPLEFORMAT_INT, 32},    {SAMPLEFORMAT_INT, 64},
                 {SAMPLEFORMAT_UINT, 32}, {SAMPLEFORMAT_UINT, 64}, {SAMPLEFORMAT_IEEEFP, 32}, {SAMPLEFORMAT_IEEEFP, 64}};
    static const double values[6] = {0, 1, 100, -1, -100, 0.5};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (int big = 0; big < 2; big++) {
            uint8_t pixels[6 * 8];
            const bool real = types[t].format == SAMPLEFORMAT_IEEEFP, whole = types[t].format == SAMPLEFORMAT_UINT;
            const int count = real ? 6 : whole ? 3 : 5;
            for (int i = 0; i < 6; i++) {
                double v = i < count ? values[i] : 0;
                switch (real ? -types[t].bits : types[t].bits) {
                case 8:
                    memcpy(pixels + i, &(int8_t){(int8_t)v}, 1);
                    break;
                case 16:
                    memcpy(pixels + 2 * i, &(int16_t){(int16_t)v}, 2);
                    break;
                case 32:
                    memcpy(pixels + 4 * i, &(int32_t){(int32_t)v}, 4);
                    break;
                case 64:
                    memcpy(pixels + 8 * i, &(int64_t){(int64_t)v}, 8);
                    break;
                case -32:
                    memcpy(pixels + 4 * i, &(float){(float)v}, 4);
                    break;
                default:
                    memcpy(pixels + 8 * i, &v, 8);
                }
            }
            struct bytes file = tiff_file(&(struct tiff_spec){.width = 3,
                                                              .height = 2,
                                                              .bits = types[t].bits,
                                                              .format = types[t].format,
                                                              .mode = big ? "wb" : "wl",
                                                              .compression = COMPRESSION_LZW},
                                          pixels, 0);
            struct image image = decoded(&file);
            ck_assert_shape(&image, COVER_F32, 2, 1, 1, 2, 3);
            for (int i = 0; i < count; i++) ck_assert(((float *)image.data)[i] == (float)values[i]);
            image_free(&image, context);
            bytes_free(&file);
        }
}
END_TEST

START_TEST(few_bits_are_expanded_and_white_is_zero_inverted) {
    for (int bits = 1; bits <= 16; bits *= 2)
        for (int white = 0; white < 2; white++) {
            const size_t row_bytes = (size_t)(W * bits + 7) / 8;
            struct bytes file = tiff_file(
                &(struct tiff_spec){.width = W, .height = H, .bits = bits, .rows = 7, .white_is_zero = white, .mode = "wl"}, noise,
                0);
            struct image image = decoded(&file);
            ck_assert_shape(&image, bits == 16 ? COVER_U16 : COVER_U8, 2, 1, 1, H, W);
            for (size_t y = 0; y < H; y++)
                for (size_t x = 0; x < W; x++) {
                    const uint8_t *row = noise + y * row_bytes;
                    const int most = (1 << bits) - 1, top = bits == 16 ? 65535 : 255;
                    int raw = bits == 16 ? row[2 * x] + 256 * row[2 * x + 1]
                                         : row[x * (size_t)bits / 8] >> (8 - (size_t)bits - x * (size_t)bits % 8) & most;
                    int expected = (int)((int64_t)raw * top / most);
                    if (white) expected = top - expected;
                    int value = bits == 16 ? ((uint16_t *)image.data)[y * W + x] : ((uint8_t *)image.data)[y * W + x];
                    ck_assert_int_eq(value, expected);
                }
            image_free(&image, context);
            bytes_free(&file);
        }
    struct bytes real = tiff_file(
        &(struct tiff_spec){.width = 2, .height = 2, .bits = 32, .white_is_zero = true, .format = SAMPLEFORMAT_IEEEFP}, noise, 0);
    ck_assert_refused(&real, COVER_ERROR_UNSUPPORTED, "white-is-zero");
    bytes_free(&real);
}
END_TEST

START_TEST(a_palette_is_resolved_and_one_of_greys_gives_one_channel) {
    for (int kind = 0; kind < 4; kind++) /* grey or not, 16- or 8-bit tables */
        for (int bits = 1; bits <= 8; bits *= 2) {
            const int entries = 1 << bits, channels = kind & 1 ? 1 : 3;
            uint16_t palette[3 * 256];
            for (int i = 0; i < entries; i++)
                for (int c = 0; c < 3; c++) {
                    uint16_t value = (uint16_t)((kind & 1 ? i + 100 : i + 100 + 30 * c) % 256);
                    palette[c * entries + i] = kind & 2 ? value : (uint16_t)(value * 257);
                }
            struct bytes file = tiff_file(
                &(struct tiff_spec){.width = W, .height = H, .bits = bits, .palette = palette, .photometric = PHOTOMETRIC_PALETTE},
                noise, 0);
            struct image image = decoded(&file);
            ck_assert_shape(&image, COVER_U8, 2, channels, 1, H, W);
            const size_t row_bytes = (size_t)(W * bits + 7) / 8;
            for (size_t y = 0; y < H; y++)
                for (size_t x = 0; x < W; x++) {
                    int index =
                        noise[y * row_bytes + x * (size_t)bits / 8] >> (8 - (size_t)bits - x * (size_t)bits % 8) & (entries - 1);
                    for (int c = 0; c < channels; c++)
                        ck_assert_int_eq(((uint8_t *)image.data)[(y * W + x) * (size_t)channels + (size_t)c],
                                         palette[c * entries + index] >> (kind & 2 ? 0 : 8));
                }
            image_free(&image, context);
            bytes_free(&file);
        }
}
END_TEST

START_TEST(each_orientation_is_turned_upright) {
    /* an image of 2 x 3 as it should be seen, and how each orientation stores it */
    static const uint8_t seen[6] = {1, 2, 3, 4, 5, 6};
    static const uint8_t stored[9][6] = {
        [1] = {1, 2, 3, 4, 5, 6}, [2] = {3, 2, 1, 6, 5, 4}, [3] = {6, 5, 4, 3, 2, 1}, [4] = {4, 5, 6, 1, 2, 3},
        [5] = {1, 4, 2, 5, 3, 6}, [6] = {3, 6, 2, 5, 1, 4}, [7] = {6, 3, 5, 2, 4, 1}, [8] = {4, 1, 5, 2, 6, 3},
    };
    for (int orientation = 1; orientation <= 8; orientation++) {
        const bool turned = orientation >= 5;
        struct tiff_spec spec = {.width = turned ? 2 : 3,
                                 .height = turned ? 3 : 2,
                                 .orientation = orientation,
                                 .unit = RESUNIT_CENTIMETER,
                                 .x_resolution = turned ? 40 : 20,
                                 .y_resolution = turned ? 20 : 40};
        struct bytes file = tiff_file(&spec, stored[orientation], 0);
        struct image image = decoded(&file);
        ck_assert_shape(&image, COVER_U8, 2, 1, 1, 2, 3);
        ck_assert_mem_eq(image.data, seen, 6);
        ck_assert(image.spacing_mm[1] == 0.25 && image.spacing_mm[2] == 0.5);
        image_free(&image, context);
        bytes_free(&file);
    }
}
END_TEST

START_TEST(resolution_becomes_spacing_when_it_has_a_unit) {
    static const struct {
        int unit;
        float x, y;
        double spacing_x, spacing_y;
    } cases[] = {{RESUNIT_INCH, 254, 127, 0.1, 0.2}, {RESUNIT_CENTIMETER, 100, 50, 0.1, 0.2}, {0, 254, 127, 0.1, 0.2},
                 {RESUNIT_NONE, 254, 127, 0, 0},     {RESUNIT_INCH, 0, 127, 0, 0.2},          {RESUNIT_INCH, 0, 0, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes file = tiff_file(
            &(struct tiff_spec){
                .width = 2, .height = 2, .unit = cases[i].unit, .x_resolution = cases[i].x, .y_resolution = cases[i].y},
            noise, 0);
        struct image image = decoded(&file);
        ck_assert(fabs(image.spacing_mm[1] - cases[i].spacing_y) < 1e-9);
        ck_assert(fabs(image.spacing_mm[2] - cases[i].spacing_x) < 1e-9);
        ck_assert(image.spacing_mm[0] == 0);
        image_free(&image, context);
        bytes_free(&file);
    }
}
END_TEST

START_TEST(equal_pages_are_slices_and_reduced_copies_are_passed_over) {
    for (uint32_t copy = 0; copy <= 3; copy++) {
        struct tiff_spec spec = {
            .width = 5, .height = 4, .pages = 3, .bits = 16, .mode = "wl", .copy_after = copy, .compression = COMPRESSION_LZW};
        struct bytes file = tiff_file(&spec, noise, 40);
        struct image image = decoded(&file);
        ck_assert_shape(&image, COVER_U16, 3, 1, 3, 4, 5);
        ck_assert_mem_eq(image.data, noise, 120);
        image_free(&image, context);
        bytes_free(&file);
    }
}
END_TEST

/* A 4x5 stack of so many pages with this description. */
static struct bytes described(uint32_t pages, int samples, const char *description) {
    return tiff_file(&(struct tiff_spec){.width = 5, .height = 4, .pages = pages, .samples = samples, .description = description},
                     noise, 20 * (samples ? (size_t)samples : 1));
}

#define OME(order, c, z, t, data)                                                                                                  \
    "<?xml version=\"1.0\"?><OME><Image><Pixels DimensionOrder=\"XY" order "\" SizeC=\"" #c "\" SizeZ=\"" #z "\" SizeT=\"" #t      \
    "\" SizeX=\"5\" SizeY=\"4\">" data "</Pixels></Image></OME>"

START_TEST(pages_are_channels_or_slices_as_the_file_says) {
    static const struct {
        const char *description;
        uint32_t pages;
        int channels, slices;
        char order[4]; /* page of (slice 1, channel 0), of (slice 0, channel 1) */
    } cases[] = {
        {"", 3, 1, 3, "1-"},
        {"ImageJ=1.53t\nimages=3\nslices=3\nloop=false\n", 3, 1, 3, "1-"},
        {"ImageJ=1.53t\nimages=3\nchannels=3\nmode=composite\n", 3, 3, 1, "-1"},
        {"ImageJ=1.53t\nimages=6\nchannels=2\nslices=3\nhyperstack=true\n", 6, 2, 3, "21"},
        {"ImageJ=1.53t\nimages=4\nframes=4\n", 4, 1, 4, "1-"},
        {OME("CZT", 3, 1, 1, ""), 3, 3, 1, "-1"},
        {OME("ZCT", 2, 3, 1, "<TiffData IFD=\"4\" FirstC=\"1\" FirstZ=\"1\"/>"), 6, 2, 3, "13"},
        {OME("ZTC", 2, 1, 3, "<TiffData/>"), 6, 2, 3, "13"},
        {OME("CZT", 1, 1, 1, ""), 3, 1, 3, "1-"}, /* says less than there is */
        {"{\"shape\": [3, 4, 5]}", 3, 1, 3, "1-"},
        {"{\"shape\": [2, 3, 4, 5], \"axes\": \"CZYX\"}", 6, 2, 3, "13"},
        {"{\"shape\": [3, 2, 4, 5], \"axes\": \"ZCYX\"}", 6, 2, 3, "21"},
        {"{\"shape\": [3, 2, 4, 5], \"axes\": \"QQYX\"}", 6, 1, 6, "1-"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int channels = cases[i].channels, slices = cases[i].slices;
        struct bytes file = described(cases[i].pages, 0, cases[i].description);
        struct image image = decoded(&file);
        ck_assert_shape(&image, COVER_U8, slices > 1 ? 3 : 2, channels, slices, 4, 5);
        const uint8_t *values = image.data;
        for (int p = 0; p < 20; p++) {
            ck_assert_uint_eq(values[p * channels], noise[p]);
            if (slices > 1) ck_assert_uint_eq(values[(20 + p) * channels], noise[20 * (cases[i].order[0] - '0') + p]);
            if (channels > 1) ck_assert_uint_eq(values[p * channels + 1], noise[20 * (cases[i].order[1] - '0') + p]);
        }
        const bool frames = strstr(cases[i].description, "frames=4") || strstr(cases[i].description, "SizeT=\"3\"");
        ck_assert_int_eq(strstr(image.note, "frames in time") != NULL, frames);
        image_free(&image, context);
        bytes_free(&file);
    }
}
END_TEST

START_TEST(images_that_are_not_pages_are_missed) {
    static const struct {
        const char *description;
        uint32_t pages;
        const char *part;
    } cases[] = {
        {"ImageJ=1.53t\nimages=3\nslices=3\n", 1,
         "ImageJ's description says 3 images, but 2 of them are not where TIFF keeps pages"},
        {OME("CZT", 3, 2, 1, ""), 3, "its OME-XML says 6 images, but 3 of them"},
        {"{\"shape\": [3, 4, 5], \"truncated\": true}", 1, "says 3 images, but 2"},
        {"ImageJ=1.53t\nimages=6\nslices=3\nframes=2\n", 6, "says 2 frames of 3 slices; split the series"},
        {"ImageJ=1.53t\nimages=17\nchannels=17\n", 17, "says 17 channels; at most 16"},
        {OME("ABC", 3, 1, 1, ""), 3, "no DimensionOrder"},
        {OME("CZT", 3, 1, 1, "<TiffData IFD=\"0\" FirstC=\"2\"/>"), 3, "lists its pages one by one"},
        {OME("CZT", -3, 1, 1, ""), 3, "it is damaged"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes file = described(cases[i].pages, 0, cases[i].description);
        struct image image;
        ck_assert_int_ne(decode_exactly(&image, file.data, file.count), COVER_OK);
        ck_assert_msg(strstr(cover_error_text(), cases[i].part) != NULL, "%s: %s", cases[i].description, cover_error_text());
        bytes_free(&file);
    }
}
END_TEST

START_TEST(colours_of_a_page_are_no_channels_of_their_own) {
    struct bytes file = described(2, 3, OME("CZT", 3, 2, 1, ""));
    struct image image = decoded(&file);
    ck_assert_shape(&image, COVER_U8, 3, 3, 2, 4, 5);
    ck_assert_mem_eq(image.data, noise, 120);
    image_free(&image, context);
    bytes_free(&file);
}
END_TEST

/* MetaMorph's UIC2 has as many entries as there are planes: here made of the resolution, another rational number. */
START_TEST(planes_of_metamorph_that_are_not_pages_are_missed) {
    struct bytes file =
        tiff_file(&(struct tiff_spec){.width = 5, .height = 4, .mode = "wl", .x_resolution = 7, .y_resolution = 7}, noise, 0);
    const uint8_t resolution[8] = {282 & 255, 282 >> 8, 5, 0, 1, 0, 0, 0}, planes[8] = {33629 & 255, 33629 >> 8, 5, 0, 2, 0, 0, 0};
    size_t at = 0;
    while (at + 8 < file.count && memcmp(file.data + at, resolution, 8) != 0) at++;
    ck_assert_uint_lt(at + 8, file.count);
    memcpy(file.data + at, planes, 8);
    ck_assert_refused(&file, COVER_ERROR_UNSUPPORTED, "MetaMorph's tag UIC2 says 2 images, but 1 of them");
    bytes_free(&file);
}
END_TEST

START_TEST(pages_that_differ_are_refused) {
    struct sink sink = {0};
    TIFF *tiff = TIFFClientOpen("memory", "w", &sink, sink_read, sink_write, sink_seek, sink_close, sink_size, NULL, NULL);
    for (uint32_t page = 0; page < 2; page++) {
        struct tiff_spec spec = {.width = 5 + page, .height = 4};
        set_tags(tiff, &spec);
        write_page(tiff, &spec, noise);
        TIFFWriteDirectory(tiff);
    }
    TIFFClose(tiff);
    ck_assert_refused(&sink.file, COVER_ERROR_UNSUPPORTED, "page 2 is 6 x 4 with 1 channels of u8, but the first is 5 x 4");
    bytes_free(&sink.file);
}
END_TEST

START_TEST(jpeg_inside_tiff_is_read_and_its_damage_seen) {
    for (int subsampled = 0; subsampled < 2; subsampled++)
        for (int tiled = 0; tiled < 2; tiled++) {
            uint8_t pixels[64 * 48 * 3];
            for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(60 + 50 * (i % 3));
            struct tiff_spec spec = {.width = 64,
                                     .height = 48,
                                     .samples = 3,
                                     .compression = COMPRESSION_JPEG,
                                     .photometric = PHOTOMETRIC_YCBCR,
                                     .subsampled = subsampled,
                                     .rows = 16,
                                     .tile_width = tiled ? 32 : 0,
                                     .tile_height = 16};
            struct bytes file = tiff_file(&spec, pixels, 0);
            struct image image = decoded(&file);
            ck_assert_shape(&image, COVER_U8, 2, 3, 1, 48, 64);
            for (size_t i = 0; i < sizeof pixels; i++) ck_assert_int_le(abs(((uint8_t *)image.data)[i] - pixels[i]), 2);
            image_free(&image, context);
            bytes_free(&file);
        }
    struct tiff_spec spec = {.width = W, .height = H, .samples = 1, .compression = COMPRESSION_JPEG};
    struct bytes file = tiff_file(&spec, noise, 0);
    struct image image = decoded(&file);
    image_free(&image, context);
    for (size_t i = 0; i + 1 < file.count; i++) /* the scan ends at once */
        if (file.data[i] == 0xff && file.data[i + 1] == 0xda) {
            file.data[i + 12] = 0xff, file.data[i + 13] = 0xd9;
            break;
        }
    ck_assert_refused(&file, COVER_ERROR_FORMAT, "truncated or damaged");
    bytes_free(&file);
}
END_TEST

START_TEST(unsupported_kinds_are_refused_by_name) {
    static const struct {
        struct tiff_spec spec;
        const char *says;
    } cases[] = {
        {{.width = 4, .height = 4, .samples = 4, .photometric = PHOTOMETRIC_SEPARATED}, "PhotometricInterpretation is 5"},
        {{.width = 4, .height = 4, .samples = 3, .photometric = PHOTOMETRIC_YCBCR}, "YCbCr without JPEG"},
        {{.width = 4, .height = 4, .samples = 2}, "SamplesPerPixel is 2"},
        {{.width = 4, .height = 4, .samples = 5}, "SamplesPerPixel is 5"},
        {{.width = 4, .height = 4, .bits = 16, .format = SAMPLEFORMAT_IEEEFP}, "BitsPerSample is 16 with SampleFormat 3"},
        {{.width = 8, .height = 4, .bits = 1, .compression = COMPRESSION_CCITTFAX4}, "Compression is 4"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes file = tiff_file(&cases[i].spec, noise, 0);
        ck_assert_refused(&file, COVER_ERROR_UNSUPPORTED, cases[i].says);
        bytes_free(&file);
    }
}
END_TEST

/* ---- damage */
static struct bytes small_file(int variant) {
    static const struct tiff_spec specs[] = {
        {.width = 9, .height = 7, .samples = 3, .rows = 3, .mode = "wl"},
        {.width = 9, .height = 7, .samples = 3, .separate = true, .compression = COMPRESSION_LZW, .mode = "wb"},
        {.width = 9,
         .height = 7,
         .bits = 16,
         .tile_width = 16,
         .tile_height = 16,
         .mode = "w8l",
         .compression = COMPRESSION_ADOBE_DEFLATE,
         .predictor = 2,
         .orientation = 6},
        {.width = 9, .height = 7, .pages = 3, .compression = COMPRESSION_PACKBITS, .mode = "wl"},
        {.width = 9, .height = 7, .bits = 32, .format = SAMPLEFORMAT_IEEEFP, .mode = "wb", .unit = 2, .x_resolution = 9},
    };
    return tiff_file(&specs[variant], noise, 63);
}
#define FOR_SMALL_FILES(statement)                                                                                                 \
    for (int variant = 0; variant < 5; variant++) {                                                                                \
        struct bytes file = small_file(variant);                                                                                   \
        statement;                                                                                                                 \
        bytes_free(&file);                                                                                                         \
    }

START_TEST(every_truncated_tiff_is_refused) { FOR_SMALL_FILES(every_shorter_file_is_refused(&file)); }
END_TEST
START_TEST(every_changed_byte_of_a_tiff_is_survived) { FOR_SMALL_FILES(every_changed_byte_is_survived(&file, file.count)); }
END_TEST
START_TEST(refused_memory_leaks_nothing) { FOR_SMALL_FILES(every_refused_allocation_is_survived(&file)); }
END_TEST

/* The value field of a tag in the first directory of a little-endian classic file. */
static uint8_t *tag_value(struct bytes *file, int tag) {
    uint8_t *data = file->data;
    size_t at = data[4] + 256u * data[5] + 65536u * data[6];
    for (int i = 0; i < data[at] + 256 * data[at + 1]; i++)
        if (data[at + 2 + 12 * (size_t)i] + 256 * data[at + 3 + 12 * (size_t)i] == tag) return data + at + 2 + 12 * (size_t)i + 8;
    ck_abort_msg("no tag %d", tag);
    return NULL;
}

START_TEST(tags_that_promise_more_than_the_file_holds_are_refused) {
    static const int compressions[] = {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE};
    for (int c = 0; c < 3; c++) {
        struct bytes file =
            tiff_file(&(struct tiff_spec){.width = 9, .height = 7, .mode = "wl", .compression = compressions[c]}, noise, 0);
        uint8_t *width = tag_value(&file, TIFFTAG_IMAGEWIDTH), *height = tag_value(&file, TIFFTAG_IMAGELENGTH);
        uint8_t *rows = tag_value(&file, TIFFTAG_ROWSPERSTRIP);
        width[1] = 200, height[1] = 255, rows[1] = 255; /* 51209 x 65287: SHORT or LONG alike */
        ck_assert_refused(&file, COVER_ERROR_FORMAT, "ImageWidth 51209 and ImageLength 65287");
        bytes_free(&file);
    }
}
END_TEST

START_TEST(a_strip_outside_the_file_is_refused) {
    struct bytes file = tiff_file(&(struct tiff_spec){.width = 9, .height = 7, .mode = "wl"}, noise, 0);
    tag_value(&file, TIFFTAG_STRIPOFFSETS)[1] = 77;
    ck_assert_refused(&file, COVER_ERROR_FORMAT, "strip 0 has 63 bytes at 19720");
    bytes_free(&file);
}
END_TEST

START_TEST(a_ring_of_pages_is_refused) {
    struct bytes file = tiff_file(&(struct tiff_spec){.width = 9, .height = 7, .mode = "wl"}, noise, 0);
    size_t at = file.data[4] + 256u * file.data[5];
    size_t next = at + 2 + 12 * (size_t)file.data[at];
    memcpy(file.data + next, file.data + 4, 4); /* the page after this one is this one */
    ck_assert_refused(&file, COVER_ERROR_FORMAT, "the next page");
    bytes_free(&file);
}
END_TEST

static int calls_of_global_handlers;
static void global_handler(const char *module, const char *format, va_list arguments) {
    (void)module, (void)format, (void)arguments;
    calls_of_global_handlers++;
}

START_TEST(handlers_of_the_process_stay_in_place_and_are_not_called) {
    TIFFSetErrorHandler(global_handler);
    TIFFSetWarningHandler(global_handler);
    FOR_SMALL_FILES({
        struct image image;
        for (size_t count = 4; count < file.count; count += 7) decode_exactly(&image, file.data, count);
        every_changed_byte_is_survived(&file, 64);
    });
    ck_assert_int_eq(calls_of_global_handlers, 0);
    ck_assert(TIFFSetErrorHandler(NULL) == global_handler);
    ck_assert(TIFFSetWarningHandler(NULL) == global_handler);
}
END_TEST

RUN_IO_TESTS("io tiff", handlers_of_the_process_stay_in_place_and_are_not_called,
             strips_tiles_planes_codecs_and_byte_orders_give_the_same_pixels, the_number_types_keep_their_values,
             few_bits_are_expanded_and_white_is_zero_inverted, a_palette_is_resolved_and_one_of_greys_gives_one_channel,
             each_orientation_is_turned_upright, resolution_becomes_spacing_when_it_has_a_unit,
             equal_pages_are_slices_and_reduced_copies_are_passed_over, pages_are_channels_or_slices_as_the_file_says,
             images_that_are_not_pages_are_missed, colours_of_a_page_are_no_channels_of_their_own,
             planes_of_metamorph_that_are_not_pages_are_missed, pages_that_differ_are_refused,
             jpeg_inside_tiff_is_read_and_its_damage_seen, unsupported_kinds_are_refused_by_name, every_truncated_tiff_is_refused,
             every_changed_byte_of_a_tiff_is_survived, refused_memory_leaks_nothing,
             tags_that_promise_more_than_the_file_holds_are_refused, a_strip_outside_the_file_is_refused,
             a_ring_of_pages_is_refused)
