/* The host double of NCCL: ranks as threads, and as processes, add their vectors; a rank that dies or hangs is noticed as with NCCL. */
#include "../check_main.h"
#include "cudasim.h"
#include "cudasim_nccl.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RANKS = 3, COUNT = 600000, STEPS = 3 }; /* more than two chunks */
static ncclUniqueId id;

struct rank {
    int rank, ranks;
    bool wait_for_error; /* does not get through: it asks for errors until there is one, and aborts */
    ncclResult_t result;
    float *sum;
};

static ncclResult_t settled(ncclComm_t comm) {
    ncclResult_t result;
    do {
        if (ncclCommGetAsyncError(comm, &result) != ncclSuccess) return ncclInternalError;
        usleep(100);
    } while (result == ncclInProgress);
    return result;
}

static void *run_rank(void *argument) {
    struct rank *r = argument;
    float *vector, *host = malloc(COUNT * sizeof *host);
    cudaStream_t stream;
    ncclComm_t comm;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    cudaSetDevice(r->rank);
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cudaMalloc((void **)&vector, COUNT * sizeof *host);
    for (int i = 0; i < COUNT; i++) host[i] = (float)(i % 100 + r->rank);
    r->result = ncclCommInitRankConfig(&comm, r->ranks, id, r->rank, &config);
    if (r->result == ncclInProgress) r->result = settled(comm);
    for (int step = 0; step < STEPS && r->result == ncclSuccess; step++) {
        cudaMemcpyAsync(vector, host, COUNT * sizeof *host, cudaMemcpyHostToDevice, stream);
        r->result = ncclAllReduce(vector, vector, COUNT, ncclFloat32, ncclSum, comm, stream);
        if (r->result == ncclInProgress) r->result = settled(comm);
        if (r->wait_for_error) {
            while (cudaStreamQuery(stream) == cudaErrorNotReady && r->result == ncclSuccess) r->result = settled(comm);
            ncclCommAbort(comm);
            comm = NULL;
            break;
        }
    }
    if (!r->result) cudaMemcpyAsync(r->sum, vector, COUNT * sizeof *host, cudaMemcpyDeviceToHost, stream);
    cudaStreamSynchronize(stream);
    if (comm) {
        ncclCommFinalize(comm);
        if (settled(comm) == ncclSuccess) ncclCommDestroy(comm);
    }
    cudaFree(vector);
    cudaStreamDestroy(stream);
    free(host);
    return NULL;
}

static void setup(void) {
    cudasim_reset();
    cudasim_devices(RANKS, 0, 0);
    ck_assert_int_eq(ncclGetUniqueId(&id), ncclSuccess);
}

static void check_sum(const struct rank *r) {
    ck_assert_int_eq(r->result, ncclSuccess);
    int wrong = 0;
    for (int i = 0; i < COUNT; i++) wrong += r->sum[i] != (float)(r->ranks * (i % 100) + r->ranks * (r->ranks - 1) / 2);
    ck_assert_int_eq(wrong, 0);
}

START_TEST(threads_add_their_vectors) {
    struct rank ranks[RANKS];
    pthread_t threads[RANKS];
    for (int seed = 0; seed < 3; seed++) {
        if (seed) ck_assert_int_eq(ncclGetUniqueId(&id), ncclSuccess);
        cudasim_seed((uint64_t)seed);
        for (int i = 0; i < RANKS; i++) {
            ranks[i] = (struct rank){.rank = i, .ranks = RANKS, .sum = malloc(COUNT * sizeof(float))};
            pthread_create(&threads[i], NULL, run_rank, &ranks[i]);
        }
        for (int i = 0; i < RANKS; i++) pthread_join(threads[i], NULL);
        for (int i = 0; i < RANKS; i++) {
            check_sum(&ranks[i]);
            free(ranks[i].sum);
        }
    }
    ck_assert_int_eq(cudasim_nccl_alive(), 0);
}
END_TEST

