/* What the program of misuse.py needs: right arguments, made in the process that uses them, wrong ones, and a process for each call.
 * Usage of the program: test_misuse FOLDER, the files of tests/data/0.1.0. */
#ifndef COVER_MISUSE_H
#define COVER_MISUSE_H

#include <libcover/cover.h>

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], paths[9][4096], endless[100000];
static const char *data_folder;
#define DATA_FILE paths[0]
#define WEIGHTS_FILE paths[1]
#define FREE_PATH paths[2] /* nothing is there, its folder can be written */
#define SLICE paths[8]     /* of DICOM */
#define DEVICE paths[6]    /* like /dev/null where we may make one, else a folder */
#define PIPE paths[7]      /* that nobody reads or writes */

static const int64_t some_sizes[8] = {1, 8, 8, 1, 1, 1, 1, 1}, huge_sizes[8] = {1, INT64_MAX, INT64_MAX, 2, 2, 2, 2, 2},
                     negative_sizes[8] = {1, -8, 0, -1, -1, -1, -1, -1};
static const double some_numbers[1024] = {1, 2, 3, 4}, odd_numbers[1024] = {NAN, -1, INFINITY};
static const char *const some_texts[4] = {"/nowhere", "/nowhere", "/nowhere", "/nowhere"};
static const cover_figure some_figures[4] = {{"loss", 1, NULL}, {"a", 2, NULL}, {"b", 3, NULL}, {"c", 4, NULL}};
static double numbers_out[4096];
static int64_t sizes_out[4096];
static int count_out;
static size_t size_out;
static inline int64_t read_ends(void *user, uint64_t offset, void *to, uint64_t bytes) {
    (void)user, (void)offset, (void)to, (void)bytes;
    return 0;
}
static inline int write_ends(void *user, const void *bytes, size_t count) {
    (void)user, (void)bytes, (void)count;
    return 1;
}
static void *out;
static const cover_tensor *some_tensors[16];

/* Structs with their size at the start. */
static void *struct_of(size_t bytes, size_t told, int behind) {
    char *made = calloc(1, bytes + 64);
    memcpy(made, &told, sizeof told);
    if (behind) memset(made + bytes, 0x7F, 64);
    return made;
}
#define sized(type) struct_of(sizeof(type), sizeof(type), 0)
#define of_size(type, told) struct_of(sizeof(type), told, 0)
#define too_long(type) struct_of(sizeof(type), sizeof(type) + 64, 1)

static void must(cover_status status, const char *what) {
    if (status == COVER_OK) return;
    fprintf(stderr, "%s: %s\n", what, cover_error_text());
    _exit(70);
}
#define MUST(call) must(call, #call)
#define MADE(type, name, ...)                                                                                                      \
    static inline type *make_##name(void) {                                                                                        \
        static type *made;                                                                                                         \
        if (!made) {                                                                                                               \
            __VA_ARGS__                                                                                                            \
        }                                                                                                                          \
        return made;                                                                                                               \
    }

static inline void set(cover_config *config, const char *name, const char *value) { MUST(cover_config_set(config, name, value)); }
static inline void shrink(cover_config *config) {
    set(config, "widths", "8,8,8,8,8,8,8,8,8"), set(config, "crop", "32x32"), set(config, "work", "32x32");
    set(config, "batch", "2"), set(config, "steps", "1");
}

MADE(cover_context, context, cover_context_options options = COVER_CONTEXT_OPTIONS_INIT; options.threads = 1;
     options.memory_limit_bytes = (uint64_t)1 << 30; MUST(cover_context_create(&made, &options));)
MADE(cover_dataset, dataset, MUST(cover_dataset_open(&made, make_context(), DATA_FILE));)
MADE(cover_dataset, labelled, MUST(cover_dataset_open(&made, make_context(), paths[3]));)
MADE(cover_config, config, MUST(cover_config_create(&made, make_context(), "demo")); shrink(made); set(made, "heads", "1,1,1,1,1");
     set(made, "radius", "1");)
