/* Measuring (include/libcover/bench.h): options, rounds, and what is made of them.  Called by the command's bench. */
#include "bench_parts.h"

#include "core/nn/backbone.h"
#include "core/objective/objective.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static const double enough_seconds = 2; /* short parts are repeated so long */

/* Linux counts the program that started this one into ru_maxrss, so the memory's own figure comes first. */
static uint64_t resident_peak(void) {
    char line[128];
    unsigned long long kib = 0;
    FILE *status = fopen("/proc/self/status", "re");
    while (status && !kib && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %llu kB", &kib) != 1) kib = 0;
    if (status) fclose(status);
    if (kib) return kib * 1024;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_maxrss * 1024;
}

double bench_median(const double *values, int count) {
    double sorted[ROUNDS_MAX];
    memcpy(sorted, values, (size_t)count * sizeof *sorted);
    for (int i = 1; i < count; i++)
        for (int k = i; k > 0 && sorted[k] < sorted[k - 1]; k--) {
            double swap = sorted[k];
            sorted[k] = sorted[k - 1], sorted[k - 1] = swap;
        }
    return count % 2 ? sorted[count / 2] : 0.5 * (sorted[count / 2 - 1] + sorted[count / 2]);
}

static bool enough(const cover_bench *bench, double total) {
    int rounds = bench->figures.rounds;
    if (bench->options.rounds) return rounds >= bench->options.rounds;
    return rounds >= ROUNDS_MAX || (rounds >= ROUNDS_MIN && total >= enough_seconds);
}

#if __has_attribute(noclone)
#define KEEP_APART __attribute__((noinline, noclone))
#else
#define KEEP_APART __attribute__((noinline))
#endif

/* A function of its own, so that callgrind can count from here on: bench/instructions.sh names it. */
KEEP_APART static cover_status bench_round(double *spent, cover_status (*part)(void *data), void *data) {
    double start = seconds_now();
    cover_status status = part(data);
    *spent = seconds_now() - start;
    return status;
}

cover_status bench_measure(cover_bench *bench, cover_status (*part)(void *data), void *data) {
    struct bench_figures *figures = &bench->figures;
    double total = 0;
    TRY(part(data));
    while (!enough(bench, total)) {
        if (cancelled(bench->context)) return fail(COVER_ERROR_CANCELLED, "bench: cancelled");
        double spent;
        TRY(bench_round(&spent, part, data));
        if (!figures->rounds || spent < figures->seconds_min) figures->seconds_min = spent;
        total += bench->seconds[figures->rounds++] = spent;
    }
    figures->seconds = bench_median(bench->seconds, figures->rounds);
    figures->peak_bytes = resident_peak(); /* before anything is measured that training does not do */
    return COVER_OK;
}

static cover_status read_options(cover_bench *bench, const cover_bench_options *given, const struct bench_part **part) {
    cover_bench_options *o = &bench->options;
    *o = (cover_bench_options)COVER_BENCH_OPTIONS_INIT;
    TRY(options_read(o, sizeof *o, given, "cover_bench_options"));
    if (!o->dims) o->dims = 2;
    if (o->dims != 2 && o->dims != 3) return fail(COVER_ERROR_ARGUMENT, "bench: dims is %d; use 2 or 3", o->dims);
    if (!o->size) o->size = o->dims == 2 ? 384 : 64;
    if (!o->pairs) o->pairs = o->dims == 2 ? 2 : 1;
    if (!o->part) o->part = "step";
    if (!o->precision) o->precision = "fp32";
    const int multiple = backbone_at(bench->context, 0)->multiple; /* of the presets' network */
    if (o->size < multiple || o->size % multiple || o->size > 1 << 16)
        return fail(COVER_ERROR_ARGUMENT, "bench: size is %lld; use a multiple of %d up to 65536", (long long)o->size, multiple);
    if (o->pairs < 1 || o->pairs > 1 << 16)
        return fail(COVER_ERROR_ARGUMENT, "bench: pairs is %lld; use 1..65536", (long long)o->pairs);
    if (o->rounds < 0 || o->rounds > ROUNDS_MAX)
        return fail(COVER_ERROR_ARGUMENT, "bench: rounds is %d; use 1..%d", o->rounds, ROUNDS_MAX);
    if (o->brief && (o->html || o->layers))
        return fail(COVER_ERROR_ARGUMENT, "bench: brief measures no operations; leave it out for a page or for layers");
    struct names names = {0};
    for (int i = 0; i < BENCH_PARTS; i++) {
        names_add(&names, bench_parts[i].name);
        if (strcmp(bench_parts[i].name, o->part) == 0) *part = &bench_parts[i];
    }
    if (o->objective && *part && strcmp((*part)->name, "step") != 0)
        return fail(COVER_ERROR_ARGUMENT, "bench: part '%s' has no objective; leave it out", o->part);
    return *part ? COVER_OK : fail(COVER_ERROR_ARGUMENT, "bench: part '%s' is not known; use one of %s", o->part, names.text);
}

/* The method's own settings, for images that are the crop. */
static cover_status set_objective(cover_config *config, const cover_bench_options *o) {
    char crop[64], pairs[32];
    const long long size = o->size;
    snprintf(crop, sizeof crop, o->dims == 3 ? "%lldx%lldx%lld" : "%lldx%lld", size, size, size);
    snprintf(pairs, sizeof pairs, "%lld", (long long)o->pairs);
    TRY(cover_config_set(config, "objective", o->objective));
    TRY(cover_config_set(config, "crop", crop));
    TRY(cover_config_set(config, "work", o->dims == 3 ? "0x0x0" : "0x0"));
    TRY(cover_config_set(config, "batch", pairs));
    return objective_settle(config, 0);
}

static cover_status default_settings(cover_bench *bench, const char *part) {
    const cover_bench_options *o = &bench->options;
    cover_config *config;
    TRY(cover_config_create(&config, bench->context, o->dims == 3 ? "paper-3d" : "paper-2d"));
    cover_status status = o->objective ? set_objective(config, o) : cover_config_set(config, "radius", "2");
    if (status == COVER_OK) status = cover_config_set(config, "precision", o->precision);
    bench->settings = *config_settings(config);
    snprintf(bench->precision, sizeof bench->precision, "%s", cover_config_get(config, "precision"));
    cover_config_destroy(config);
    bench->grid = (struct grid){.ndim = o->dims, .size = {o->dims == 3 ? o->size : 1, o->size, o->size}};
    bench->figures = (struct bench_figures){.part = part,
                                            .precision = bench->precision,
                                            .layer_rows = o->layers != 0,
                                            .dims = o->dims,
                                            .size = o->size,
                                            .pairs = o->pairs,
                                            .threads = bench->context->threads};
    return status;
}

cover_status cover_bench_run(cover_bench **out, cover_context *context, const cover_bench_options *options) {
    if (!context || !out) return fail(COVER_ERROR_ARGUMENT, "cover_bench_run: an argument is NULL");
    cover_bench *bench = handle_make(context, sizeof *bench);
    if (!bench) return COVER_ERROR_MEMORY;
    bench->context = context;
    const struct bench_part *part = NULL;
    cover_status status;
    GO(read_options(bench, options, &part));
    GO(default_settings(bench, part->name));
    GO(part->run(bench));
    if (!bench->options.brief) GO(bench_floors(bench));
    if (bench->options.html) GO(bench_page_write(context, bench->options.html, &bench->figures));
    *out = bench;
done:
    if (status != COVER_OK) cover_bench_destroy(bench);
    return status;
}

void cover_bench_destroy(cover_bench *bench) {
    if (!bench) return;
    memory_free(bench->context, bench->figures.ops);
    memory_free(bench->context, bench->figures.layers);
    handle_free(bench->context, bench);
}
