/* Ranks for tests: threads of this process, each with a context of its own that has joined the others over a socket. */
#ifndef COVER_TESTS_TOGETHER_H
#define COVER_TESTS_TOGETHER_H

#include "../check_main.h"
#include "core/base/collective.h"
#include "core/base/files.h"

#include <libcover/ranks.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TOGETHER_MOST = 16 };
struct together {
    int ranks, threads;  /* threads of each rank's context, 0 = 1 */
    const char *address; /* NULL = a socket in /tmp */
    double deadline_seconds;
    const char *module; /* of CUDA: rank r computes on device cuda:r; NULL = all on the CPU */
    int late;           /* ranks from this one on come a little later; 0 = none */
    void (*work)(cover_context *context, int rank, void *user);
    void *user;
};
struct together_rank {
    const struct together *together;
    int rank;
    char address[96];
    cover_status joined;
    char text[512];
};

static inline cover_status together_join(cover_context **context, const struct together *together,
                                         const cover_ranks_options *given) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    char device[16];
    options.threads = together->threads ? together->threads : 1;
    snprintf(device, sizeof device, "cuda:%d", given->rank);
    if (together->module) options.device = device, options.device_module = together->module;
    cover_status status = cover_context_create(context, &options);
    return status == COVER_OK ? cover_context_join(*context, given) : status;
}

static inline void *together_thread(void *argument) {
    struct together_rank *own = argument;
    cover_ranks_options options = COVER_RANKS_OPTIONS_INIT;
    options.rank = own->rank, options.ranks = own->together->ranks, options.address = own->address, options.join_seconds = 30;
    options.deadline_seconds = own->together->deadline_seconds;
    if (own->together->late && own->rank >= own->together->late) usleep(300000);
    cover_context *context;
    own->joined = together_join(&context, own->together, &options);
    snprintf(own->text, sizeof own->text, "%s", cover_error_text());
    if (own->joined == COVER_OK) own->together->work(context, own->rank, own->together->user);
    cover_context_destroy(context);
    return NULL;
}

static inline void run_together(const struct together *together) {
    static int number;
    struct together_rank rank[TOGETHER_MOST] = {0};
    pthread_t thread[TOGETHER_MOST];
    number++;
    for (int i = 0; i < together->ranks; i++) {
        rank[i] = (struct together_rank){.together = together, .rank = i};
        if (together->address) snprintf(rank[i].address, sizeof rank[i].address, "%s", together->address);
        else snprintf(rank[i].address, sizeof rank[i].address, "/tmp/cover-ranks-%ld-%d", (long)getpid(), number);
        ck_assert_int_eq(pthread_create(&thread[i], NULL, together_thread, &rank[i]), 0);
    }
    for (int i = 0; i < together->ranks; i++) pthread_join(thread[i], NULL);
    for (int i = 0; i < together->ranks; i++) ck_assert_msg(rank[i].joined == COVER_OK, "rank %d: %s", i, rank[i].text);
}

#endif
