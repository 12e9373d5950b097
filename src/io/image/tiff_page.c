/* See tiff_page.h.  The tags are those of TIFF 6.0; what is not in the tables below is refused by name, so no codec of
 * libtiff runs that was not meant. */
#include "tiff_page.h"

#include "io/bytes/inflate.h"

#include <math.h>
#include <string.h>

/* Codecs, and a bound on how many bytes one byte can unpack to. */
static const struct {
    uint16_t code;
    const char *name;
    uint32_t ratio;
} codecs[] = {
    {COMPRESSION_NONE, "none", 1},
    {COMPRESSION_LZW, "LZW", 4096},
    {COMPRESSION_PACKBITS, "PackBits", 64},
    {COMPRESSION_ADOBE_DEFLATE, "Deflate", DEFLATE_RATIO},
    {COMPRESSION_DEFLATE, "Deflate", DEFLATE_RATIO},
    {COMPRESSION_JPEG, "JPEG", 4096},
    {COMPRESSION_LZMA, "LZMA", 16384},
    {COMPRESSION_ZSTD, "Zstandard", 65536},
};

/* SampleFormat and BitsPerSample that are read. */
static const struct {
    uint16_t format, bits;
    enum sample sample;
} sample_kinds[] = {
    {SAMPLEFORMAT_UINT, 1, SAMPLE_U8},     {SAMPLEFORMAT_UINT, 2, SAMPLE_U8},   {SAMPLEFORMAT_UINT, 4, SAMPLE_U8},
    {SAMPLEFORMAT_UINT, 8, SAMPLE_U8},     {SAMPLEFORMAT_UINT, 16, SAMPLE_U16}, {SAMPLEFORMAT_UINT, 32, SAMPLE_U32},
    {SAMPLEFORMAT_UINT, 64, SAMPLE_U64},   {SAMPLEFORMAT_INT, 8, SAMPLE_I8},    {SAMPLEFORMAT_INT, 16, SAMPLE_I16},
    {SAMPLEFORMAT_INT, 32, SAMPLE_I32},    {SAMPLEFORMAT_INT, 64, SAMPLE_I64},  {SAMPLEFORMAT_IEEEFP, 32, SAMPLE_F32},
    {SAMPLEFORMAT_IEEEFP, 64, SAMPLE_F64},
};

/* Where row 0 and column 0 of the file lie in the image as seen: tag 274, values 1 to 8. */
static const struct {
    bool transposed, backward_y, backward_x; /* of the image as seen */
} turns[9] = {
    [ORIENTATION_TOPLEFT] = {false, false, false}, [ORIENTATION_TOPRIGHT] = {false, false, true},
    [ORIENTATION_BOTRIGHT] = {false, true, true},  [ORIENTATION_BOTLEFT] = {false, true, false},
    [ORIENTATION_LEFTTOP] = {true, false, false},  [ORIENTATION_RIGHTTOP] = {true, false, true},
    [ORIENTATION_RIGHTBOT] = {true, true, true},   [ORIENTATION_LEFTBOT] = {true, true, false},
};

static uint16_t tag16(TIFF *tiff, uint32_t tag, uint16_t otherwise) {
    uint16_t value;
    return TIFFGetFieldDefaulted(tiff, tag, &value) ? value : otherwise;
}

bool tiff_page_is_copy(TIFF *tiff) {
    uint32_t kind = 0;
    return TIFFGetFieldDefaulted(tiff, TIFFTAG_SUBFILETYPE, &kind) && kind & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK);
}

static cover_status read_size(struct tiff_page *page, TIFF *tiff) {
    page->width = page->height = 0;
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &page->width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &page->height);
    if (page->width < 1 || page->height < 1)
        return fail(COVER_ERROR_FORMAT, "ImageWidth is %u and ImageLength %u; the file is damaged", page->width, page->height);
    page->orientation = tag16(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
    if (page->orientation < 1 || page->orientation > 8)
        return fail(COVER_ERROR_FORMAT, "Orientation is %d, not 1 to 8; the file is damaged", page->orientation);
    bool transposed = turns[page->orientation].transposed;
    page->upright_width = transposed ? page->height : page->width;
    page->upright_height = transposed ? page->width : page->height;

    const uint16_t unit = tag16(tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_INCH);
    const double unit_mm = unit == RESUNIT_INCH ? 25.4 : unit == RESUNIT_CENTIMETER ? 10 : 0;
    const uint32_t tags[2] = {TIFFTAG_YRESOLUTION, TIFFTAG_XRESOLUTION};
    for (int axis = 0; axis < 2; axis++) {
        float pixels_a_unit = 0;
        bool given = TIFFGetField(tiff, tags[axis], &pixels_a_unit) && isfinite(pixels_a_unit) && pixels_a_unit > 0;
        page->spacing_mm[transposed ? 1 - axis : axis] = given ? unit_mm / pixels_a_unit : 0;
        page->printed = page->printed || (given && unit == RESUNIT_INCH);
    }
    return COVER_OK;
}

