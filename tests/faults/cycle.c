/* A whole life through the C interface, from images to a prediction, where the N-th allocation of the host's allocator is refused, for each
 * N; and the same calls for thousands of steps with flat memory.
 *
 * Usage: cycle refuse IMAGES WORK [EVERY [OFFSET [sticky]]]      every EVERY-th N, from the OFFSET-th on
 *        cycle soak IMAGES WORK STEPS
 * IMAGES is what stage.py draws.  Each N is a process of its own, so a crash is a finding and not the end.  What is right: no crash, no
 * hang, no block that stays, no temporary file; COVER_ERROR_MEMORY with a text that speaks of memory, or COVER_OK and the same bytes. */
#include "core/base/base.h"

#include <libcover/cover.h>

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH = 600, WATCHED = 3 };
static const char *images, *work;

/* ---- the host's allocator */

static long fail_at;
static bool sticky;
static atomic_long asked, held, denied;

static void *allocate(void *user, size_t bytes, size_t alignment) {
    (void)user;
    const long number = atomic_fetch_add(&asked, 1) + 1;
    void *memory = NULL;
    if (fail_at && (number == fail_at || (sticky && number > fail_at))) {
        atomic_fetch_add(&denied, 1);
        return NULL;
    }
    if (posix_memalign(&memory, alignment, bytes) != 0) return NULL;
    memset(memory, 0xA5, bytes); /* nobody may count on zeros */
    atomic_fetch_add(&held, 1);
    return memory;
}
static void release(void *user, void *memory) {
    (void)user;
    if (memory) atomic_fetch_add(&held, -1);
    free(memory);
}

/* ---- the cycle */

static const char *in(const char *folder, const char *name) {
    static char paths[16][PATH];
    static int next;
    char *path = paths[next++ % 16];
    snprintf(path, PATH, "%s/%s", folder, name);
    return path;
}

static cover_status set_all(cover_config *config, const char *const *pairs) {
    for (; *pairs; pairs += 2) TRY(cover_config_set(config, pairs[0], pairs[1]));
    return COVER_OK;
}

/* Everything that one life holds, destroyed in the end whatever is there. */
struct life {
    cover_context *context;
    cover_dataset *plain, *labelled;
    cover_config *config, *copy, *task_config;
    cover_trainer *trainer;
    cover_task *task;
    cover_predictor *predictor;
    cover_tensor *image, *label, *scores;
    cover_evaluation *evaluation;
    char *text;
};

static void forget(struct life *life) {
    cover_text_release(life->context, life->text);
    life->text = NULL;
}

static void end(struct life *life) {
    if (life->context) forget(life);
    cover_evaluation_destroy(life->evaluation);
    cover_tensor_destroy(life->image);
    cover_tensor_destroy(life->label);
    cover_tensor_destroy(life->scores);
    cover_predictor_destroy(life->predictor);
    cover_task_destroy(life->task);
    cover_trainer_destroy(life->trainer);
    cover_config_destroy(life->copy);
    cover_config_destroy(life->config);
    cover_config_destroy(life->task_config);
    cover_dataset_destroy(life->labelled);
    cover_dataset_destroy(life->plain);
    cover_context_destroy(life->context);
    *life = (struct life){0};
}

static cover_status begin(struct life *life) {
    const cover_allocator allocator = {allocate, release, NULL};
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = 1, options.allocator = &allocator; /* one thread: the N-th is the same in every run */
    return cover_context_create(&life->context, &options);
}

static cover_status data(struct life *life) {
    const char *plain = in(images, "plain"), *labelled = in(images, "seg");
    TRY(cover_dataset_pack(&life->text, life->context, &plain, 1, in(work, "plain.h5"), NULL));
    forget(life);
    TRY(cover_dataset_pack(NULL, life->context, &labelled, 1, in(work, "seg.h5"), NULL));
    TRY(cover_dataset_open(&life->plain, life->context, in(work, "plain.h5")));
    return cover_dataset_open(&life->labelled, life->context, in(work, "seg.h5"));
}

static const char *const settings[] = {"widths", "8,8,8,8,8,8,8,8,8", "crop", "32x32", "work", "32x32", "batch", "2", "steps", "2",
                                       NULL};
static const char *const own[] = {"heads", "1,1,1,1,1", "radius", "1", NULL};

static cover_status pretrain(struct life *life) {
    TRY(cover_config_create(&life->config, life->context, "demo"));
    TRY(set_all(life->config, settings));
    TRY(set_all(life->config, own));
    TRY(cover_config_copy(&life->copy, life->config));
    TRY(cover_trainer_create(&life->trainer, life->context, life->plain, life->config));
    for (int i = 0; i < 2; i++) TRY(cover_trainer_step(NULL, life->trainer));
    TRY(cover_trainer_save(life->trainer, in(work, "trainer.h5")));
    TRY(cover_trainer_load(life->trainer, in(work, "trainer.h5")));
    TRY(cover_trainer_export(life->trainer, in(work, "weights.safetensors")));
    cover_trainer_destroy(life->trainer);
    life->trainer = NULL;
    TRY(cover_run_pretrain(life->context, life->plain, life->copy, in(work, "run"), NULL)); /* with its report */
    TRY(cover_report_write(life->context, in(work, "run"), in(work, "page.html")));
    TRY(cover_file_check(&life->text, life->context, in(work, "run")));
    forget(life);
    return cover_weights_export(life->context, in(work, "run"), in(work, "run.onnx"), 1);
}

