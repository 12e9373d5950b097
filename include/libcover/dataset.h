/* Datasets: images packed once into one HDF5 file, read many times (docs/dataset.md states the file format).
 *
 * Owner:      the caller destroys datasets and the tensors that are read, and releases summaries with cover_text_release()
 * Lifetime:   names of classes: as long as the dataset; name and patient of a sample: cover_sample_info says
 * Threads:    several may ask and read one dataset at once; destroy it alone
 * Callbacks:  progress, on the thread of the call or a worker's, as context.h says; non-zero cancels
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"; destroy takes NULL
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  stable */
#ifndef LIBCOVER_DATASET_H
#define LIBCOVER_DATASET_H

#include <libcover/dicom.h>
#include <libcover/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cover_dataset cover_dataset;

/** An image that cannot be used, and why; the texts live as long as the call. */
typedef void cover_unusable_fn(void *user, const char *file, const char *reason);

/** Options of cover_dataset_pack(); sizes 0 and NULL strings mean "as it comes". */
typedef struct cover_pack_options {
    size_t struct_size;
    int dims;                    /**< 2 or 3; 0 = what the files are */
    int64_t size[3];             /**< D, H, W resized to (2D: 0, H, W); 0 = keep */
    double spacing_mm[3];        /**< resampled to, D, H, W order; 0 = keep; not together with size */
    double window[2];            /**< intensities clipped to window[0]..window[1] when window[1] > window[0] */
    double percentile[2];        /**< clipped to these percentiles of each image (0..100) when [1] > [0]; or window */
    int channels;                /**< 1: convert to grey, 3: to RGB; 0 = what the files are */
    const char *split;           /**< CSV with columns file, patient, split, or nnU-Net's splits_final.json, ":K" behind
                                      it for fold K (docs/dataset.md); NULL = none */
    int skip_bad;                /**< leave unusable images out (listed in the summary) instead of failing */
    int resume;                  /**< continue an interrupted pack of the same sources and options */
    cover_progress_fn *progress; /**< images done, of how many; may be NULL */
    void *user;
    const char *labels;   /**< CSV with columns file, label: classes joined by | (docs/dataset.md); NULL = none */
    const char *negative; /**< the label that means none of the classes, such as "No Finding"; NULL = no such */
    int spacing_median;   /**< resample to the median spacing of the images, axis by axis; not with spacing_mm */
    const char *
        orientation; /**< where x, y and z of the voxels are to lead, such as "RAS"; "stored" = as they are; NULL = "LPS" where DICOM
                                  volumes are among them, else "stored" */
    int number_labels; /**< number the values of label maps 0, 1, 2, ... in their order: for masks of 0 and 255 */
    cover_unusable_fn
        *unusable; /**< hears of each image that cannot be used, when all were tried, on the thread of the call, whether
                                      the call then fails or not; may be NULL */
    void *unusable_user;
    const cover_dicom_options *dicom; /**< how DICOM series become volumes; NULL = defaults */
    const char *series;               /**< of DICOM those alone: as cover_dicom_find() takes it; NULL = all */
    const char *audit;                /**< file of JSON lines that gets the start and the end of this job; NULL = none */
    const char *audit_key;            /**< key of its hashes; NULL = "AUDIT.key", which is made */
    const char *link;                 /**< of DICOM: a CSV, mode 0600, that says whose P0001/S01 is; NULL = none */
} cover_pack_options;
#define COVER_PACK_OPTIONS_INIT COVER_SIZED(cover_pack_options)

/** Pack sources (folders, nnU-Net raw datasets, class folders, collection files, single images) into one file.
 *  Work in progress lies in "OUTPUT.spool" beside the output, which is replaced in one move at the end if it is a dataset or empty;
 *  any other file there is COVER_ERROR_ARGUMENT.
 *  @param[out] summary JSON (samples, skipped, bad, bytes, ...), released with cover_text_release(); may be NULL
 *  @return COVER_OK; COVER_ERROR_FORMAT lists each unusable image with its reason, and nothing is written;
 *          COVER_ERROR_SHAPE when channels or dims differ, in the same way; COVER_ERROR_ARGUMENT; COVER_ERROR_MISMATCH
 *          when an interrupted pack had other sources or options; after COVER_ERROR_CANCELLED, COVER_ERROR_IO or
 *          COVER_ERROR_MEMORY the work done is kept for `resume` */
COVER_API cover_status cover_dataset_pack(char **summary, cover_context *context, const char *const *sources, int count,
                                          const char *output, const cover_pack_options *options);