static cover_status read_codec(TIFF *tiff, uint32_t *ratio) {
    uint16_t code = tag16(tiff, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
    const char *name = "this codec";
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++) {
        if (codecs[i].code != code) continue;
        *ratio = codecs[i].ratio, name = codecs[i].name;
        if (TIFFIsCODECConfigured(code)) return COVER_OK;
    }
    return fail(COVER_ERROR_UNSUPPORTED, "Compression is %u, and %s cannot be read here; save it with LZW, Deflate or none", code,
                name);
}

static cover_status read_samples(struct tiff_page *page, TIFF *tiff) {
    uint16_t format = tag16(tiff, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT);
    if (format == SAMPLEFORMAT_VOID) format = SAMPLEFORMAT_UINT;
    page->bits = tag16(tiff, TIFFTAG_BITSPERSAMPLE, 1);
    page->samples = tag16(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
    page->separate = page->samples > 1 && tag16(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) == PLANARCONFIG_SEPARATE;
    for (size_t i = 0; i < sizeof sample_kinds / sizeof *sample_kinds; i++)
        if (sample_kinds[i].format == format && sample_kinds[i].bits == page->bits) {
            page->sample = sample_kinds[i].sample;
            page->dtype = sample_dtype(page->sample);
            return COVER_OK;
        }
    return fail(COVER_ERROR_UNSUPPORTED,
                "BitsPerSample is %d with SampleFormat %u; integers of 1, 2, 4, 8, 16, 32, 64 and floats of 32, 64 bits "
                "are read",
                page->bits, format);
}

/* ColorMap: three tables of 16-bit values; some writers fill in 8-bit ones. */
static cover_status read_palette(struct tiff_page *page, TIFF *tiff) {
    uint16_t *maps[3];
    if (page->samples != 1 || page->bits > 8 || page->sample != SAMPLE_U8 ||
        !TIFFGetField(tiff, TIFFTAG_COLORMAP, &maps[0], &maps[1], &maps[2]))
        return fail(COVER_ERROR_FORMAT, "a palette image of %d samples of %d bits, or without ColorMap", page->samples, page->bits);
    int entries = 1 << page->bits, shift = 0;
    bool grey = true;
    for (int i = 0; i < entries; i++)
        for (int c = 0; c < 3; c++)
            if (maps[c][i] > 255) shift = 8;
    for (int i = 0; i < entries; i++) {
        for (int c = 0; c < 3; c++) page->colours[i][c] = (uint8_t)(maps[c][i] >> shift);
        grey = grey && page->colours[i][0] == page->colours[i][1] && page->colours[i][0] == page->colours[i][2];
    }
    page->palette = true;
    page->channels = grey ? 1 : 3;
    return COVER_OK;
}

static cover_status read_colours(struct tiff_page *page, TIFF *tiff) {
    uint16_t photometric = tag16(tiff, TIFFTAG_PHOTOMETRIC, page->samples < 3 ? PHOTOMETRIC_MINISBLACK : PHOTOMETRIC_RGB);
    uint16_t extra = 0, *kinds = NULL;
    if (!TIFFGetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &extra, &kinds)) extra = 0;
    switch (photometric) {
    case PHOTOMETRIC_PALETTE:
        return read_palette(page, tiff);
    case PHOTOMETRIC_MINISWHITE:
        page->inverted = true;
        if (page->dtype == COVER_F32)
            return fail(COVER_ERROR_UNSUPPORTED, "white-is-zero with samples that have no largest value; convert it");
        /* fall through */
    case PHOTOMETRIC_MINISBLACK:
        page->channels = 1;
        break;
    case PHOTOMETRIC_YCBCR:
        /* only libjpeg turns it into RGB for us */
        if (tag16(tiff, TIFFTAG_COMPRESSION, COMPRESSION_NONE) != COMPRESSION_JPEG || page->separate || page->bits != 8 ||
            page->sample != SAMPLE_U8 || !TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB))
            return fail(COVER_ERROR_UNSUPPORTED, "YCbCr without JPEG compression; convert it to RGB");
        /* fall through */
    case PHOTOMETRIC_RGB:
        page->channels = 3;
        break;
    default:
        return fail(COVER_ERROR_UNSUPPORTED, "PhotometricInterpretation is %u; grey, RGB and palette images are read", photometric);
    }
    /* One sample more is alpha when the tag says so; in colour images also when it says nothing. */
    bool alpha = page->samples == page->channels + 1 &&
                 (page->channels == 3 || (extra == 1 && kinds && kinds[0] != EXTRASAMPLE_UNSPECIFIED));
    if (page->samples != page->channels && !alpha)
        return fail(COVER_ERROR_UNSUPPORTED, "SamplesPerPixel is %d; grey, RGB and these with alpha are read", page->samples);
    return COVER_OK;
}