static cover_status finetune(struct life *life) {
    TRY(cover_task_config(&life->task_config, life->context, life->labelled, "seg", in(work, "weights.safetensors")));
    TRY(set_all(life->task_config, (const char *const[]){"crop", "32x32", "batch", "2", "steps", "2", NULL}));
    TRY(cover_task_create(&life->task, life->context, life->labelled, life->task_config, in(work, "weights.safetensors")));
    TRY(cover_task_step(NULL, life->task));
    TRY(cover_task_validate(&life->text, life->task));
    forget(life);
    TRY(cover_task_save(life->task, in(work, "task.h5")));
    TRY(cover_task_load(life->task, in(work, "task.h5")));
    TRY(cover_task_export(life->task, in(work, "task.safetensors")));
    cover_task_destroy(life->task);
    life->task = NULL;
    return COVER_OK;
}

static cover_status run_predictor(struct life *life) {
    TRY(cover_predictor_run(&life->label, &life->scores, life->predictor, life->image, NULL));
    cover_tensor_destroy(life->label);
    cover_tensor_destroy(life->scores);
    life->label = life->scores = NULL;
    return COVER_OK;
}

static cover_status predict(struct life *life) {
    TRY(cover_predictor_load(&life->predictor, life->context, in(work, "task.safetensors"), NULL));
    TRY(cover_tensor_create(&life->image, life->context, COVER_U8, 3, (const int64_t[]){1, 40, 36}));
    for (int i = 0; i < 40 * 36; i++) ((uint8_t *)cover_tensor_data(life->image))[i] = (uint8_t)(i * 7);
    return run_predictor(life);
}

static cover_status files(struct life *life) {
    cover_predict_options options = COVER_PREDICT_OPTIONS_INIT;
    options.scores = 1;
    TRY(cover_images_predict(&life->text, life->context, in(work, "task.safetensors"), in(images, "seg/imagesTs"),
                             in(work, "predicted"), &options));
    forget(life);
    TRY(cover_evaluation_compute(&life->evaluation, life->context, in(work, "predicted"), in(work, "predicted"), NULL));
    TRY(cover_evaluation_json(&life->text, life->evaluation));
    forget(life);
    TRY(cover_images_match(&life->text, life->context, in(work, "weights.safetensors"), in(images, "plain/i0.png"),
                           in(images, "plain/i1.png"), in(work, "field.nii.gz"), NULL));
    forget(life);
    TRY(cover_weights_info(&life->text, life->context, in(work, "task.safetensors")));
    forget(life);
    return cover_weights_convert(NULL, life->context, in(work, "trainer.h5"), in(work, "again.safetensors"), NULL);
}

static const struct {
    const char *name;
    cover_status (*work)(struct life *life);
} parts[] = {{"begin", begin},       {"data", data},       {"pretrain", pretrain},
             {"finetune", finetune}, {"predict", predict}, {"files", files}};
enum { PARTS = sizeof parts / sizeof *parts };

static cover_status cycle(int *part) {
    struct life life = {0};
    cover_status status = COVER_OK;
    for (*part = 0; *part < PARTS; ++*part) {
        status = parts[*part].work(&life);
        if (status != COVER_OK) break;
    }
    end(&life);
    return status;
}

/* ---- refusals */

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where) {
    (void)about, (void)kind, (void)where;
    return remove(path);
}
static int temporaries;
static int count_temporary(const char *path, const struct stat *about, int kind, struct FTW *where) {
    (void)about, (void)kind;
    temporaries += strncmp(path + where->base, ".cover-", 7) == 0;
    return 0;
}

