/* Pretrain from C: a packed dataset in, weights out.
 *   cc pretrain.c $(pkg-config --cflags --libs cover) -o pretrain && ./pretrain chest.h5 weights.safetensors 200 */
#include <libcover/cover.h>

#include <stdio.h>
#include <stdlib.h>

static int failed(cover_status status) {
    fprintf(stderr, "%s: %s\n", cover_status_name(status), cover_error_text());
    return 1;
}

static double figure(const cover_step_report *report, const char *name) {
    return cover_figure_value(report->figures, report->figure_count, name);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: pretrain DATA.h5 WEIGHTS.safetensors STEPS\n");
        return 2;
    }
    cover_context *context = NULL;
    cover_dataset *data = NULL;
    cover_config *config = NULL;
    cover_trainer *trainer = NULL;
    cover_status status;
    const int64_t steps = atoll(argv[3]);

    if ((status = cover_context_create(&context, NULL)) != COVER_OK) goto done;
    if ((status = cover_dataset_open(&data, context, argv[1])) != COVER_OK) goto done;
    if ((status = cover_config_create(&config, context, "demo")) != COVER_OK) goto done;
    if ((status = cover_config_set(config, "schedule", "constant")) != COVER_OK) goto done;
    if ((status = cover_trainer_create(&trainer, context, data, config)) != COVER_OK) goto done;

    cover_step_report report = COVER_STEP_REPORT_INIT;
    while (report.step < steps) {
        if ((status = cover_trainer_step(&report, trainer)) != COVER_OK) goto done;
        printf("step %lld: l_vec %.3f of %.3f, l_con %.3f\n", (long long)report.step, figure(&report, "l_vec"),
               figure(&report, "l_zero"), figure(&report, "l_con"));
    }
    status = cover_trainer_export(trainer, argv[2]);

done:;
    const int result = status == COVER_OK ? 0 : failed(status);
    cover_trainer_destroy(trainer);
    cover_config_destroy(config);
    cover_dataset_destroy(data);
    cover_context_destroy(context);
    return result;
}
