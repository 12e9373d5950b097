/* The displacement field between two image files, from features through the head, and the warped image's error.
 *   cc match.c $(pkg-config --cflags --libs cover) -lm -o match && ./match weights.safetensors */
#include <libcover/cover.h>

#include <math.h>
#include <stdio.h>

enum { SIZE = 96 };

/* A bright disc. */
static void draw(float image[SIZE][SIZE], double cy, double cx) {
    for (int y = 0; y < SIZE; y++)
        for (int x = 0; x < SIZE; x++) image[y][x] = (float)(1 / (1 + exp(hypot(y - cy, x - cx) - 20)));
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: match WEIGHTS\n");
        return 2;
    }
    static float moving_pixels[SIZE][SIZE], fixed_pixels[SIZE][SIZE];
    draw(moving_pixels, 50, 50);
    draw(fixed_pixels, 47, 46); /* fixed(p) shows what moving shows at p + (3, 4) */

    const int64_t shape[] = {1, 1, SIZE, SIZE};
    cover_context *context = NULL;
    cover_backbone *network = NULL;
    cover_head *head = NULL;
    cover_tensor *moving = NULL, *fixed = NULL, *field = NULL, *warped = NULL;
    cover_features *of_moving = NULL, *of_fixed = NULL;
    const cover_tensor *levels[2][5];
    int result = 1;
    if (cover_context_create(&context, NULL) != COVER_OK) goto done;
    if (cover_backbone_load(&network, context, argv[1], NULL) != COVER_OK) goto done;
    if (cover_head_load(&head, context, argv[1], NULL) != COVER_OK) goto done;
    if (cover_tensor_wrap(&moving, context, COVER_F32, 4, shape, NULL, moving_pixels) != COVER_OK) goto done;
    if (cover_tensor_wrap(&fixed, context, COVER_F32, 4, shape, NULL, fixed_pixels) != COVER_OK) goto done;
    if (cover_backbone_forward(&of_moving, network, moving) != COVER_OK) goto done;
    if (cover_backbone_forward(&of_fixed, network, fixed) != COVER_OK) goto done;
    for (int i = 0; i < 5; i++) {
        levels[0][i] = cover_features_level(of_moving, i);
        levels[1][i] = cover_features_level(of_fixed, i);
    }
    if (cover_head_forward(&field, head, levels[0], levels[1], 5) != COVER_OK) goto done;
    if (cover_field_warp(&warped, context, moving, field) != COVER_OK) goto done;

    const int64_t *strides = cover_tensor_strides(field);
    const float *values = cover_tensor_data(field), *pixels = cover_tensor_data(warped);
    const float *centre = values + 47 * strides[2] + 46 * strides[3];
    double before = 0, after = 0;
    for (int i = 0; i < SIZE * SIZE; i++) {
        before += fabs((&moving_pixels[0][0])[i] - (&fixed_pixels[0][0])[i]);
        after += fabs(pixels[i] - (&fixed_pixels[0][0])[i]);
    }
    printf("at the disc the field is (%.2f, %.2f), true is (3, 4)\n", centre[0], centre[strides[1]]);
    printf("mean difference to the fixed image: %.4f before, %.4f after warping\n", before / (SIZE * SIZE), after / (SIZE * SIZE));
    result = 0;

done:
    if (result) fprintf(stderr, "match: %s\n", cover_error_text());
    cover_tensor_destroy(warped);
    cover_tensor_destroy(field);
    cover_features_destroy(of_fixed);
    cover_features_destroy(of_moving);
    cover_tensor_destroy(fixed);
    cover_tensor_destroy(moving);
    cover_head_destroy(head);
    cover_backbone_destroy(network);
    cover_context_destroy(context);
    return result;
}
