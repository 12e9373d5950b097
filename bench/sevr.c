/* Milliseconds for one view pair on one thread, every augmentation on: `sevr [rounds]`.  Called by developers. */
#include "core/views/sevr.h"

#include <stdio.h>
#include <stdlib.h>

static const struct job {
    const char *name, *preset;
    int64_t image[3]; /* D, H, W */
    const char *sets[5][2];
} jobs[] = {
    {"2D 384x384 of 512x512", "paper-2d", {1, 512, 512}, {{0}}},
    {"2D 384x384 of 1024x1024", "paper-2d", {1, 1024, 1024}, {{0}}},
    {"2D 384x384 released", "released-2d", {1, 1024, 1024}, {{0}}},
    {"2D 384x384 smooth", "paper-2d", {1, 512, 512}, {{"deform_alpha", "1000"}}},
    {"2D 384x384 diffeomorphic", "paper-2d", {1, 512, 512}, {{"diffeo_alpha", "300"}}},
    {"2D 384x384 blur 2", "paper-2d", {1, 512, 512}, {{"blur", "2"}}},
    {"3D 64 of 96", "paper-3d", {96, 96, 96}, {{"crop", "64x64x64"}}},
    {"3D 128 of 160x160x128", "paper-3d", {160, 160, 128}, {{0}}},
    {"3D 128 of 256, work 192", "paper-3d", {256, 256, 256}, {{"work", "192x192x192"}}},
    {"3D 128 released, smooth", "released-3d", {192, 192, 192}, {{0}}},
    {"3D 128 diffeomorphic", "paper-3d", {160, 160, 128}, {{"diffeo_alpha", "1000"}}},
};

static cover_status time_job(cover_context *context, const struct job *job, int rounds) {
    cover_config *config = NULL;
    struct sevr *sevr = NULL;
    float *image = NULL, *views = NULL;
    cover_status status;
    GO(cover_config_create(&config, context, job->preset));
    GO(cover_config_set(config, "appearance_probability", "1"));
    for (int i = 0; i < 5 && job->sets[i][0]; i++) GO(cover_config_set(config, job->sets[i][0], job->sets[i][1]));
    const struct settings *settings = config_settings(config);
    GO(sevr_create(&sevr, context, settings));
    struct grid grid = {(int)settings->network.dims, {job->image[0], job->image[1], job->image[2]}};
    GO(sevr_reserve(sevr, &grid));

    struct view_bytes bytes = sevr_pair_bytes(sevr);
    image = memory_alloc(context, (size_t)grid_pixels(&grid) * sizeof *image);
    views = memory_alloc(context, 2 * bytes.image + bytes.field + bytes.mask);
    status = COVER_ERROR_MEMORY;
    if (!image || !views) goto done;
    for (int64_t i = 0; i < grid_pixels(&grid); i++) image[i] = (float)((uint32_t)i * 2654435761u >> 24);
    float *fixed = views + bytes.image / sizeof(float), *field = fixed + bytes.image / sizeof(float);
    struct view_pair pair = {views, fixed, field, field + bytes.field / sizeof(float), 0, 0};
    double least = 1e9, sum = 0;
    for (int round = -1; round < rounds; round++) { /* the first one is not counted */
        double start = seconds_now();
        GO(sevr_draw(sevr, &pair, image, &grid, 1, 255, 1, (uint32_t)(round + 1), 0));
        double seconds = seconds_now() - start;
        if (round < 0) continue;
        sum += seconds;
        least = seconds < least ? seconds : least;
    }
    printf("%-26s mean %8.2f ms  least %8.2f ms  scratch %6.1f MB\n", job->name, 1e3 * sum / rounds, 1e3 * least,
           (double)sevr_bytes(sevr) * 1e-6);
done:
    memory_free(context, image);
    memory_free(context, views);
    sevr_destroy(sevr);
    cover_config_destroy(config);
    return status;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 10, failed = 0;
    cover_context *context;
    if (rounds < 1 || cover_context_create(&context, NULL) != COVER_OK) return 2;
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
        if (time_job(context, &jobs[i], rounds) != COVER_OK)
            failed = 1, fprintf(stderr, "%s: %s\n", jobs[i].name, cover_error_text());
    cover_context_destroy(context);
    return failed;
}
