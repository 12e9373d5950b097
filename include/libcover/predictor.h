/* Prediction with a fine-tuned task: images in, label maps or class scores out, in memory and on whole folders
 * (supplement C.2.2; docs/finetune.md, "Prediction").
 *
 * Owner:      the caller destroys predictors and tensors, and releases summaries with cover_text_release()
 * Lifetime:   config and names of classes: as long as the predictor
 * Threads:    several may run one predictor at once: it does not change; destroy it alone
 * Callbacks:  progress, on the thread of the call, as context.h says; non-zero cancels
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"; destroy takes NULL;
 *             questions answer 0 or NULL
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  stable */
#ifndef LIBCOVER_PREDICTOR_H
#define LIBCOVER_PREDICTOR_H

#include <libcover/config.h>
#include <libcover/dicom.h>
#include <libcover/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A task loaded once.  It does not change, so several threads may run it at the same time. */
typedef struct cover_predictor cover_predictor;

/** What may differ from what the task's settings say. */
typedef struct cover_predictor_options {
    size_t struct_size;
    const char *mirror;     /**< average over mirrored images: "off", "horizontal" (last axis), "all"; NULL = the task's */
    double overlap;         /**< share of a window that the next one covers again, 0..0.9; below 0 = the task's */
    int64_t keep_component; /**< drop connected components of fewer pixels; below 0 = the task's, 0 = keep all */
    const char *precision;  /**< feature maps as "fp32" or "bf16"; NULL = the task's */
    int channels;           /**< 1: images of colours become grey, 3: grey ones RGB; the task's number; 0 = the task's way.  Colours
                                 that are all grey need no conversion */
} cover_predictor_options;
/** All as the task says.  The macro calls it with sizeof; programs in other languages pass the size of their struct. */
COVER_API void cover_predictor_options_init(cover_predictor_options *options, size_t struct_size);
#ifdef __cplusplus
#define COVER_PREDICTOR_OPTIONS_INIT cover_initialised(cover_predictor_options_init)
#else
#define COVER_PREDICTOR_OPTIONS_INIT                                                                                               \
    { .struct_size = sizeof(cover_predictor_options), .overlap = -1, .keep_component = -1 }
#endif

/** Load a task.
 *  @param path    a run folder of fine-tuning (the best weights so far while it still trains), its weights.safetensors or
 *                 checkpoint.h5
 *  @param options NULL = all as the task says
 *  @return COVER_OK; COVER_ERROR_MISMATCH (weights without a task: fine-tune them first); COVER_ERROR_IO and
 *          COVER_ERROR_FORMAT name the file; COVER_ERROR_ARGUMENT (an option); COVER_ERROR_MEMORY */
COVER_API cover_status cover_predictor_load(cover_predictor **predictor, cover_context *context, const char *path,
                                            const cover_predictor_options *options);
COVER_API void cover_predictor_destroy(cover_predictor *predictor);

/** The task's settings, options included; owned by the predictor. */
COVER_API const cover_config *cover_predictor_config(const cover_predictor *predictor);
/** Codes of its classes, as cover_seg_options.segments (dicom.h) takes them; NULL = none were given when it was trained.  Owned by the
 *  predictor. */
COVER_API const char *cover_predictor_segments(const cover_predictor *predictor);
/** Number of classes; of segmentation with the background, class 0. */
COVER_API int cover_predictor_classes(const cover_predictor *predictor);
/** Name of a class; NULL past the end.  Owned by the predictor. */
COVER_API const char *cover_predictor_class_name(const cover_predictor *predictor, int index);

/** Predict one image.  What was done to the training images is done again: channels, clipping, resampling, normalisation.
 *
 *  @param      image      (C, [D,] H, W), intensities as the files have them, uint8, uint16 or any other dtype (taken as
 *                         float32); any strides
 *  @param      spacing_mm D, H, W (2D: D is not read), 0 = not known; NULL = not known.  Needed where the task resamples to a
 *                         spacing
 *  @param[out] label      segmentation: ([D,] H, W), the class of each pixel at the image's own size, small components
 *                         dropped as the settings say.  Classification: (1), the likeliest class; multi-label: (classes), 1
 *                         where the score is at least 1/2.  uint8, or uint16 with more than 256 classes.  Created by the
 *                         call; NULL = not wanted
 *  @param[out] scores     float32 probabilities: (classes, [D,] H, W), or (classes) in classification.  Created by the call;
 *                         NULL = not wanted
 *  @return COVER_OK; COVER_ERROR_SHAPE (dims, channels, size, unknown spacing); COVER_ERROR_NUMERIC (NaN, a constant image);
 *          COVER_ERROR_MEMORY; COVER_ERROR_CANCELLED */