START_TEST(processes_add_their_vectors) {
    struct rank r = {.rank = 0, .ranks = 2, .sum = malloc(COUNT * sizeof(float))};
    pid_t child = fork();
    if (child == 0) {
        r.rank = 1;
        run_rank(&r);
        _exit(r.result != ncclSuccess);
    }
    run_rank(&r);
    check_sum(&r);
    int status;
    waitpid(child, &status, 0);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    free(r.sum);
}
END_TEST

START_TEST(a_killed_process_is_noticed) {
    struct rank r = {.rank = 0, .ranks = 2, .wait_for_error = true};
    pid_t child = fork();
    if (child == 0) {
        cudasim_nccl_hang(1);
        r.rank = 1;
        r.wait_for_error = false;
        run_rank(&r); /* hangs, until it is killed */
        _exit(1);
    }
    pthread_t thread;
    pthread_create(&thread, NULL, run_rank, &r);
    usleep(100000);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(r.result, ncclRemoteError);
    ck_assert_int_eq(cudasim_nccl_alive(), 0);
}
END_TEST

START_TEST(a_hung_rank_keeps_the_others_until_they_abort) {
    cudaStream_t stream[2];
    ncclComm_t comm[2] = {NULL, NULL};
    float *vector[2];
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    for (int i = 0; i < 2; i++) { /* without blocking, one thread can be all ranks */
        cudaSetDevice(i);
        ck_assert_int_eq(cudaStreamCreate(&stream[i]), cudaSuccess);
        ck_assert_int_eq(cudaMalloc((void **)&vector[i], 4096), cudaSuccess);
        ck_assert_int_eq(ncclCommInitRankConfig(&comm[i], 2, id, i, &config), ncclInProgress);
    }
    cudasim_nccl_hang(1);
    for (int i = 0; i < 2; i++) {
        cudaSetDevice(i);
        ck_assert_int_eq(settled(comm[i]), ncclSuccess);
        ck_assert_int_eq(ncclAllReduce(vector[i], vector[i], 1024, ncclFloat32, ncclSum, comm[i], stream[i]), ncclInProgress);
        ck_assert_int_eq(ncclAllReduce(vector[i], vector[i], 1024, ncclFloat32, ncclSum, comm[i], stream[i]), ncclInvalidUsage);
        ck_assert_int_eq(settled(comm[i]), ncclSuccess);
    }
    for (int asked = 0; asked < 50; asked++) ck_assert_int_eq(cudaStreamQuery(stream[0]), cudaErrorNotReady);
    ck_assert_int_eq(settled(comm[0]), ncclSuccess); /* nobody has noticed */
    for (int i = 0; i < 2; i++) ck_assert_int_eq(ncclCommAbort(comm[i]), ncclSuccess);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(cudaStreamSynchronize(stream[i]), cudaSuccess);
}
END_TEST

START_TEST(ranks_that_do_not_fit_are_refused) {
    ncclComm_t comm, other;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ck_assert_int_eq(ncclCommInitRankConfig(&comm, 2, id, 2, &config), ncclInvalidArgument);
    ck_assert_int_eq(ncclCommInitRankConfig(&comm, 2, id, 0, &config), ncclInProgress);
    ck_assert_int_eq(ncclCommInitRankConfig(&other, 2, id, 1, &config), ncclInvalidUsage); /* on the same device */
    cudaSetDevice(1);
    ck_assert_int_eq(ncclCommInitRankConfig(&other, 3, id, 1, &config), ncclInvalidArgument);
    ck_assert_int_eq(ncclCommAbort(comm), ncclSuccess);
    ck_assert_int_eq(ncclCommAbort(comm), ncclInvalidArgument);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cudasim: NCCL");
    TCase *c = tcase_create("ranks");
    tcase_add_checked_fixture(c, setup, cudasim_reset);
    tcase_add_test(c, threads_add_their_vectors);
    tcase_add_test(c, processes_add_their_vectors);
    tcase_add_test(c, a_killed_process_is_noticed);
    tcase_add_test(c, a_hung_rank_keeps_the_others_until_they_abort);
    tcase_add_test(c, ranks_that_do_not_fit_are_refused);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
