/* DICOM (PS3.3, PS3.5, PS3.10): objects from files, from memory or from a reader of the caller's become volumes; results become DICOM objects
 * that lie on the images they were made from.  docs/dicom.md states what is read, written and refused.  Not a medical device.
 *
 * Owner:      the caller destroys the set, and the tensors that are read; borrowed bytes and readers stay the caller's until the set is
 *             destroyed; reports are released with cover_text_release()
 * Lifetime:   a set keeps its context; what cover_dicom_value() points to lasts as long as the set
 * Threads:    one at a time until cover_dicom_volumes() was called, then several may read; destroy it alone
 * Callbacks:  cover_read_fn and cover_write_fn, on the thread of the call or a worker's, one at a time; they may block
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"; destroy takes NULL
 * Errors:     status.h; an error leaves outputs as they were.  No text holds a path below what was given, a UID or a value that identifies
 *             a person: images are called "image 17 (sha256 3f2a91c4)", by their number in the order given and the hash of their bytes
 * Stability:  may grow until 1.0 */
#ifndef LIBCOVER_DICOM_H
#define LIBCOVER_DICOM_H

#include <libcover/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A set of DICOM objects: what arrived. */
typedef struct cover_dicom cover_dicom;

/** Bytes from an offset into `to`: how many there were, 0 at the end, below 0 when it failed. */
typedef int64_t cover_read_fn(void *user, uint64_t offset, void *to, uint64_t bytes);

/** How series become volumes. */
typedef struct cover_dicom_options {
    size_t struct_size;
    double spacing_tolerance;    /**< share of a step by which a slice may be off its place, 0 = 0.01; at least 0.02 mm */
    const char *tilt;            /**< of a tilted gantry: "refuse" (NULL), or "resample" onto an upright grid */
    const char *padding;         /**< pixels of Pixel Padding Value: "lowest" of the others (NULL), or "keep" */
    const char *window;          /**< NULL = values as they were measured; "header" = the first window of the header, 0 to 255 */
    int skip_bad;                /**< volumes are read although objects of their series could not be */
    cover_progress_fn *progress; /**< headers read, of how many; may be NULL */
    void *user;
} cover_dicom_options;
#define COVER_DICOM_OPTIONS_INIT COVER_SIZED(cover_dicom_options)

/** An empty set.  @param options NULL for defaults
 *  @return COVER_OK; COVER_ERROR_ARGUMENT; COVER_ERROR_MEMORY */
COVER_API cover_status cover_dicom_create(cover_dicom **set, cover_context *context, const cover_dicom_options *options);
COVER_API void cover_dicom_destroy(cover_dicom *set); /**< takes NULL */

/** Add one object.  Its header is parsed and checked, its pixels are not read yet.  One that cannot be read is remembered: volumes of its
 *  series are refused, so that none is shorter than it was sent.
 *  @param borrow 1 = the bytes stay the caller's and unchanged until the set is destroyed; 0 = they are copied
 *  @return COVER_OK, of objects without an image (reports, plans), too; COVER_ERROR_FORMAT; COVER_ERROR_UNSUPPORTED; COVER_ERROR_ARGUMENT
 *          (NULL, or volumes were asked for already); COVER_ERROR_MEMORY */
COVER_API cover_status cover_dicom_add_bytes(cover_dicom *set, const void *bytes, size_t count, int borrow);
/** The same from a reader of `bytes` bytes, which is asked for the ranges that matter: now for its header, for its pixels when they are
 *  read. */
COVER_API cover_status cover_dicom_add_reader(cover_dicom *set, cover_read_fn *read, uint64_t bytes, void *user);
/** The same from a file, a DICOMDIR or a folder with all below it.  In folders and of a DICOMDIR what is not DICOM is counted, and an
 *  object that cannot be read is remembered as said above, and is no error.
 *  @return also COVER_ERROR_IO */
COVER_API cover_status cover_dicom_add_path(cover_dicom *set, const char *path);

/** How many volumes (or images without a place) the set has; adding ends here.
 *  @return COVER_OK; COVER_ERROR_MEMORY; COVER_ERROR_IO */
COVER_API cover_status cover_dicom_volumes(cover_dicom *set, int *count);

