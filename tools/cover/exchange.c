/* cover export and cover convert: weights to and from other programs. */
#include "command.h"

#include <libcover/dataset.h>
#include <libcover/weights.h>

#include <jansson.h>

static int run_export(struct session *session) {
    static const struct field fields[] = {{"output", "written"}, {0}};
    const char *output = text_of(session, OPTION_OUTPUT);
    cover_status result =
        cover_weights_export(session->context, session->arguments.operands[0], output, given(session, OPTION_BACKBONE_ONLY));
    if (result != COVER_OK) return failed(session, result);
    return print_object(session, json_pack("{s:s}", "output", output), fields);
}

static int run_convert(struct session *session) {
    static const struct field fields[] = {
        {"format", "read as"},
        {"tensors", "tensors", UNIT_COUNT},
        {"parameters", "parameters", UNIT_COUNT},
        {"network.dims", "network's dimensions"},
        {"network.channels", "network's channels"},
        {"network.widths", "network's widths"},
        {"network.heads", "heads"},
        {"network.radius", "radius"},
        {"network.coordinates", "coordinates"},
        {"bytes", "size", UNIT_BYTES},
        {"left_out", "left out (tensors)"},
        {"output", "written"},
        {0},
    };
    char *summary = NULL;
    cover_convert_options options = COVER_CONVERT_OPTIONS_INIT;
    options.key = text_of(session, OPTION_KEY);
    cover_status result = cover_weights_convert(&summary, session->context, session->arguments.operands[0],
                                                text_of(session, OPTION_OUTPUT), &options);
    if (result != COVER_OK) return failed(session, result);
    int status = print_result(session, summary, fields);
    cover_text_release(session->context, summary);
    return status;
}

const struct verb verb_export = {
    .name = "export",
    .summary = "weights of a run as safetensors or ONNX",
    .operands = "RUN",
    .operands_min = 1,
    .operands_max = 1,
    .detail =
        "RUN is a run folder (the later of weights.safetensors and checkpoint.h5 is taken), a checkpoint or a weight "
        "file. A .safetensors file has the parameter names of the authors' PyTorch code; an .onnx file holds the "
        "backbone, with an image as input and the levels of features as outputs. Of a fine-tuned task either holds the whole "
        "network, and the output of an .onnx file is `scores`, the probabilities of the classes. What the image must be stands in "
        "the file (docs/weights.md).",
    .examples = {"cover export run/ -o weights.safetensors", "cover export run/ -o backbone.onnx",
                 "cover export lungs/ -o lungs.onnx"},
    .run = run_export,
    .options = {{OPTION_OUTPUT, "FILE", "file to write, .safetensors or .onnx", true}, {OPTION_BACKBONE_ONLY}},
};

const struct verb verb_convert = {
    .name = "convert",
    .summary = "PyTorch checkpoints to safetensors",
    .operands = "FILE.pth",
    .operands_min = 1,
    .operands_max = 1,
    .detail =
        "Reads what torch.save() wrote, the authors' checkpoints among it, with a reader of its own: nothing in the "
        "file is executed. Values and types stay; prefixes of wrappers are taken off the names. A file that asks "
        "Python to run something is refused, with the name of what it asks for.\n"
        "Of a training checkpoint the weights are taken, as far as its keys tell (state_dict, model, ...). Other weights beside "
        "them, such as an average (state_dict_ema), are named as left out; --key takes those instead.",
    .examples = {"cover convert authors.pth -o authors.safetensors",
                 "cover convert timm.pth -o average.safetensors --key state_dict_ema"},
    .run = run_convert,
    .options = {{OPTION_OUTPUT, "FILE.safetensors", "file to write", true}, {OPTION_KEY}},
};
