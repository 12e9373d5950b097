/* Looking at what was learnt, as the paper does (section 4.2): features in the plane by t-SNE, how far apart features of
 * neighbouring pixels are, what the head costs against one large window, and curves of several runs in one plot.
 * docs/analysis.md defines each figure.
 *
 * Owner:      the caller destroys tensors, and releases JSON with cover_text_release()
 * Lifetime:   nothing is lent
 * Threads:    all at once, on different outputs
 * Callbacks:  progress, on the thread of the call or a worker's, as context.h says; non-zero cancels
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  stable */
#ifndef LIBCOVER_ANALYSIS_H
#define LIBCOVER_ANALYSIS_H

#include <libcover/config.h>
#include <libcover/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Which features of which pixels. */
typedef struct cover_feature_options {
    size_t struct_size;
    int level;      /**< 0 coarse .. 4 full size; cover_analysis_dispersion() takes -1 = each */
    int64_t images; /**< labelled images that are looked at, drawn without regard to order; 0 = 16 */
    int64_t points; /**< pixels drawn, the same number of each class as far as it has them; 0 = 2000 */
    uint64_t seed;
    cover_progress_fn *progress; /**< images done, of how many; may be NULL */
    void *user;
} cover_feature_options;
/** Full size, the rest as 0 says.  The macro calls it with sizeof; programs in other languages pass the size of their struct. */
COVER_API void cover_feature_options_init(cover_feature_options *options, size_t struct_size);
#ifdef __cplusplus
#define COVER_FEATURE_OPTIONS_INIT cover_initialised(cover_feature_options_init)
#else
#define COVER_FEATURE_OPTIONS_INIT                                                                                                 \
    { .struct_size = sizeof(cover_feature_options), .level = 4 }
#endif

/** Features of a network at pixels of labelled images, scaled to length 1 (L_con compares directions alone).
 *
 *  Images are given to the network whole, at the size in which they were packed, with the intensities of training.  A pixel
 *  of a coarse level has the label of the image's pixel at its centre; without label maps a pixel has its image's class.
 *  @param[out] features (points, channels) float32
 *  @param[out] labels   (points) u16
 *  @param      weights  run folder, checkpoint or safetensors file
 *  @param      data     packed dataset
 *  @param      options  NULL for defaults
 *  @return COVER_OK; COVER_ERROR_ARGUMENT (a level out of range, no labelled image); COVER_ERROR_SHAPE (dims or channels that
 *          do not fit the network); COVER_ERROR_NUMERIC names an image; COVER_ERROR_IO; COVER_ERROR_FORMAT;
 *          COVER_ERROR_MISMATCH; COVER_ERROR_MEMORY; COVER_ERROR_CANCELLED */
COVER_API cover_status cover_analysis_features(cover_tensor **features, cover_tensor **labels, cover_context *context,
                                               const char *weights, const char *data, const cover_feature_options *options);

/** How t-SNE goes (van der Maaten and Hinton 2008). */
typedef struct cover_tsne_options {
    size_t struct_size;
    double perplexity;           /**< effective number of neighbours; 0 = 30 */
    double theta;                /**< Barnes-Hut: a cell seen under less counts as one point (van der Maaten 2014);
                                      0 = exact up to 1000 points, 0.5 above; negative = exact */
    int iterations;              /**< 0 = 1000 */
    uint64_t seed;               /**< of the traces of noise at the start */
    cover_progress_fn *progress; /**< iterations done; may be NULL */
    void *user;
} cover_tsne_options;
#define COVER_TSNE_OPTIONS_INIT COVER_SIZED(cover_tsne_options)

/** Points to the plane so that near ones stay near.  The same bits for any number of threads.
 *
 *  @param[out] plane  (N, 2) float32, centred
 *  @param[out] kl     the divergence that was reached; may be NULL
 *  @param      points (N, C), any dtype and strides, at least 4 points
 *  @param      options NULL for defaults
 *  @return COVER_OK; COVER_ERROR_SHAPE; COVER_ERROR_ARGUMENT (a perplexity that is no number from 1 to (N - 1) / 3);
 *          COVER_ERROR_NUMERIC names a point; COVER_ERROR_MEMORY; COVER_ERROR_CANCELLED */
COVER_API cover_status cover_points_tsne(cover_tensor **plane, double *kl, cover_context *context, const cover_tensor *points,
                                         const cover_tsne_options *options);

/** Both at once, drawn with labels as colours (paper, Fig. 6).
 *
 *  @param path  written by its ending, in one move: .html (one self-contained page), .png, .csv (x, y, label a point)
 *  @param[out] summary JSON {output, points, channels, level, classes {LABEL: points}, perplexity, kl}, released with
 *                      cover_text_release(); may be NULL
 *  @return as cover_analysis_features() and cover_points_tsne() */
COVER_API cover_status cover_analysis_tsne(char **summary, cover_context *context, const char *weights, const char *data,
                                           const char *path, const cover_feature_options *features, const cover_tsne_options *tsne);

/** Dispersion: the mean distance of neighbouring pixels' features (length 1), when both have one label and when they have
 *  two.
 *
 *  @param[out] json {images, levels [{level, stride, channels, within, across, ratio (across / within), within_pairs,
 *                   across_pairs, spread}]}; spread: root mean square distance of any two pixels of an image; a mean over
 *                   no pairs is null.  Released with cover_text_release()
 *  @param      options level, images, seed and progress are read; NULL = each level
 *  @return as cover_analysis_features() */
COVER_API cover_status cover_analysis_dispersion(char **json, cover_context *context, const char *weights, const char *data,
                                                 const cover_feature_options *options);

/** FLOPs of VPA over its last 1..5 levels, against one window at level 4 with the same receptive field (paper, 4.3.5).
 *  Counted on the head's graph for one pair of images of the settings' crop: convolutions and MoV, 2 a multiply-add.
 *
 *  @param config settings: dims, crop, widths, heads, head_dim, radius
 *  @param path   a page with the plot, .html, or .csv, written in one move; NULL = not wanted
 *  @param[out] json {dims, size, radius, rows [{levels, field, vpa_flops, direct_radius, direct_flops, ratio}]}, released with
 *                   cover_text_release(); field: pixels an axis that one pixel of the result sees
 *  @return COVER_OK; COVER_ERROR_ARGUMENT; COVER_ERROR_IO; COVER_ERROR_MEMORY */
COVER_API cover_status cover_analysis_flops(char **json, cover_context *context, const cover_config *config, const char *path);

/** Curves of several runs, one plot a figure that their logs hold (paper, Fig. 5).
 *
 *  @param runs  run folders, of pretraining or fine-tuning: log.jsonl is read
 *  @param path  written in one move: a self-contained page .html, or .csv (run, step, figure, value)
 *  @param[out] json {output, runs [{run, steps, last {FIGURE: value}}]}, released with cover_text_release(); may be NULL
 *  @return COVER_OK; COVER_ERROR_ARGUMENT (no run, more than 10, another ending); COVER_ERROR_IO; COVER_ERROR_FORMAT names file
 *          and line; COVER_ERROR_MEMORY */
COVER_API cover_status cover_analysis_curves(char **json, cover_context *context, const char *const *runs, int count,
                                             const char *path);

#ifdef __cplusplus
}
#endif
#endif