typedef struct cover_dicom_volume_info {
    size_t struct_size;
    const char *modality;        /**< "CT"; "" where it is missing or no term of DICOM's; owned by the set */
    const char *refusal;         /**< why it cannot be read, with the numbers; NULL = it can; owned by the set */
    int images;                  /**< objects */
    int volume;                  /**< 1: slices of one volume; 0: images that do not say where they lie */
    int channels;                /**< 1 or 3 */
    int64_t size[3];             /**< D, H, W */
    double spacing_mm[3];        /**< D, H, W; 0 = not known */
    double affine[12];           /**< voxel (x, y, z) to RAS mm, 3x4 rows; all 0 = not known */
    const char *transfer_syntax; /**< its UID; owned by the set */
    int duplicates;              /**< objects or slices that were there twice and left out */
} cover_dicom_volume_info;
#define COVER_DICOM_VOLUME_INFO_INIT COVER_SIZED(cover_dicom_volume_info)
/** @param index 0 .. count - 1 of cover_dicom_volumes(), which has been called */
COVER_API cover_status cover_dicom_volume(const cover_dicom *set, int index, cover_dicom_volume_info *info);

/** The values of a volume, (D, H, W), of colour (D, H, W, 3): stored values through Modality LUT or slope and intercept, as COVER_F32; those
 *  that are unsigned and have neither as COVER_U8 or COVER_U16.
 *  @param spacing_mm D, H, W; may be NULL  @param affine voxel (x, y, z) to RAS mm; may be NULL
 *  @return COVER_OK; COVER_ERROR_FORMAT (refused, or its pixels are damaged); COVER_ERROR_UNSUPPORTED; COVER_ERROR_IO; COVER_ERROR_MEMORY;
 *          COVER_ERROR_CANCELLED */
COVER_API cover_status cover_dicom_read(const cover_dicom *set, int index, cover_tensor **image, double spacing_mm[3],
                                        double affine[12]);

/** Which volume is meant.  @param which "3": the third (from 1); "SeriesNumber=3", "Modality=CT": the only one of these; NULL: the only one
 *  that can be read, localizers aside
 *  @return COVER_OK; COVER_ERROR_ARGUMENT: none is, or several are, which the text lists; the refusal of the only one (COVER_ERROR_FORMAT) */
COVER_API cover_status cover_dicom_find(const cover_dicom *set, const char *which, int *index);

/** Write a volume as NIfTI-1 (.nii, .nii.gz), float32, in one move: sform and qform, both with code 1, are its affine.
 *  @return as cover_dicom_read(); COVER_ERROR_IO; COVER_ERROR_UNSUPPORTED for colour */
COVER_API cover_status cover_dicom_write_nifti(const cover_dicom *set, int index, const char *path);

/** What the set has, as JSON: {volumes [{number, modality, size, spacing_mm, ...}], unreadable [...], others, files}. */
COVER_API cover_status cover_dicom_report(const cover_dicom *set, char **json);

/** The bytes of an attribute of one of a volume's images, as they were sent: the one call that gives what may identify a person, to who
 *  asks for it.
 *  @param image 0 .. the volume's slices - 1, in their order  @param tag 0xGGGGEEEE, of the data set's first level
 *  @return COVER_OK, *count 0 and *bytes NULL where there is none; COVER_ERROR_ARGUMENT */
COVER_API cover_status cover_dicom_value(const cover_dicom *set, int index, int image, uint32_t tag, const void **bytes,
                                         size_t *count);

/* ---- objects that leave */

/** Bytes of an object, in their order.  @return 0 = taken; other values end the call */
typedef int cover_write_fn(void *user, const void *bytes, size_t count);

/** What an object says of where it comes from.  Texts are ASCII; of others the characters become '?'. */
typedef struct cover_seg_options {
    size_t struct_size;
    const char *type; /**< "binary" (NULL), "labelmap" or "fractional" */
    const char *const
        *class_names; /**< `classes` of them, the first is the background; NULL = those of `segments`, in their order */
    int classes;
    const char
        *segments;    /**< JSON {class: {category, type, modifier, region: [value, scheme, meaning], rgb: [r, g, b]}}, or NULL */
    const char *task; /**< its name; NULL = "label map" */
    const char *description;    /**< of the series; NULL = the task's name */
    const char *weights_sha256; /**< of the network's weights, hexadecimal; NULL = none */
    const char *time;           /**< ISO 8601, "2026-11-30T12:00:00+01:00"; NULL = now */
    const char *uid_root;       /**< identifiers begin with it; NULL = 2.25, and are UUIDs */
    int empty_frames;           /**< frames where a segment has no pixels, too */
    int series_number;          /**< 0 = 100 + the source's; of reports 200, of secondary captures 300 */
} cover_seg_options;
#define COVER_SEG_OPTIONS_INIT COVER_SIZED(cover_seg_options)