static cover_status too_large(const struct tiff_page *page, uint64_t bytes) {
    return fail(COVER_ERROR_FORMAT,
                "ImageWidth %u and ImageLength %u with %d samples of %d bits cannot come from %llu bytes; the file is "
                "truncated or damaged",
                page->width, page->height, page->samples, page->bits, (unsigned long long)bytes);
}

/* Where the strips or tiles lie, and whether the file can hold what they are to unpack to. */
static cover_status check_pieces(struct tiff_page *page, TIFF *tiff, uint64_t file_bytes, uint32_t ratio) {
    page->tiled = TIFFIsTiled(tiff);
    page->piece_width = page->width, page->piece_height = page->height;
    if (page->tiled) {
        page->piece_width = page->piece_height = 0;
        TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &page->piece_width);
        TIFFGetField(tiff, TIFFTAG_TILELENGTH, &page->piece_height);
    } else {
        uint32_t rows = 0;
        if (TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &rows) && rows < page->height) page->piece_height = rows;
    }
    if (page->piece_width < 1 || page->piece_height < 1)
        return fail(COVER_ERROR_FORMAT, "%s is %u x %u; the file is damaged", page->tiled ? "a tile" : "a strip", page->piece_width,
                    page->piece_height);

    const uint64_t across = (page->width - 1) / page->piece_width + 1, down = (page->height - 1) / page->piece_height + 1;
    const uint64_t pieces = across * down * (page->separate ? (uint64_t)page->samples : 1);
    const uint64_t sample_bits = (uint64_t)page->bits * (page->separate ? 1 : (uint64_t)page->samples);
    const uint64_t row_bytes = ((uint64_t)page->piece_width * sample_bits + 7) / 8;
    const uint64_t library_row = page->tiled ? TIFFTileRowSize64(tiff) : TIFFScanlineSize64(tiff);
    if (row_bytes != library_row || pieces != (page->tiled ? TIFFNumberOfTiles(tiff) : TIFFNumberOfStrips(tiff)))
        return fail(COVER_ERROR_FORMAT, "%llu strips or tiles of %llu bytes a row are not what libtiff sees here",
                    (unsigned long long)pieces, (unsigned long long)row_bytes);
    page->row_bytes = row_bytes;

    const uint64_t rows = page->tiled ? pieces * page->piece_height : page->height * (pieces / down);
    uint64_t unpacked, stored = 0;
    if (__builtin_mul_overflow(rows, row_bytes, &unpacked) || unpacked / ratio > file_bytes) return too_large(page, file_bytes);
    for (uint64_t i = 0; i < pieces; i++) {
        int error = 0;
        uint64_t offset = TIFFGetStrileOffsetWithErr(tiff, (uint32_t)i, &error);
        uint64_t bytes = error ? 0 : TIFFGetStrileByteCountWithErr(tiff, (uint32_t)i, &error);
        if (error || bytes == 0 || offset > file_bytes || bytes > file_bytes - offset)
            return fail(COVER_ERROR_FORMAT, "%s %llu has %llu bytes at %llu, but the file has %llu; it is truncated or damaged",
                        page->tiled ? "tile" : "strip", (unsigned long long)i, (unsigned long long)bytes,
                        (unsigned long long)offset, (unsigned long long)file_bytes);
        if (bytes > page->largest_piece) page->largest_piece = bytes;
        stored += bytes; /* cannot wrap: fewer than 2^32 pieces of a file in memory */
    }
    if (unpacked / ratio > stored) return too_large(page, stored);
    return COVER_OK;
}

