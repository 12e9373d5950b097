/* What tells `pack` about its images: labels and splits (CSV), nnU-Net's and the Decathlon's dataset.json, a collection, folds, and a
 * spool to go on from.  The first byte says which.  Whatever the rest, a dataset or an error with a text. */
#include "fuzz.h"

#include "io/image/image.h"

#include <libcover/dataset.h>

enum kind { LABELS, SPLIT, NNUNET, COLLECTION, FOLDS, SPOOL, KINDS };

/* A grey picture of 8 x 8 pixels. */
static void put_image(const char *name, int value) {
    uint8_t pixels[64], *bytes;
    size_t size;
    for (int i = 0; i < 64; i++) pixels[i] = (uint8_t)((i * value) & 127);
    require(png_encode(fuzz_context(), &bytes, &size, pixels, 8, 8, 1) == COVER_OK, "an image");
    fuzz_put(name, bytes, size);
    memory_free(fuzz_context(), bytes);
}

static void prepare(void) {
    static bool done;
    if (done) return;
    done = true;
    put_image("plain/i0.png", 3), put_image("plain/i1.png", 5);
    put_image("nnunet/imagesTr/c0_0000.png", 7), put_image("nnunet/imagesTr/c1_0000.png", 9);
    put_image("nnunet/labelsTr/c0.png", 0), put_image("nnunet/labelsTr/c1.png", 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    const enum kind kind = data[0] % KINDS;
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    prepare();
    data++, size--;
    options.skip_bad = 1;
    const char *source = fuzz_path("plain"), *output = fuzz_path("o.h5");
    if (kind == LABELS) options.labels = fuzz_put("a.csv", data, size);
    if (kind == SPLIT) options.split = fuzz_put("a.csv", data, size);
    if (kind == NNUNET) fuzz_put("nnunet/dataset.json", data, size), source = fuzz_path("nnunet");
    if (kind == COLLECTION) source = fuzz_put("pretrain_data.json", data, size);
    if (kind == FOLDS) options.split = fuzz_put("splits_final.json", data, size);
    if (kind == SPOOL) fuzz_put("o.h5.spool", data, size), options.resume = 1;
    unlink(output);
    const cover_status status = cover_dataset_pack(NULL, fuzz_context(), &source, 1, output, &options);
    require(status == COVER_OK || *cover_error_text(), "a failure without a text");
    unlink(fuzz_path("o.h5.spool"));
    return 0;
}
