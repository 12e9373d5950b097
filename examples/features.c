/* Features of your own pixels: five levels of a pretrained network for a 16-bit image in memory.
 *   cc features.c $(pkg-config --cflags --libs cover) -lm -o features && ./features weights.safetensors */
#include <libcover/cover.h>

#include <stdio.h>

enum { HEIGHT = 100, WIDTH = 120 };

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: features WEIGHTS\n");
        return 2;
    }
    static uint16_t pixels[HEIGHT][WIDTH]; /* stands for an image of a scanner */
    static float scaled[HEIGHT][WIDTH];    /* networks take 0..1 */
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            pixels[y][x] = (uint16_t)(40000 * ((y / 10 + x / 10) % 2));
            scaled[y][x] = pixels[y][x] / 40000.0f;
        }

    cover_context *context = NULL;
    cover_backbone *network = NULL;
    cover_tensor *image = NULL;
    cover_features *features = NULL;
    int result = 1;
    if (cover_context_create(&context, NULL) != COVER_OK) goto done;
    if (cover_backbone_load(&network, context, argv[1], NULL) != COVER_OK) goto done;
    if (cover_tensor_wrap(&image, context, COVER_F32, 4, (int64_t[]){1, 1, HEIGHT, WIDTH}, NULL, scaled) != COVER_OK) goto done;
    if (cover_backbone_forward(&features, network, image) != COVER_OK) goto done;

    for (int i = 0; i < cover_features_count(features); i++) {
        const cover_tensor *level = cover_features_level(features, i);
        const int64_t *shape = cover_tensor_shape(level), *strides = cover_tensor_strides(level);
        const float *values = cover_tensor_data_const(level);
        printf("level %d: %lld channels, %lldx%lld, stride %d, first pixel:", i, (long long)shape[1], (long long)shape[2],
               (long long)shape[3], cover_features_stride(features, i));
        for (int64_t c = 0; c < shape[1] && c < 4; c++) printf(" %.3f", values[c * strides[1]]);
        printf("\n");
    }
    result = 0;

done:
    if (result) fprintf(stderr, "features: %s\n", cover_error_text());
    cover_features_destroy(features);
    cover_tensor_destroy(image);
    cover_backbone_destroy(network);
    cover_context_destroy(context);
    return result;
}
