/* Segments a series that arrived as objects in memory, as a C-STORE server holds them, and gives a DICOM Segmentation back as bytes.
 *   cc hospital.c $(pkg-config --cflags --libs cover) -o hospital && ./hospital run/ seg.dcm 1.dcm 2.dcm ... */
#include <libcover/cover.h>

#include <stdio.h>
#include <stdlib.h>

/* What a server holds of one object: its bytes, which are never written to a file. */
struct object {
    void *bytes;
    size_t count;
};

/* Stands for an association: the objects come from files here, from the network there. */
static int receive(struct object *object, const char *path) {
    FILE *file = fopen(path, "rb");
    long count = -1;
    if (file && fseek(file, 0, SEEK_END) == 0 && (count = ftell(file)) > 0 && fseek(file, 0, SEEK_SET) == 0 &&
        (object->bytes = malloc((size_t)count)) != NULL)
        object->count = fread(object->bytes, 1, (size_t)count, file);
    if (file) fclose(file);
    return count > 0 && object->count == (size_t)count;
}

/* Takes the bytes of the result as they come: a server would send them on. */
static int send_on(void *user, const void *bytes, size_t count) { return fwrite(bytes, 1, count, (FILE *)user) != count; }

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: hospital TASK OUT.dcm OBJECT.dcm...\n");
        return 2;
    }
    const int objects = argc - 3;
    struct object *received = calloc((size_t)objects, sizeof *received);
    cover_context *context = NULL;
    cover_predictor *predictor = NULL; /* load once, run often, from any thread */
    cover_dicom *set = NULL;           /* one a study */
    cover_tensor *label = NULL;
    FILE *out = NULL;
    int result = 1, volumes, index;
    if (!received || cover_context_create(&context, NULL) != COVER_OK) goto done;
    if (cover_predictor_load(&predictor, context, argv[1], NULL) != COVER_OK) goto done;
    if (cover_dicom_create(&set, context, NULL) != COVER_OK) goto done;
    for (int i = 0; i < objects; i++) {
        if (!receive(&received[i], argv[3 + i])) {
            fprintf(stderr, "hospital: object %d could not be received\n", i + 1);
            result = 2;
            goto done;
        }
        /* 1: the bytes stay ours and are not copied; an object that cannot be read refuses its series later, with the reason */
        if (cover_dicom_add_bytes(set, received[i].bytes, received[i].count, 1) != COVER_OK)
            fprintf(stderr, "hospital: object %d: %s\n", i + 1, cover_error_text());
    }
    if (cover_dicom_volumes(set, &volumes) != COVER_OK) goto done;  /* all are here: series become volumes */
    if (cover_dicom_find(set, NULL, &index) != COVER_OK) goto done; /* the only one that can be read */
    if (cover_predictor_run_dicom(&label, NULL, predictor, set, index) != COVER_OK) goto done;

    const int classes = cover_predictor_classes(predictor);
    const char **names = (const char **)malloc((size_t)classes * sizeof *names);
    for (int c = 0; names && c < classes; c++) names[c] = cover_predictor_class_name(predictor, c);
    cover_seg_options options = COVER_SEG_OPTIONS_INIT;
    options.class_names = names;
    options.classes = classes;
    options.task = "example";
    options.time = "2026-11-30T12:00:00Z"; /* every byte is a function of what goes in, and of this */
    out = fopen(argv[2], "wb");
    if (names && out && cover_dicom_write_seg(set, index, label, &options, send_on, out) == COVER_OK) result = 0;
    free((void *)names);
    if (out && fclose(out) != 0) result = 1;
    if (!result) printf("%d objects in, one segmentation of %d classes out\n", objects, classes - 1);
    if (result) remove(argv[2]);

done:
    if (result == 1) fprintf(stderr, "hospital: %s\n", cover_error_text());
    cover_tensor_destroy(label);
    cover_dicom_destroy(set);
    cover_predictor_destroy(predictor);
    cover_context_destroy(context);
    for (int i = 0; received && i < objects; i++) free(received[i].bytes);
    free(received);
    return result;
}