static void fresh(void) {
    nftw(work, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (mkdir(work, 0777) != 0) perror(work), exit(2);
}

static uint64_t hash_of(const char *name) {
    uint64_t hash = 1469598103934665603u;
    FILE *file = fopen(in(work, name), "rb");
    for (int c; file && (c = getc(file)) != EOF;) hash = (hash ^ (uint64_t)c) * 1099511628211u;
    if (file) fclose(file);
    return hash;
}
static const char *const watched[WATCHED] = {"weights.safetensors", "task.safetensors", "run/weights.safetensors"};
static uint64_t good[WATCHED];

/* In a process of its own; prints what is wrong and returns how many things were. */
static int one_refusal(long n) {
    int part, wrong = 0;
    fail_at = n;
    alarm(60);
    const cover_status status = cycle(&part);
    const char *name = part < PARTS ? parts[part].name : "end", *text = cover_error_text();
#define WRONG(...) (printf("#   N = %ld, %s: ", n, name), printf(__VA_ARGS__), puts(""), wrong++)
    if (atomic_load(&held)) WRONG("%ld blocks are left", atomic_load(&held));
    if (status != COVER_OK && status != COVER_ERROR_MEMORY) WRONG("%s: %.300s", cover_status_name(status), text);
    if (status == COVER_ERROR_MEMORY && !strstr(text, "memory")) WRONG("does not speak of memory: %.300s", text);
    for (int i = 0; status == COVER_OK && i < WATCHED; i++)
        if (hash_of(watched[i]) != good[i]) WRONG("says it is well, but %s has other bytes", watched[i]);
    nftw(work, count_temporary, 16, FTW_PHYS);
    if (temporaries) WRONG("%d temporary files are left", temporaries);
    fflush(stdout);
    return wrong;
}

static int in_child(int (*job)(long), long n) {
    int status;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) _exit(job(n) != 0);
    if (child < 0 || waitpid(child, &status, 0) < 0) return perror("fork"), 1;
    if (WIFSIGNALED(status)) printf("#   N = %ld: %s\n", n, WTERMSIG(status) == SIGALRM ? "hangs" : strsignal(WTERMSIG(status)));
    return WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
}

static int undisturbed(long pipe_end) {
    int part;
    const cover_status status = cycle(&part);
    const long total = atomic_load(&asked);
    if (status != COVER_OK) printf("# %s: %s\n", part < PARTS ? parts[part].name : "end", cover_error_text());
    return status != COVER_OK || write((int)pipe_end, &total, sizeof total) != sizeof total;
}

static int refuse(long every, long offset) {
    int ends[2];
    long total, tries = 0, wrong = 0;
    fresh();
    if (pipe(ends) != 0 || in_child(undisturbed, ends[1]) || read(ends[0], &total, sizeof total) != sizeof total)
        return puts("not ok 1 - the cycle runs without a refusal\n1..1"), 1;
    for (int i = 0; i < WATCHED; i++) good[i] = hash_of(watched[i]);
    for (long n = 1 + offset; n <= total; n += every, tries++) {
        fresh();
        wrong += in_child(one_refusal, n);
    }
    printf("%s 1 - %ld of %ld allocations are refused%s\n1..1\n# %ld tries, %ld findings\n", wrong ? "not ok" : "ok", tries, total,
           sticky ? ", and all behind each" : "", tries, wrong);
    return wrong != 0;
}

/* ---- soak */

static long resident_kib(void) {
    long pages = 0, kib = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%*d %ld", &pages) == 1) kib = pages * (sysconf(_SC_PAGESIZE) / 1024);
    if (file) fclose(file);
    return kib;
}
static int descriptors(void) {
    int count = 0;
    for (int i = 0; i < 1024; i++) count += fcntl(i, F_GETFD) != -1;
    return count;
}

/* A tenth of the steps warms up; from there on nothing may grow. */
static int soak(long steps) {
    struct life life = {0};
    cover_config *config = NULL;
    int part = 0, files_before = 0;
    long before = 0, blocks = 0;
    cover_status status = COVER_OK;
    fresh();
    for (; part < PARTS && status == COVER_OK; part++) status = parts[part].work(&life);
    if (status == COVER_OK) status = cover_config_copy(&config, life.config);
    if (status == COVER_OK) status = cover_config_set(config, "steps", "1000000");
    if (status == COVER_OK) status = cover_trainer_create(&life.trainer, life.context, life.plain, config);
    for (long i = 0; i < steps && status == COVER_OK; i++) {
        if (i == steps / 10) before = resident_kib(), files_before = descriptors(), blocks = atomic_load(&held);
        status = cover_trainer_step(NULL, life.trainer);
        if (status == COVER_OK && i % 50 == 0) status = cover_trainer_save(life.trainer, in(work, "soak.h5"));
        if (status == COVER_OK && i % 50 == 25) status = cover_trainer_load(life.trainer, in(work, "soak.h5"));
        if (status == COVER_OK) status = run_predictor(&life);
    }
    const long grown = resident_kib() - before, more = atomic_load(&held) - blocks;
    const int opened = descriptors() - files_before;
    const bool flat = status == COVER_OK && grown < 1024 && more <= 2 && opened == 0;
    printf("%s 1 - %ld steps and predictions: %+ld KiB of %ld, %+ld blocks, %+d descriptors\n1..1\n", flat ? "ok" : "not ok", steps,
           grown, before, more, opened);
    if (status != COVER_OK) printf("# %s\n", cover_error_text());
    cover_config_destroy(config);
    end(&life);
    return !flat;
}

int main(int count, char **word) {
    if (count < 4)
        return fputs("usage: cycle refuse IMAGES WORK [EVERY [OFFSET [sticky]]] | cycle soak IMAGES WORK STEPS\n", stderr), 2;
    images = word[2], work = word[3];
    const long number = count > 4 ? atol(word[4]) : 1;
    sticky = count > 6;
    return strcmp(word[1], "soak") == 0 ? soak(number > 10 ? number : 3000)
                                        : refuse(number > 0 ? number : 1, count > 5 ? atol(word[5]) : 0);
}