/* Each index is its own colour. */
static void keep_indices(struct tiff_page *page) {
    for (int i = 0; i < 256; i++) page->colours[i][0] = (uint8_t)i;
    page->channels = 1;
}

cover_status tiff_page_read(struct tiff_page *page, TIFF *tiff, const struct image_source *source) {
    uint32_t ratio = 1;
    memset(page, 0, sizeof *page);
    TRY(read_size(page, tiff));
    TRY(read_codec(tiff, &ratio));
    TRY(read_samples(page, tiff));
    TRY(read_colours(page, tiff));
    if (page->palette && source->indices) keep_indices(page);
    page->lossy = tag16(tiff, TIFFTAG_COMPRESSION, COMPRESSION_NONE) == COMPRESSION_JPEG;
    return check_pieces(page, tiff, source->count, ratio);
}

bool tiff_pages_match(const struct tiff_page *a, const struct tiff_page *b) {
    return a->upright_width == b->upright_width && a->upright_height == b->upright_height && a->dtype == b->dtype &&
           a->channels == b->channels;
}

/* Samples of one row, one byte each before they are looked up or widened, else in our type. */
size_t tiff_row_room(const struct tiff_page *page) {
    return (size_t)page->piece_width * (page->separate ? 1 : (size_t)page->samples) * sizeof(float);
}

/* 1, 2 and 4 bits to a byte each, most significant first. */
static void unpack_bits(uint8_t *to, const uint8_t *from, size_t count, int bits) {
    const unsigned mask = (1u << bits) - 1, a_byte = 8 / (unsigned)bits;
    for (size_t i = 0; i < count; i++) to[i] = (uint8_t)(from[i / a_byte] >> (8 - (unsigned)bits * (1 + i % a_byte)) & mask);
}

static void invert(uint8_t *samples, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) samples[i] = (uint8_t)~samples[i]; /* largest value - value, byte by byte */
}

cover_status tiff_place_row(const struct tiff_page *page, uint8_t *pixels, const uint8_t *encoded, uint8_t *scratch,
                            uint32_t columns, int plane) {
    const size_t a_pixel = page->separate ? 1 : (size_t)page->samples, count = columns * a_pixel;
    const size_t element = cover_dtype_bytes(page->dtype), channels = (size_t)page->channels;
    if (page->bits < 8) unpack_bits(scratch, encoded, count, page->bits);
    else if (page->dtype != COVER_F32) samples_copy(scratch, encoded, page->sample, count);
    else samples_to_float((float *)scratch, encoded, page->sample, count, 1, 0);

    if (page->palette) { /* an index has at most 8 bits, so it is always inside colours */
        for (size_t i = 0; i < count; i++) memcpy(pixels + i * channels, page->colours[scratch[i]], channels);
        return COVER_OK;
    }
    if (page->bits < 8)
        for (size_t i = 0; i < count; i++) scratch[i] = (uint8_t)(scratch[i] * 255 / ((1 << page->bits) - 1));
    if (page->inverted) invert(scratch, count * element);
    if (a_pixel == channels) {
        memcpy(pixels, scratch, count * element);
        return COVER_OK;
    }
    const size_t taken = (page->separate ? 1 : channels) * element;
    pixels += (size_t)plane * element;
    for (size_t i = 0; i < columns; i++) memcpy(pixels + i * channels * element, scratch + i * a_pixel * element, taken);
    return COVER_OK;
}

void tiff_turn(const struct tiff_page *page, uint8_t *upright, const uint8_t *stored) {
    const size_t bytes = cover_dtype_bytes(page->dtype) * (size_t)page->channels;
    const size_t height = page->upright_height, width = page->upright_width;
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++, upright += bytes) {
            size_t down = turns[page->orientation].backward_y ? height - 1 - y : y;
            size_t across = turns[page->orientation].backward_x ? width - 1 - x : x;
            size_t row = turns[page->orientation].transposed ? across : down;
            size_t column = turns[page->orientation].transposed ? down : across;
            memcpy(upright, stored + (row * page->width + column) * bytes, bytes);
        }
}

bool tiff_speaks_of_memory(const char *complaint) {
    static const char *const words[] = {"ut of memory",       "o space for",  "ailed to allocate", "annot allocate",
                                        "nsufficient memory", "nough memory", "nable to allocate", "alloc(sizeof"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(complaint, words[i])) return true;
    return false;
}
