/* A set of DICOM objects: what arrived, the frames of its images, and the volumes they make.  set.c adds, volumes.c groups and checks,
 * read.c reads pixels; the public calls are those of libcover/dicom.h.  Called by the writers of this room, pack and prediction. */
#ifndef COVER_DICOM_SET_H
#define COVER_DICOM_SET_H

#include "object.h"

#include "io/image/image.h"

#include <libcover/dicom.h>

struct dicom_frame {
    struct dicom_object *object;
    int frame;                             /* of it, from 0 */
    bool placed;                           /* it says where it lies: all below */
    double position[3], row[3], column[3]; /* of the first pixel's centre, mm, LPS; unit vectors along a row and along a column */
    double spacing[2];                     /* between rows, between columns, mm */
    double thickness;                      /* mm, 0 = not known */
    double along;                          /* position on the normal of its volume */
    int doubles;                           /* objects of its object's UID that were left out */
    bool first;                            /* of its object in its volume */
};

enum dicom_spacing { SPACING_UNKNOWN, SPACING_PATIENT, SPACING_DETECTOR, SPACING_ESTIMATED, SPACING_REGION };
extern const char *const dicom_spacing_names[];

struct dicom_volume {
    const struct dicom_frame **slices; /* along row x column, ascending; of images: their frames */
    int count;
    bool images; /* frames that do not say where they lie (R34) */
    bool localizer;
    bool single;                      /* one slice: the spacing along D is its thickness (R33) */
    int channels;                     /* 1 or 3 */
    int objects;                      /* that its slices are of */
    int duplicates;                   /* left out */
    enum dicom_spacing spacing_at;    /* of images */
    double spacing_mm[3], affine[12]; /* as struct image has them */
    double tilt_degrees,
        shift[2];  /* tilted: between normal and step; how far slices move a step, in mm along row and column (R31) */
    char *refusal; /* why it is not read; NULL = it is */
};

struct dicom_set_counts {
    int64_t objects, others /* without an image (R3) */, files /* that are not DICOM */;
};

struct cover_dicom {
    cover_context *context;
    cover_dicom_options options;
    struct dicom_object **objects;
    int64_t count, capacity;
    struct dicom_bad { /* what was given, and is not read */
        int number;
        char *text; /* "image 17 (sha256 3f2a91c4): why" */
        char series_uid[65];
    } * bad;
    int64_t bad_count, bad_capacity;
    struct dicom_set_counts counts;
    struct dicom_frame *frames;
    int64_t frame_count;
    struct dicom_volume *volumes;
    int volume_count;
    pthread_mutex_t reader_lock;
    bool grouped; /* nothing is added any more */
};

/* ---- geometry.c */
/* Where a frame lies (R26 to R28); an error where what it says is wrong. */
cover_status dicom_place(struct dicom_frame *frame);
/* Spacing of an image without a place (R22). */
cover_status dicom_image_spacing(const struct dicom_object *object, double spacing[2], enum dicom_spacing *at);
void dicom_normal(const struct dicom_frame *frame, double normal[3]);
double dicom_dot(const double a[3], const double b[3]);

/* ---- volumes.c: frames become volumes (R24, R25, R29 to R31) */
cover_status dicom_group(struct cover_dicom *set);
/* "series 3 (CT, 24 images)" */
enum { DICOM_SERIES_BYTES = 64 };
const char *dicom_series_name(const struct cover_dicom *set, int index, char name[DICOM_SERIES_BYTES]);

/* ---- stack.c: do slices in ascending order make a regular grid?  Fills the volume's geometry, or its refusal (R29, R31). */
cover_status dicom_stack(struct cover_dicom *set, struct dicom_volume *volume);

/* ---- pixels.c: one frame's stored values (R6, R17, R18) */
struct dicom_work { /* memory of one worker; starts from zeros, but context */
    cover_context *context;
    uint8_t *raw, *decoded;
    size_t raw_room, decoded_room;
    int32_t *stored; /* rows x columns x samples, colour interleaved */
    size_t stored_room;
};
void dicom_work_free(struct dicom_work *work);
struct dicom_stored {
    const int32_t *values; /* of work->stored; NULL of floating-point pixel data */
    const float *floats;
    int64_t count;
    int channels;   /* 3 = RGB */
    bool is_signed; /* 32 bits that are unsigned are a uint32_t's */
    int bits;       /* of a value */
};
/* inflated: the whole pixel data of a deflated object, or NULL. */
cover_status dicom_frame_stored(struct dicom_stored *stored, struct dicom_work *work, const struct dicom_object *object, int frame,
                                const uint8_t *inflated);
/* Native pixels of one bit: where the frame's first is, bit *first of *bits, the lowest first; in work until the next call. */
cover_status dicom_frame_bits(const uint8_t **bits, int *first, struct dicom_work *work, const struct dicom_object *object,
                              int frame, const uint8_t *inflated);
/* The pixel data of a deflated object, memory_free(). */
cover_status dicom_inflate_pixels(uint8_t **pixels, cover_context *context, const struct dicom_object *object);
/* Have two frames the same stored values? */
cover_status dicom_frames_equal(cover_context *context, const struct dicom_frame *a, const struct dicom_frame *b, bool *equal);

/* ---- colour.c: what is stored becomes RGB in its place (R23); values has room for three samples a pixel */
cover_status dicom_palette(const struct dicom_object *object, int32_t *values, int64_t pixels, cover_context *context, int *bits);
void dicom_ybr_to_rgb(int32_t *values, int64_t pixels, int bits);

/* ---- read.c */
/* Slope, intercept, tables and padding of an object, before its pixels are read. */
cover_status dicom_check_values(const struct cover_dicom *set, const struct dicom_object *object);
/* A volume as an image: values by R19 to R21, geometry; not turned to another orientation.  COVER_ERROR_FORMAT for one that is refused.
 * frame: of images without a place the one that is meant, -1 = all.  alone: by this thread, which may be a worker of the context. */
cover_status dicom_volume_image(struct image *image, const struct cover_dicom *set, int index, int frame, bool alone);
/* The same without its pixels: size, spacing, affine. */
void dicom_volume_look(struct image *image, const struct cover_dicom *set, int index, int frame);

/* ---- one_image.c: the image of a file, or the only volume of DICOM; the error text begins with the path */
cover_status dicom_or_image_read(struct image *image, cover_context *context, const char *path);

/* ---- tilt.c */
/* Of float32, each slice onto the upright grid: linear in its plane, the lowest value from outside. */
cover_status dicom_straighten(struct image *image, cover_context *context, const struct dicom_volume *volume);
/* A label map of the upright grid onto the slices as they were sent: nearest, 0 from outside. */
cover_status dicom_tilt_back(struct image *label, cover_context *context, const struct dicom_volume *volume);

/* ---- set.c */
cover_status dicom_set_check(const struct cover_dicom *set, int index); /* COVER_ERROR_ARGUMENT */
cover_status dicom_is_file(const char *path, bool *is);                 /* by what is in it */
void dicom_size_of(const struct dicom_volume *volume, int64_t size[3]);

/* ---- report.c: COVER_ERROR_ARGUMENT "2 series WHAT: 2 (CT, ...), 4 (CT, ...)" */
bool dicom_is_meant(const struct cover_dicom *set, int index, const char *which); /* as cover_dicom_find() takes it */
cover_status dicom_several(const struct cover_dicom *set, const int *indices, int count, const char *what);

#endif