MADE(cover_config, task_config, MUST(cover_task_config(&made, make_context(), make_labelled(), "seg", "scratch")); shrink(made);)
MADE(cover_trainer, trainer, MUST(cover_trainer_create(&made, make_context(), make_dataset(), make_config()));)
MADE(cover_task, task, MUST(cover_task_create(&made, make_context(), make_labelled(), make_task_config(), "scratch"));)
MADE(cover_predictor, predictor, MUST(cover_predictor_load(&made, make_context(), paths[4], NULL));)
MADE(cover_tensor, tensor, const int64_t shape[] = {1, 1, 32, 32};
     MUST(cover_tensor_create(&made, make_context(), COVER_F32, 4, shape));)
MADE(cover_backbone, backbone, MUST(cover_backbone_create(&made, make_context(), make_config()));)
MADE(cover_head, head, MUST(cover_head_create(&made, make_context(), make_config()));)
MADE(cover_features, features, MUST(cover_backbone_forward(&made, make_backbone(), make_tensor()));)
MADE(cover_sevr, sevr, MUST(cover_sevr_create(&made, make_context(), make_config()));)
MADE(cover_evaluation, evaluation, MUST(cover_evaluation_compute(&made, make_context(), paths[5], paths[5], NULL));)
MADE(cover_bench, bench, cover_bench_options options = COVER_BENCH_OPTIONS_INIT; options.part = "infer"; options.brief = 1;
     MUST(cover_bench_run(&made, make_context(), &options));)
MADE(cover_dicom, dicom, MUST(cover_dicom_create(&made, make_context(), NULL)); MUST(cover_dicom_add_path(made, SLICE));
     MUST(cover_dicom_volumes(made, &count_out));)

/* No success without a text. */
static inline int said(cover_status status) { return status != COVER_OK && !*cover_error_text() ? 71 : 0; }

static int number, wrong;

static void begin(int count, char **word) {
    if (count < 2) exit(2);
    data_folder = word[1];
    strcpy(folder, "/tmp/cover-misuse-XXXXXX");
    if (!mkdtemp(folder)) exit(2);
    memset(endless, 'x', sizeof endless - 1);
    snprintf(paths[0], sizeof paths[0], "%s/images.h5", data_folder);
    snprintf(paths[1], sizeof paths[1], "%s/run/weights.safetensors", data_folder);
    snprintf(paths[2], sizeof paths[2], "%s/new", folder);
    snprintf(paths[3], sizeof paths[3], "%s/labels.h5", data_folder);
    snprintf(paths[4], sizeof paths[4], "%s/seg/weights.safetensors", data_folder);
    snprintf(paths[5], sizeof paths[5], "%s/../hippocampus_label.nii.gz", data_folder);
    snprintf(SLICE, sizeof SLICE, "%s/../dicom/slice.dcm", data_folder);
    snprintf(DEVICE, sizeof DEVICE, "%s/device", folder);
    snprintf(PIPE, sizeof PIPE, "%s/pipe", folder);
    if (mknod(DEVICE, S_IFCHR | 0666, makedev(1, 3)) != 0 && mkdir(DEVICE, 0777) != 0) exit(2);
    if (mkfifo(PIPE, 0666) != 0 || chdir(folder) != 0) exit(2); /* names without a folder land here */
}

static void check(const char *name, int (*call)(void)) {
    int status = 0;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        alarm(60);
        _exit(call());
    }
    if (child < 0 || waitpid(child, &status, 0) < 0) exit(2);
    wrong += status != 0;
    printf("%sok %d - %s\n", status ? "not " : "", ++number, name);
    if (WIFSIGNALED(status)) printf("# %s\n", WTERMSIG(status) == SIGALRM ? "hangs" : strsignal(WTERMSIG(status)));
    else if (status) printf("# %s\n", WEXITSTATUS(status) == 71 ? "fails without a text" : "the arguments could not be made");
}

static int finish(void) {
    char command[128];
    struct stat device, pipe;
    const bool kept = lstat(DEVICE, &device) == 0 && !S_ISREG(device.st_mode) && lstat(PIPE, &pipe) == 0 && S_ISFIFO(pipe.st_mode);
    printf("%sok %d - the device and the pipe are what they were\n1..%d\n", kept ? "" : "not ", number + 1, number + 1);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) != 0 || wrong != 0 || !kept;
}

#endif
