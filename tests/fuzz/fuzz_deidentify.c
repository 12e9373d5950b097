/* De-identification: whatever the bytes of an object, it is refused, or what is left of it is an object again whose attributes
 * name nobody. */
#include "fuzz.h"

#include <libcover/dicom.h>

#include <ftw.h>

static cover_context *own;

/* Bytes that a changed length has put into pixels or tables stay, as all pixels do; attributes of a person do not. */
static void look_into(const char *path) {
    static const uint32_t people[] = {0x00100010, 0x00100020, 0x00100030, 0x00101000, 0x00080050, 0x00080090, 0x00081030};
    cover_dicom *set;
    int volumes = 0;
    require(cover_dicom_create(&set, own, NULL) == COVER_OK && cover_dicom_add_path(set, path) == COVER_OK,
            "a result that is an object");
    (void)cover_dicom_volumes(set, &volumes);
    for (int v = 0; v < volumes; v++)
        for (size_t t = 0; t < sizeof people / sizeof *people; t++) {
            const void *bytes;
            size_t count;
            require(cover_dicom_value(set, v, 0, people[t], &bytes, &count) == COVER_OK, "an attribute");
            require(!count || !memmem(bytes, count, "CANARY", 6), "an attribute that names nobody");
        }
    cover_dicom_destroy(set);
}

static int look(const char *path, const struct stat *about, int kind, struct FTW *place) {
    (void)about, (void)place;
    if (kind == FTW_F) look_into(path), unlink(path);
    else if (kind == FTW_DP) rmdir(path);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    own = fuzz_context();
    cover_deidentify_options options = COVER_DEIDENTIFY_OPTIONS_INIT;
    char out[200];
    uint8_t key[32] = {1, 2, 3};
    options.key = fuzz_put("key", key, sizeof key);
    options.dates = "shift";
    const char *input = fuzz_put("in/object", data, size);
    snprintf(out, sizeof out, "%s/out", fuzz_root);
    const cover_status status = cover_dicom_deidentify(NULL, own, input, out, &options);
    require(status != COVER_ERROR_INTERNAL, "what was written is not what was read");
    require(!strstr(cover_error_text(), "CANARY"), "an error that names nobody");
    nftw(out, look, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}
