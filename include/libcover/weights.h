/* Weight files: PyTorch's in, safetensors in and out, ONNX out, all under the authors' parameter names
 * (docs/weights.md states names, metadata and files).  For weights in use see backbone.h and trainer.h.
 *
 * Owner:      the caller releases summaries with cover_text_release()
 * Lifetime:   nothing is lent
 * Threads:    all at once, on different outputs
 * Callbacks:  none but the log and the allocator of the context (context.h)
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  stable */
#ifndef LIBCOVER_WEIGHTS_H
#define LIBCOVER_WEIGHTS_H

#include <libcover/config.h>
#include <libcover/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Options of cover_weights_convert(); start from COVER_CONVERT_OPTIONS_INIT. */
typedef struct cover_convert_options {
    size_t struct_size;
    const char *key; /**< only the tensors under this key, which is taken off their names: "state_dict_ema"; NULL = the weights, as
                          far as the keys tell ("state_dict", "model", ...), else all */
} cover_convert_options;
#define COVER_CONVERT_OPTIONS_INIT COVER_SIZED(cover_convert_options)

/** Convert a PyTorch file (torch.save(): ZIP or older) or safetensors file to safetensors.  Nothing in it is executed.
 *
 *  Tensors keep their values and types.  Names become those of the authors' current model: prefixes of wrappers
 *  ("module.") are taken off, names of their first release are replaced.  A network of COVER is recognised by its
 * tensors and described in the metadata; other files are converted as well.
 *
 *  @param input   ".pth", ".pt" or ".safetensors"; told apart by content
 *  @param output  ".safetensors"; replaced in one move
 *  @param options may be NULL
 *  @param[out] summary JSON {input, output, format, tensors, parameters, bytes, network, left_out}, network = null or {dims, channels,
 * widths, head, ...}, left_out = {KEY: tensors} of other weights beside those that were taken; released with cover_text_release(); may
 * be NULL
 *  @return COVER_OK; COVER_ERROR_FORMAT (damaged); COVER_ERROR_MISMATCH (nothing lies under the key); COVER_ERROR_UNSUPPORTED names what the file asks Python to run, or a
 * type that safetensors lacks; COVER_ERROR_IO; COVER_ERROR_ARGUMENT; COVER_ERROR_MEMORY */
COVER_API cover_status cover_weights_convert(char **summary, cover_context *context, const char *input, const char *output,
                                             const cover_convert_options *options);

/** Write the weights of a run for others: safetensors (all, or the backbone alone) or ONNX (the backbone: input
 *  "image" (N, C, [D,] H, W), outputs "level0" .. "level4", coarse to full size; N and sizes free, sizes multiples of
 * 16).
 *
 *  A fine-tuned task is written whole, with its head; as ONNX with one output, "scores": (N, classes, [D,] H, W), or of a classification
 *  (N, classes).  What an ONNX network must be given stands in its metadata.
 *
 *  @param source        run folder (the later of weights.safetensors and checkpoint.h5), checkpoint, or weight file
 *  @param output        ".safetensors" or ".onnx"; equal weights give equal bytes; replaced in one move
 *  @param backbone_only 1: the backbone alone: no projections of the levels (ONNX never has them), no head of a task
 *  @return COVER_OK; COVER_ERROR_MISMATCH lists tensors that are missing for a network of COVER; COVER_ERROR_ARGUMENT
 *  (another suffix); COVER_ERROR_UNSUPPORTED (a task whose scores ONNX has no operator for); COVER_ERROR_FORMAT; COVER_ERROR_IO; COVER_ERROR_MEMORY */
COVER_API cover_status cover_weights_export(cover_context *context, const char *source, const char *output, int backbone_only);

/** What a weight file, checkpoint or run folder holds, without reading its values.
 *
 *  @param[out] info JSON {path, format, metadata {...}, network, parameters, tensors [{name, dtype, shape}]}, released
 * with cover_text_release()
 *  @return COVER_OK; COVER_ERROR_FORMAT; COVER_ERROR_UNSUPPORTED; COVER_ERROR_IO; COVER_ERROR_MEMORY */
COVER_API cover_status cover_weights_info(char **info, cover_context *context, const char *path);

/** Settings for pretraining on from weights: those of paper-2d or paper-3d, but for the network (dims, channels, backbone, widths), its
 *  head (heads, head_dim, radius, coordinates, pyramid) and `normalise`, which are as the file says; the log says which.
 *
 *  @param path weight file, checkpoint or run folder
 *  @return COVER_OK; COVER_ERROR_MISMATCH (no network of COVER); COVER_ERROR_FORMAT; COVER_ERROR_UNSUPPORTED; COVER_ERROR_IO;
 *  COVER_ERROR_MEMORY */
COVER_API cover_status cover_weights_config(cover_config **config, cover_context *context, const char *path);

#ifdef __cplusplus
}
#endif
#endif