/** Open a packed dataset.  Costs the same for ten samples and for a million.
 *  @return COVER_OK; COVER_ERROR_IO; COVER_ERROR_FORMAT says what is damaged */
COVER_API cover_status cover_dataset_open(cover_dataset **dataset, cover_context *context, const char *path);
/** The same from whatever there is: a packed file as it is; anything else that cover_dataset_pack() takes (a folder, a
 *  description file, an
 *  image) is packed into "CACHE_FOLDER/dataset.h5" first and kept: an interrupted pack goes on, a finished one is taken while
 *  sources
 *  and options stay the same.  A folder's own labels.csv counts as `labels` unless the options name another, or the folder is an
 *  nnU-Net dataset.
 *  @param options NULL = as it comes; its `resume` is not looked at
 *  @return as cover_dataset_pack() and cover_dataset_open() */
COVER_API cover_status cover_dataset_prepare(cover_dataset **dataset, cover_context *context, const char *path,
                                             const char *cache_folder, const cover_pack_options *options);
COVER_API void cover_dataset_destroy(cover_dataset *dataset); /**< takes NULL */

/** What the whole file shares. */
typedef struct cover_dataset_info {
    size_t struct_size;
    int64_t samples;
    int dims; /**< 2 or 3 */
    int channels;
    int classes;         /**< label classes of segmentation or classification, 0 = none */
    int has_labels;      /**< 1: each sample may have a label map */
    int64_t min_size[3]; /**< smallest D, H, W over all samples (D = 1 in 2D) */
    int64_t max_size[3];
    char hash[65];    /**< content hash, hexadecimal SHA-256 */
    int multilabel;   /**< 1: each sample has a set of classes, class_set of cover_sample_info */
    int ignore_label; /**< pixels of label maps that count for nothing have this value, which is `classes`, or -1 */
} cover_dataset_info;
#define COVER_DATASET_INFO_INIT COVER_SIZED(cover_dataset_info)
COVER_API cover_status cover_dataset_get_info(cover_dataset_info *info, const cover_dataset *dataset);

/** Name of a class: by label value of dataset.json, a class folder's, or a word of a labels file.
 *  @return owned by the dataset; NULL when it is not known, and for an index outside 0..classes-1 */
COVER_API const char *cover_dataset_class_name(const cover_dataset *dataset, int index);

/** What a sample is for, as packed. */
typedef enum cover_split { COVER_SPLIT_NONE, COVER_SPLIT_TRAIN, COVER_SPLIT_VAL, COVER_SPLIT_TEST } cover_split;

/** What one sample carries beside its pixels. */
typedef struct cover_sample_info {
    size_t struct_size;
    cover_dtype dtype;    /**< COVER_U8, COVER_U16 or COVER_F32, as packed */
    int64_t size[3];      /**< D, H, W */
    double spacing_mm[3]; /**< D, H, W order; 0 = not known */
    double affine[12];    /**< voxel (x, y, z) to world, rows of 3x4, RAS mm; all 0 = not known */
    int has_label;
    int class_index; /**< -1 = none, or class_set has them */
    cover_split split;
    const char *name;    /**< owned by the dataset, valid as long as it is */
    const char *patient; /**< "" = not known; as long valid as name */
    uint64_t class_set;  /**< multilabel: bit c = class c holds; 0 otherwise */
} cover_sample_info;
#define COVER_SAMPLE_INFO_INIT COVER_SIZED(cover_sample_info)
COVER_API cover_status cover_dataset_sample(cover_sample_info *info, const cover_dataset *dataset, int64_t index);

/** Read one sample as it was packed: (C, [D,] H, W).  May be called from several threads at once. */
COVER_API cover_status cover_dataset_read(cover_tensor **image, const cover_dataset *dataset, int64_t index);
/** Read its label map ([D,] H, W), COVER_U8 or COVER_U16.  COVER_ERROR_ARGUMENT when it has none. */
COVER_API cover_status cover_dataset_read_label(cover_tensor **label, const cover_dataset *dataset, int64_t index);

/** Verify a dataset, checkpoint, run folder, weight file, DICOM object or folder of DICOM completely.
 *  @param[out] report JSON {ok, errors [...]}, released with cover_text_release()
 *  @return COVER_OK when it could be looked at, whatever was found: see "ok"; COVER_ERROR_IO when there is no such file;
 *          COVER_ERROR_MEMORY; COVER_ERROR_CANCELLED */
COVER_API cover_status cover_file_check(char **report, cover_context *context, const char *path);

#ifdef __cplusplus
}
#endif
#endif
