/* Fine-tune from C: labelled images and a pretrained network in, a run folder out.
 *   cc finetune.c $(pkg-config --cflags --libs cover) -o finetune && ./finetune Dataset001_Chest seg weights.safetensors run 500 */
#include <libcover/cover.h>

#include <stdio.h>

static void on_step(void *user, const cover_task_report *report, int64_t steps) {
    (void)user;
    printf("step %lld of %lld: loss %.3f, best score %.3f\n", (long long)report->step, (long long)steps, report->loss,
           report->best_score);
}

int main(int argc, char **argv) {
    if (argc != 6) {
        fprintf(stderr, "usage: finetune DATA seg|cls WEIGHTS|scratch RUN STEPS\n");
        return 2;
    }
    const char *init = argv[3], *run = argv[4];
    cover_context *context = NULL;
    cover_dataset *data = NULL;
    cover_config *config = NULL;
    cover_finetune_options options = COVER_FINETUNE_OPTIONS_INIT;
    char *result = NULL;
    cover_status status;
    options.on_step = on_step;

    if ((status = cover_context_create(&context, NULL)) != COVER_OK) goto done;
    if ((status = cover_dataset_prepare(&data, context, argv[1], run, NULL)) != COVER_OK) goto done;
    if ((status = cover_task_config(&config, context, data, argv[2], init)) != COVER_OK) goto done;
    if ((status = cover_config_set(config, "steps", argv[5])) != COVER_OK) goto done;
    if ((status = cover_run_finetune(&result, context, data, config, init, run, &options)) != COVER_OK) goto done;
    fputs(result, stdout);

done:
    if (status != COVER_OK) fprintf(stderr, "%s: %s\n", cover_status_name(status), cover_error_text());
    cover_text_release(context, result);
    cover_config_destroy(config);
    cover_dataset_destroy(data);
    cover_context_destroy(context);
    return status != COVER_OK;
}
