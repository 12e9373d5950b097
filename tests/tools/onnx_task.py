"""Data for exported tasks, and their scores by onnxruntime beside those of cover predict.  Called by test_onnx.sh.
usage: onnx_task.py make FOLDER | onnx_task.py compare FILE.onnx IMAGE SCORES
"""
import csv
import os
import struct
import sys
import zlib

import numpy

TOLERANCE = 1e-5


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def write_png(path, pixels):
    rows = b''.join(b'\0' + row.tobytes() for row in pixels.astype(numpy.uint8))
    header = struct.pack('>IIBBBBB', pixels.shape[1], pixels.shape[0], 8, 0, 0, 0, 0)
    with open(path, 'wb') as file:
        file.write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))


def read_png(path):
    """Of write_png's form alone."""
    with open(path, 'rb') as file:
        data = file.read()
    width, height = struct.unpack('>II', data[16:24])
    length = struct.unpack('>I', data[33:37])[0]
    rows = numpy.frombuffer(zlib.decompress(data[41:41 + length]), numpy.uint8).reshape(height, width + 1)
    return rows[:, 1:].astype(numpy.float32)


def write_nifti(path, voxels):
    header = bytearray(352)
    struct.pack_into('<i', header, 0, 348)
    struct.pack_into('<8h', header, 40, 3, *voxels.shape[::-1], 1, 1, 1, 1)
    struct.pack_into('<2h', header, 70, 2, 8)
    struct.pack_into('<8f', header, 76, *[1.0] * 8)
    struct.pack_into('<2f', header, 108, 352, 1)
    header[344:347] = b'n+1'
    with open(path, 'wb') as file:
        file.write(bytes(header) + voxels.astype(numpy.uint8).tobytes())


def read_nifti(path):
    with open(path, 'rb') as file:
        data = file.read()
    return numpy.frombuffer(data[352:], numpy.uint8).reshape(struct.unpack_from('<8h', data, 40)[3:0:-1]).astype(numpy.float32)


def shapes(size, seed):
    """Noise with a bright block, and the block."""
    random = numpy.random.default_rng(seed)
    mask = numpy.zeros(size, bool)
    mask[tuple(slice(low, low + n // 2) for low, n in zip((random.integers(0, n // 2) for n in size), size))] = True
    return (random.integers(0, 60, size) + 120 * mask).astype(numpy.uint8), mask


def make(folder):
    for name, size, write, end in (('seg2', (64, 48), write_png, '.png'), ('seg3', (16, 32, 16), write_nifti, '.nii')):
        for part in ('imagesTr', 'labelsTr'):
            os.makedirs(f'{folder}/{name}/{part}')
        for i in range(6):
            image, mask = shapes(size, i)
            write(f'{folder}/{name}/imagesTr/c{i}_0000{end}', image)
            write(f'{folder}/{name}/labelsTr/c{i}{end}', mask)
        with open(f'{folder}/{name}/dataset.json', 'w', encoding='utf-8') as file:
            file.write('{"channel_names": {"0": "x"}, "labels": {"background": 0, "block": 1}, "numTraining": 6, '
                       f'"file_ending": "{end}"}}')
    os.makedirs(f'{folder}/several')
    for i in range(8):
        image, _ = shapes((64, 48), i)
        kind = ('bright', 'dark')[i % 2]
        os.makedirs(f'{folder}/cls/train/{kind}', exist_ok=True)
        write_png(f'{folder}/cls/train/{kind}/{i}.png', image + 60 * (1 - i % 2))
        write_png(f'{folder}/several/{i}.png', image)
    with open(f'{folder}/several.csv', 'w', encoding='utf-8') as file:
        file.write('file,label\n' + ''.join(f'{i}.png,{("left", "right", "left|right")[i % 3]}\n' for i in range(8)))


def read_scores(path, image):
    if path.endswith('.npy'):
        return numpy.load(path)
    with open(path, encoding='utf-8', newline='') as file:
        for row in list(csv.reader(file))[1:]:
            if os.path.basename(row[0]) == os.path.basename(image):
                return numpy.array([float(value) for value in row[1:]])
    sys.exit(f'{path}: no row of {image}')


def compare(model, image, scores):
    import onnxruntime
    session = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider'])
    about = session.get_modelmeta().custom_metadata_map
    values = read_png(image) if image.endswith('.png') else read_nifti(image)
    assert about['normalise'] == 'range' and int(about['dims']) == values.ndim and all(n % int(about['multiple']) == 0 for n in values.shape)
    values = (values - values.min()) / (values.max() - values.min())
    got, want = session.run(['scores'], {'image': values[None, None]})[0][0], read_scores(scores, image)
    assert got.shape == want.shape, (got.shape, want.shape)
    assert want.std() > 0
    error = numpy.abs(got - want).max()
    print(f'largest difference of {want.size} scores: {error:.2e}')
    assert error < TOLERANCE


if __name__ == '__main__':
    globals()[sys.argv[1]](*sys.argv[2:])
