"""Compare exported ONNX files with the reference in PyTorch, by hand:

    python3 onnx_check.py REFERENCE_FOLDER LIBCOVER_SO

REFERENCE_FOLDER holds cover_torch.py; torch, onnx and onnxruntime are needed.  Prints the largest difference of each
level, relative to the level's root mean square; stops above 1e-4.
"""
import ctypes
import os
import sys
import tempfile

import numpy
import onnx
import onnxruntime
import torch

sys.path.insert(0, sys.argv[1])
import cover_torch  # noqa: E402

library = ctypes.CDLL(sys.argv[2])
library.cover_error_text.restype = ctypes.c_char_p
context = ctypes.c_void_p()
assert library.cover_context_create(ctypes.byref(context), None) == 0


def call(name, *arguments):
    encoded = [a.encode() if isinstance(a, str) else a for a in arguments]
    status = getattr(library, name)(*encoded)
    assert status == 0, library.cover_error_text().decode()


def compare(dims, channels, widths, size):
    model = cover_torch.COVER(dims=dims, c_in=channels, widths=widths)
    for module in model.modules():
        if isinstance(module, torch.nn.GroupNorm):
            torch.nn.init.normal_(module.weight, 1, 0.3)
            torch.nn.init.normal_(module.bias, 0, 0.3)
    with tempfile.TemporaryDirectory() as folder:
        pth, weights, exported = (os.path.join(folder, name) for name in ("m.pth", "m.safetensors", "m.onnx"))
        torch.save({"state_dict": model.state_dict()}, pth)
        call("cover_weights_convert", None, context, pth, weights, None)
        call("cover_weights_export", context, weights, exported, 0)
        onnx.checker.check_model(onnx.load(exported), full_check=True)
        session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    for batch, factor in ((1, 1), (2, 2)):
        image = torch.randn(batch, channels, size[0] * factor, *size[1:])
        with torch.no_grad():
            expected = [level.numpy() for level in model.backbone(image)]
        for level, (got, want) in enumerate(zip(session.run(None, {"image": image.numpy()}), expected)):
            assert got.shape == want.shape
            error = numpy.abs(got - want).max() / (1e-6 + numpy.sqrt((want**2).mean()))
            print(f"{dims}D {tuple(image.shape)} level {level}: {error:.2e}")
            assert error < 1e-4


torch.manual_seed(0)
compare(2, 1, (8, 16, 16, 24, 32, 24, 16, 16, 8), (48, 80))
compare(2, 3, (32, 64, 128, 256, 512, 256, 128, 64, 32), (64, 96))
compare(3, 1, (8, 16, 16, 24, 32, 24, 16, 16, 8), (32, 48, 16))
compare(3, 2, (16,) * 9, (16, 16, 32))