COVER_API cover_status cover_predictor_run(cover_tensor **label, cover_tensor **scores, cover_predictor *predictor,
                                           const cover_tensor *image, const double *spacing_mm);

/** Predict a volume, or an image without a place, of a set of DICOM objects.
 *  @param      index  as cover_dicom_volume() takes it
 *  @param[out] label  segmentation: (D, H, W), one plane a source image, in its rows and columns; else as cover_predictor_run();
 *                     NULL = not wanted
 *  @param[out] scores (classes, D, H, W), or (classes); NULL = not wanted
 *  @return as cover_predictor_run() and cover_dicom_read() */
COVER_API cover_status cover_predictor_run_dicom(cover_tensor **label, cover_tensor **scores, cover_predictor *predictor,
                                                 const cover_dicom *set, int index);

/** Options of cover_images_predict(). */
typedef struct cover_predict_options {
    size_t struct_size;
    const cover_predictor_options *predictor; /**< NULL = all as the task says */
    int scores;                               /**< segmentation: also write CASE.npy, float32 (classes, [D,] H, W) */
    cover_progress_fn *progress;              /**< images done, of how many; may be NULL */
    void *user;
    int skip_bad; /**< images that cannot be predicted are left out and listed in the summary, instead of failing */
    const cover_dicom_options *dicom; /**< how DICOM series become volumes; NULL = defaults */
    const char *series; /**< of DICOM those alone: as cover_dicom_find() takes it, or "all"; NULL = the only one that fits */
    const char *as;     /**< what is written for DICOM: "dicom-seg", "dicom-sr", "dicom-sc", "nifti", joined by commas;
                                           NULL = "dicom-seg" */
    const cover_seg_options *seg; /**< of such objects: type, segments, time, ...; class names, task and weights are the task's own;
                                           NULL = defaults */
    const char
        *audit; /**< of DICOM: a file of JSON lines that gets a start and an end of each volume's job, before its results are moved
                                into place; the job fails where it cannot be written (docs/dicom.md); NULL = none */
    const char *audit_key; /**< the key of its hashes; NULL = AUDIT.key, which is made */
    const char *link;      /**< of DICOM: a CSV, of mode 0600, that says whose P0001_S01 is; NULL = none */
} cover_predict_options;
#define COVER_PREDICT_OPTIONS_INIT COVER_SIZED(cover_predict_options)

/** Predict image files.
 *
 *  `input` is an image, a folder of images (folders in it too), a folder of nnU-Net's images (CASE_0000, CASE_0001, ... one
 *  channel each) or an nnU-Net raw dataset (its imagesTs, or imagesTr).  Segmentation writes OUTPUT/CASE.EXT in the image's
 *  own format, size, spacing, orientation and affine (JPEG, which would change labels, becomes PNG); classification writes
 *  OUTPUT/scores.csv: file, then a score a class, of the images done when the work ends early, too.  Each file is replaced in one
 *  move; a folder that was made for results of which there are none is removed.
 *
 *  @param[out] summary JSON {task, images, written, seconds, output, failed [{file, reason}]}, released with cover_text_release(); may be NULL
 *  @return COVER_OK; COVER_ERROR_FORMAT (COVER_ERROR_MEMORY when memory was short) lists images that could not be predicted (unless skip_bad),
 *          each with its reason; nothing was written for them, the others are done; COVER_ERROR_ARGUMENT, COVER_ERROR_IO (also:
 *          a result could not be written, which
 *          ends the work); COVER_ERROR_MISMATCH; COVER_ERROR_CANCELLED */
COVER_API cover_status cover_images_predict(char **summary, cover_context *context, const char *task, const char *input,
                                            const char *output, const cover_predict_options *options);

#ifdef __cplusplus
}
#endif
#endif
