/* Segments an 8-bit image in your own memory with a fine-tuned task: how many pixels each class gets.
 *   cc segment.c $(pkg-config --cflags --libs cover) -o segment && ./segment run/ */
#include <libcover/cover.h>

#include <stdio.h>

enum { HEIGHT = 300, WIDTH = 400, STRIDE = 512 };

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: segment TASK\n");
        return 2;
    }
    static uint8_t pixels[HEIGHT][STRIDE]; /* stands for a frame of a camera, whose rows are longer than the image */
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            pixels[y][x] = (y - 150) * (y - 150) + (x - 200) * (x - 200) < 6400 ? 200 : (uint8_t)(x / 4);

    cover_context *context = NULL;
    cover_predictor *predictor = NULL; /* load once, run often, from any thread */
    cover_tensor *image = NULL, *label = NULL;
    const int64_t shape[] = {1, HEIGHT, WIDTH}, strides[] = {HEIGHT * STRIDE, STRIDE, 1};
    int result = 1;
    if (cover_context_create(&context, NULL) != COVER_OK) goto done;
    if (cover_predictor_load(&predictor, context, argv[1], NULL) != COVER_OK) goto done;
    if (cover_tensor_wrap(&image, context, COVER_U8, 3, shape, strides, pixels) != COVER_OK) goto done;
    if (cover_predictor_run(&label, NULL, predictor, image, NULL) != COVER_OK) goto done;

    if (cover_tensor_rank(label) != 2) {
        fprintf(stderr, "segment: %s classifies whole images\n", argv[1]);
        result = 2;
        goto done;
    }
    const void *classes = cover_tensor_data(label); /* HEIGHT x WIDTH, contiguous */
    for (int c = 0; c < cover_predictor_classes(predictor); c++) {
        long count = 0;
        for (int i = 0; i < HEIGHT * WIDTH; i++)
            count += c == (cover_tensor_dtype(label) == COVER_U8 ? ((const uint8_t *)classes)[i] : ((const uint16_t *)classes)[i]);
        printf("%s: %ld pixels\n", cover_predictor_class_name(predictor, c), count);
    }
    result = 0;

done:
    if (result == 1) fprintf(stderr, "segment: %s\n", cover_error_text());
    cover_tensor_destroy(label);
    cover_tensor_destroy(image);
    cover_predictor_destroy(predictor);
    cover_context_destroy(context);
    return result;
}
