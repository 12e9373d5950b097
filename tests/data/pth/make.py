"""Writes the PyTorch files of this folder (PyTorch 2.15):  python3 make.py.

Every tensor's values are a function of its name alone, so that the test knows them:
value(i) = (i % 17 - 8) * 0.25 + len(name), in the order of the elements; integers are i % 17 + len(name).
"""
import argparse
import collections
import io
import os
import pickle
import zipfile

import torch


def floats(name, *shape, dtype=torch.float32):
    count = int(torch.tensor(shape).prod()) if shape else 1
    return ((torch.arange(count) % 17 - 8) * 0.25 + len(name)).reshape(shape).to(dtype)


def integers(name, *shape, dtype=torch.int64):
    count = int(torch.tensor(shape).prod()) if shape else 1
    return (torch.arange(count) % 17 + len(name)).reshape(shape).to(dtype)


def unet(widths, channels, dims, head=True):
    """The state of the authors' model, in their order and under their names."""
    state = collections.OrderedDict()

    def add(name, *shape):
        state[name] = floats(name, *shape)

    def double_conv(name, c_in, c_out):
        for i, c in ((0, c_in), (3, c_out)):
            add(f"{name}.{i}.weight", c_out, c, *[3] * dims)
            add(f"{name}.{i}.bias", c_out)
            add(f"{name}.{i + 1}.weight", c_out)
            add(f"{name}.{i + 1}.bias", c_out)

    w = widths
    double_conv("backbone.inc.double_conv", channels, w[0])
    for i in range(4):
        double_conv(f"backbone.down{i + 1}.maxpool_conv.1.double_conv", w[i], w[i + 1])
    for i in range(4):
        double_conv(f"backbone.up{i + 1}.conv.double_conv", w[4 + i] + w[3 - i], w[5 + i])
    if head:
        axes = [torch.arange(-2, 3)] * dims
        state["mov.grid"] = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).float()
        for i, heads in enumerate((4, 4, 4, 1, 1)):
            add(f"proj.{i}.norm.weight", 8 * heads)
            add(f"proj.{i}.norm.bias", 8 * heads)
            add(f"proj.{i}.proj.weight", 8 * heads, w[4 + i], *[1] * dims)
            add(f"proj.{i}.proj.bias", 8 * heads)
    return state


small = (8, 8, 8, 8, 8, 8, 8, 8, 8)


def types():
    dtypes = dict(f32=torch.float32, f64=torch.float64, f16=torch.float16, bf16=torch.bfloat16)
    whole = dict(i64=torch.int64, i32=torch.int32, i16=torch.int16, i8=torch.int8, u8=torch.uint8, u16=torch.uint16,
                 u32=torch.uint32, u64=torch.uint64)
    state = {name: floats(name, 2, 3, dtype=dtype) for name, dtype in dtypes.items()}
    state.update({name: integers(name, 2, 3, dtype=dtype) for name, dtype in whole.items()})
    state["bool"] = torch.tensor([True, False, True])
    state["scalar"] = floats("scalar")
    state["empty"] = torch.zeros(0, 3)
    return state


def strides():
    whole, spaced = floats("whole", 4, 6), torch.zeros(8, 6)
    spaced[::2] = floats("rows", 4, 6)
    return {
        "whole": whole,
        "transposed": floats("transposed", 6, 4).t().contiguous().t(),
        "rows": spaced[::2],
        "view_of_whole": whole[1:3, ::2],
        "channels_last": floats("channels_last", 2, 3, 4, 5).to(memory_format=torch.channels_last),
        "expanded": floats("expanded", 1, 3).expand(4, 3),
        "parameter": torch.nn.Parameter(floats("parameter", 3)),
    }


def checkpoint(protocol):
    """What training scripts save: weights among much else, from DataParallel."""
    model = torch.nn.Linear(3, 2)
    model.weight.data, model.bias.data = floats("weight", 2, 3), floats("bias", 2)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    model.weight.data, model.bias.data = floats("weight", 2, 3), floats("bias", 2)
    state = {"module." + key: value for key, value in model.state_dict().items()}
    extras = dict(epoch=7, arch="linear", lr=1e-3, big=1 << 80, negative=-70000, none=None, flags=(True, False, {1, 2}),
                  size=torch.Size([2, 3]), device=torch.device("cpu"), args=argparse.Namespace(lr=0.1, name="x"),
                  raw=b"bytes", many=list(range(300)), counter=collections.Counter("aab"))
    path = f"checkpoint_protocol{protocol}.pth"
    torch.save(dict(extras, state_dict=state, optimizer=optimizer.state_dict()), path, pickle_protocol=protocol)


def deflate(source, target, limit=zipfile.ZIP64_LIMIT):
    """The same archive with packed entries and another folder name, as other tools write it.

    Sizes and offsets over `limit` are written as in archives over 4 GiB."""
    zipfile.ZIP64_LIMIT = limit
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            info = zipfile.ZipInfo("archive/" + entry.filename.split("/", 1)[1], (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            with new.open(info, "w", force_zip64=True) as stream:
                stream.write(old.read(entry))


def averages():
    """What timm, mmengine and others save: an average of the weights beside them, and an optimiser's state."""
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return {"epoch": 3, "state_dict": {"a.weight": floats("weight", 2, 3), "a.bias": floats("bias", 2)},
            "state_dict_ema": {"module": {"a.weight": floats("average", 2, 3), "a.bias": floats("bias", 2)}},
            "optimizer": optimizer.state_dict(), "best": torch.tensor(0.5)}


class Evil:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


def evil(path, protocol):
    """A pickle that would run a command.  Nothing here runs it, and neither may libcover."""
    buffer = io.BytesIO()
    pickle.Pickler(buffer, protocol).dump({"weight": Evil(os.system, "touch /tmp/cover-was-here")})
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (("data.pkl", buffer.getvalue()), ("version", b"3\n")):
            archive.writestr(zipfile.ZipInfo("archive/" + name, (1980, 1, 1, 0, 0, 0)), data)


if __name__ == "__main__":
    torch.save(types(), "types.pth")
    torch.save(strides(), "strides.pth")
    torch.save(strides(), "strides_old.pth", _use_new_zipfile_serialization=False)
    torch.save(strides(), "strides_old_protocol4.pth", _use_new_zipfile_serialization=False, pickle_protocol=4)
    torch.save({"w": floats("w", 3)}, "old_protocol1.pth", _use_new_zipfile_serialization=False, pickle_protocol=1)
    torch.save({"lazy": torch._neg_view(-floats("lazy", 2, 3)), "whole": torch._neg_view(-integers("whole", 2, 3, dtype=torch.int16))},
               "negative.pth")
    torch.save(averages(), "averages.pth")
    for protocol in (2, 3, 4, 5):
        checkpoint(protocol)
    torch.save({"epoch": 1, "state_dict": unet(small, 1, 2)}, "unet2d.pth")
    torch.save(unet(small, 1, 3, head=False), "backbone3d.pth")
    torch.serialization.set_crc32_options(False)
    torch.save(strides(), "strides_without_crc.pth")
    deflate("strides.pth", "strides_deflated.pth")
    evil("evil_protocol2.pth", 2)
    evil("evil_protocol4.pth", 4)
    deflate("strides.pth", "strides_wide.pth", limit=0)