/** A label map of a volume as DICOM Segmentation: explicit little endian, each frame with the place of its source image, text for text.
 *  Identifiers and every byte are a function of the sources, the label map and the options.  The object is read again and compared with
 *  the label map, voxel by voxel in patient coordinates, before a byte of it is handed out.
 *  @param label COVER_U8 or COVER_U16 (D, H, W): one plane a slice of the volume in its order, 0 = background, k = class k; of type
 *         "fractional" COVER_F32 (classes, D, H, W), probabilities
 *  @return COVER_OK; COVER_ERROR_ARGUMENT; COVER_ERROR_SHAPE; COVER_ERROR_FORMAT (the volume is refused); COVER_ERROR_UNSUPPORTED (too
 *          large for one object); COVER_ERROR_IO (write() said no); COVER_ERROR_INTERNAL (the comparison failed); COVER_ERROR_MEMORY */
COVER_API cover_status cover_dicom_write_seg(const cover_dicom *set, int index, const cover_tensor *label,
                                             const cover_seg_options *options, cover_write_fn *write, void *user);
/** The same from a label map's file (NIfTI, PNG, TIFF), whose axes are brought to those of the volume where it says where it lies, into a
 *  file, in one move.
 *  @return also COVER_ERROR_SHAPE, COVER_ERROR_FORMAT: of another size, in another place; COVER_ERROR_UNSUPPORTED of a tilted volume */
COVER_API cover_status cover_dicom_write_seg_file(const cover_dicom *set, int index, const char *label,
                                                  const cover_seg_options *options, const char *output);
/** The volumes of its segments as Comprehensive 3D SR (TID 1500), which names the segmentation that the same label map and options give.
 *  @param options their time is not NULL
 *  @return the same; COVER_ERROR_UNSUPPORTED also for images without a place or a thickness */
COVER_API cover_status cover_dicom_write_sr(const cover_dicom *set, int index, const cover_tensor *label,
                                            const cover_seg_options *options, cover_write_fn *write, void *user);
/** The images with the segments' outlines drawn in, as RGB Secondary Capture, in the first window of the header, else from the first to the
 *  last hundredth of the values.  @return as cover_dicom_write_seg() */
COVER_API cover_status cover_dicom_write_sc(const cover_dicom *set, int index, const cover_tensor *label,
                                            const cover_seg_options *options, cover_write_fn *write, void *user);

/** cover_file_check() (dataset.h) of a segmentation, of any writer, which is compared with the images that it was made of, too: each frame
 *  must lie on the image that it names.
 *  @param source a file, a folder or a DICOMDIR with the images  @return as cover_file_check(); COVER_ERROR_FORMAT: no DICOM */
COVER_API cover_status cover_dicom_check(char **report, cover_context *context, const char *path, const char *source);

/** What de-identification keeps, and does beside. */
typedef struct cover_deidentify_options {
    size_t struct_size;
    const char *key;      /**< file with at least 16 secret bytes; needed: who has it can tell who is who, and nobody else */
    const char *dates;    /**< "remove" (NULL); "shift" by a number of days that is a patient's own; or "keep" */
    const char *retain;   /**< "patient", "device", "institution", "uids", joined by commas: attributes that stay; NULL = none */
    int accept_burned_in; /**< take what may show a name as it is: Burned In Annotation YES, ultrasound, secondary captures, reports,
                                      documents */
    int skip_bad;         /**< leave out (listed in the summary) what cannot be de-identified instead of failing */
    const char *audit;    /**< file of JSON lines that gets the start and the end of this job; NULL = none */
    const char *audit_key;       /**< key of its hashes; NULL = "AUDIT.key", which is made */
    cover_progress_fn *progress; /**< objects written, of how many; may be NULL */
    void *user;
} cover_deidentify_options;
#define COVER_DEIDENTIFY_OPTIONS_INIT COVER_SIZED(cover_deidentify_options)

/** De-identify DICOM objects: PS3.15's Basic Application Level Confidentiality Profile with the options chosen (docs/dicom.md), in the transfer
 *  syntax in which they came, pixels untouched.  With the same key the same object becomes the same, in any call.  Files are
 *  OUTPUT/STUDY/SERIES/INSTANCE.dcm by their new UIDs, with mode 0600, each complete or absent.
 *  @param[out] summary JSON (written, bytes, duplicates, files, left_out), released with cover_text_release(); may be NULL
 *  @param input a file, a DICOMDIR or a folder  @param output a folder outside of it, which is made
 *  @return COVER_OK; COVER_ERROR_FORMAT lists what cannot be de-identified, and nothing is written; COVER_ERROR_ARGUMENT (a key that is too
 *          short, an output in the input); COVER_ERROR_IO; COVER_ERROR_MEMORY; COVER_ERROR_CANCELLED */
COVER_API cover_status cover_dicom_deidentify(char **summary, cover_context *context, const char *input, const char *output,
                                              const cover_deidentify_options *options);

#ifdef __cplusplus
}
#endif
#endif
