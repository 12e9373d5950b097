/* A small segmentation task with random weights, for the tests of examples and of the command.
 * usage: make_task FILE.safetensors [PRESET [KEY VALUE]...] */
#include "core/method/supervised.h"
#include "io/weights/task_file.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    struct task_about about = {0};
    struct parameters parameters;
    cover_status status = COVER_OK;
    if (argc < 2) return 2;
    if (cover_context_create(&about.context, NULL) != COVER_OK) return 1;
    cover_context *context = about.context;
    const char *preset = argc > 2 ? argv[2] : "seg-2d";
    GO(cover_config_create(&about.config, context, preset));
    GO(cover_config_set(about.config, "widths", "8,8,8,8,8,8,8,8,8"));
    for (int i = 3; i + 1 < argc; i += 2) GO(cover_config_set(about.config, argv[i], argv[i + 1]));
    const struct settings *settings = config_settings(about.config);
    about.class_names = memory_zero(context, (size_t)settings->task.classes * sizeof *about.class_names);
    for (int64_t c = 0; c < settings->task.classes; c++) {
        char name[32];
        snprintf(name, sizeof name, c ? "class %lld" : "background", (long long)c);
        about.class_names[c] = memory_text(context, name);
    }
    GO(task_parameters(&parameters, context, settings));
    float *flat = memory_zero(context, (size_t)parameters.floats * sizeof *flat);
    if (!flat) abort();
    parameters_initialise(&parameters, flat, 17);
    status = task_weights_write(context, argv[1], &parameters, flat, &about, 1);
    memory_free(context, flat);
    parameters_free(&parameters);
done:
    if (status != COVER_OK) fprintf(stderr, "make_task: %s\n", cover_error_text());
    task_about_free(&about);
    cover_context_destroy(context);
    return status != COVER_OK;
}
