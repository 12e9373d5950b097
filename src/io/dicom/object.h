/* One DICOM object: where its bytes are, its data set, and what its pixels are, all checked.  Made by object.c; called by geometry,
 * volumes, pixels, writers. */
#ifndef COVER_DICOM_OBJECT_H
#define COVER_DICOM_OBJECT_H

#include "codec.h"
#include "tree.h"

#include "core/base/sha256.h"

enum dicom_kind { DICOM_IMAGE, DICOM_SEGMENTATION, DICOM_OTHER /* it has no pixels, or such as are no image (R3) */ };
enum dicom_photometric {
    PHOTOMETRIC_DARK_HIGH, /* MONOCHROME1 */
    PHOTOMETRIC_GREY,
    PHOTOMETRIC_RGB,
    PHOTOMETRIC_PALETTE,
    PHOTOMETRIC_YBR_FULL,
    PHOTOMETRIC_YBR_FULL_422,
    PHOTOMETRIC_YBR_RCT, /* as a codec has it: RGB once it is decoded */
    PHOTOMETRIC_YBR_ICT,
};

struct dicom_object {
    struct source source; /* its name is "", so that no error text has it; descriptor -1 and no memory while a file is closed */
    char *path;           /* of a file; NULL else */
    void *owned;          /* bytes in memory that are ours */
    int number;           /* from 1, as it was given: what messages call it */
    struct dicom_tree tree;
    enum dicom_kind kind;
    const struct dicom_syntax *syntax;
    struct dicom_frame_shape shape;
    int frames;
    enum dicom_photometric photometric;
    bool planar;                         /* native: all of a sample together */
    bool floating;                       /* float or double pixel data, as Bits Allocated says */
    bool inverted;                       /* MONOCHROME1 of a modality where that is turned (R21) */
    const struct dicom_node *pixels;     /* into the tree */
    const struct dicom_node **per_frame; /* items of the per-frame functional groups, `frames` of them; NULL = none */
    const struct dicom_node *shared;     /* item of the shared ones */
    int volume;                          /* of the set, from 1: the last that has a frame of it; 0 = none */
    char modality[17] /* a term of DICOM, or "" */, sop_uid[65], series_uid[65], study_uid[65];
};

/* Parses and checks; object->source (or path) is set before.  dicom_object_free() after success and after failure. */
cover_status dicom_object_read(struct dicom_object *object, cover_context *context);
void dicom_object_free(struct dicom_object *object);
/* The file again, for as long as its pixels are read; nothing for one in memory.  Each open is ended by one close. */
cover_status dicom_object_open(const struct dicom_object *object, struct source *source);
void dicom_object_close(const struct dicom_object *object, struct source *source);
/* Of its data set, whoever has sent it: what stands before it is the last receiver's; and how many bytes it has in all. */
cover_status dicom_object_hash(const struct dicom_object *object, uint8_t digest[SHA256_BYTES], uint64_t *bytes);
/* The error just raised begins with a path below what was given: without it. */
cover_status dicom_without_path(cover_status status, const char *path);
/* "image 17 (sha256 3f2a91c4)": how messages name it, without a path or a UID; the hash is that of its bytes. */
enum { DICOM_NAME_BYTES = 48 };
const char *dicom_object_name(const struct dicom_object *object, char name[DICOM_NAME_BYTES]);

/* An attribute of a frame (from 0): from its functional group `macro`, else the shared one, else the data set (R27). */
const struct dicom_node *dicom_of_frame(const struct dicom_object *object, int frame, uint32_t macro, uint32_t tag);

#endif
