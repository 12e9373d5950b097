/* The host double of CUDA's runtime: streams run in any order that their events allow, captures become graphs, faults come when they
 * are asked for, and what is wrong is refused. */
#include "../check_main.h"
#include "cudasim.h"
#include "test_kernels.h"

#include <pthread.h>
#include <string.h>

enum { COUNT = 1000, SEEDS = 20 };
#define GOOD(call) ck_assert_int_eq((call), cudaSuccess)
static float *x, *y, host[COUNT], result[COUNT];
static cudaStream_t a, b;
static cudaEvent_t event;

static void setup(void) {
    cudasim_reset();
    cudasim_seed(0);
    GOOD(cudaMalloc((void **)&x, sizeof host));
    GOOD(cudaMalloc((void **)&y, sizeof host));
    GOOD(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking));
    GOOD(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
    GOOD(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    for (int i = 0; i < COUNT; i++) host[i] = (float)i;
    GOOD(cudaMemcpy(x, host, sizeof host, cudaMemcpyHostToDevice));
    GOOD(cudaMemset(y, 0, sizeof host));
    GOOD(cudaDeviceSynchronize());
}

/* a: y += 2 x; b: y = y + y after a, or perhaps not: the numbers at the end, divided by x's */
static float two_streams(bool waits) {
    GOOD(cudaMemset(y, 0, sizeof host));
    GOOD(cudaDeviceSynchronize());
    GOOD(run_saxpy(a, y, x, 2.0f, COUNT));
    if (waits) {
        GOOD(cudaEventRecord(event, a));
        GOOD(cudaStreamWaitEvent(b, event, 0));
    }
    GOOD(cudaMemcpyAsync(x, y, sizeof host, cudaMemcpyDeviceToDevice, b));
    GOOD(cudaStreamSynchronize(b));
    GOOD(cudaStreamSynchronize(a));
    GOOD(cudaMemcpy(result, x, sizeof host, cudaMemcpyDeviceToHost));
    GOOD(cudaMemcpy(x, host, sizeof host, cudaMemcpyHostToDevice));
    return result[500] / host[500];
}
START_TEST(streams_run_in_any_order_that_events_allow) {
    int wrong = 0;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        cudasim_seed(seed);
        ck_assert(two_streams(true) == 2.0f);
        wrong += two_streams(false) != 2.0f;
    }
    ck_assert_int_gt(wrong, 0); /* a missing wait shows for some seed */
}
END_TEST

START_TEST(the_null_stream_waits_for_blocking_streams) {
    cudaStream_t blocking;
    GOOD(cudaStreamCreate(&blocking));
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        cudasim_seed(seed);
        GOOD(cudaMemset(y, 0, sizeof host));
        GOOD(run_saxpy(blocking, y, x, 2.0f, COUNT));
        GOOD(cudaMemcpy(result, y, sizeof host, cudaMemcpyDeviceToHost));
        ck_assert(result[500] == 2.0f * host[500]);
    }
    GOOD(cudaStreamDestroy(blocking));
}
END_TEST

START_TEST(work_is_done_only_when_somebody_waits) {
    float *pinned;
    GOOD(cudaMallocHost((void **)&pinned, sizeof host));
    memset(pinned, 0, sizeof host);
    GOOD(cudaMemcpyAsync(pinned, x, sizeof host, cudaMemcpyDeviceToHost, a));
    ck_assert(pinned[500] == 0.0f);
    GOOD(cudaEventRecord(event, a));
    int asked = 0;
    while (cudaEventQuery(event) == cudaErrorNotReady) asked++;
    ck_assert(asked > 0 && pinned[500] == host[500]);
    /* pinned memory is read when the copy runs, other memory when it is called */
    pinned[500] = 1.0f, result[500] = 1.0f;
    GOOD(cudaMemcpyAsync(x, pinned, sizeof host, cudaMemcpyHostToDevice, a));
    GOOD(cudaMemcpyAsync(y, result, sizeof host, cudaMemcpyHostToDevice, a));
    pinned[500] = 2.0f, result[500] = 2.0f;
    GOOD(cudaStreamSynchronize(a));
    float of_x, of_y;
    GOOD(cudaMemcpy(&of_x, x + 500, sizeof of_x, cudaMemcpyDeviceToHost));
    GOOD(cudaMemcpy(&of_y, y + 500, sizeof of_y, cudaMemcpyDeviceToHost));
    ck_assert(of_x == 2.0f && of_y == 1.0f);
    GOOD(cudaFreeHost(pinned));
}
END_TEST

START_TEST(a_capture_across_streams_becomes_a_graph) {
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    size_t nodes;
    GOOD(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal));
    GOOD(cudaMemsetAsync(y, 0, sizeof host, a));
    GOOD(cudaEventRecord(event, a));
    GOOD(cudaStreamWaitEvent(b, event, 0));
    GOOD(run_saxpy(b, y, x, 3.0f, COUNT));
    GOOD(cudaEventRecord(event, b));
    GOOD(cudaStreamWaitEvent(a, event, 0));
    GOOD(run_saxpy(a, y, x, 1.0f, COUNT));
    ck_assert_int_eq(cudaEventQuery(event), cudaErrorCapturedEvent);
    GOOD(cudaStreamEndCapture(a, &graph));
    GOOD(cudaGraphGetNodes(graph, NULL, &nodes));
    ck_assert_int_eq(nodes, 3);
    GOOD(cudaGraphInstantiate(&exec, graph, 0));
    GOOD(cudaGraphDestroy(graph));
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        cudasim_seed(seed);
        GOOD(cudaGraphLaunch(exec, b));
        GOOD(cudaStreamSynchronize(b));
        GOOD(cudaMemcpy(result, y, sizeof host, cudaMemcpyDeviceToHost));
        ck_assert(result[500] == 4.0f * host[500]);
    }
    GOOD(cudaGraphExecDestroy(exec));
}
END_TEST

START_TEST(a_capture_that_is_not_joined_or_that_waits_is_refused) {
    cudaGraph_t graph;
    GOOD(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal));
    GOOD(cudaEventRecord(event, a));
    GOOD(cudaStreamWaitEvent(b, event, 0));
    GOOD(run_saxpy(b, y, x, 3.0f, COUNT));
    ck_assert_int_eq(cudaStreamEndCapture(a, &graph), cudaErrorStreamCaptureUnjoined);
    GOOD(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal));
    GOOD(run_saxpy(a, y, x, 3.0f, COUNT));
    ck_assert_int_eq(cudaStreamSynchronize(a), cudaErrorStreamCaptureUnsupported);
    ck_assert_int_eq(cudaStreamEndCapture(a, &graph), cudaErrorStreamCaptureInvalidated);
    float *more;
    GOOD(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
    ck_assert_int_eq(cudaMalloc((void **)&more, 4), cudaErrorStreamCaptureUnsupported);
    ck_assert_int_eq(cudaStreamEndCapture(a, &graph), cudaErrorStreamCaptureInvalidated);
    GOOD(cudaStreamSynchronize(a));
}
END_TEST

START_TEST(the_asked_call_fails_and_does_nothing) {
    struct cudasim_alive before, after;
    cudaStream_t stream = NULL;
    cudasim_alive(&before);
    cudasim_fail_at(2, cudaErrorUnknown);
    GOOD(cudaMemset(y, 0, sizeof host));
    ck_assert_int_eq(cudaStreamCreate(&stream), cudaErrorUnknown);
    ck_assert_int_eq(cudaGetLastError(), cudaErrorUnknown);
    ck_assert_int_eq(cudaGetLastError(), cudaSuccess);
    cudasim_alive(&after);
    ck_assert(!stream && before.streams == after.streams && cudasim_calls() == 2);
    GOOD(cudaStreamCreate(&stream));
    GOOD(cudaStreamDestroy(stream));
    cudasim_fail_at(1, cudaErrorLaunchOutOfResources);
    ck_assert_int_eq(run_saxpy(a, y, x, 1.0f, COUNT), cudaErrorLaunchOutOfResources);
    GOOD(cudaDeviceSynchronize());
}
END_TEST

START_TEST(a_lost_device_fails_every_call_and_can_be_given_back) {
    cudasim_devices(2, 0, 0);
    cudasim_lose_at(2, cudaErrorECCUncorrectable);
    GOOD(run_saxpy(a, y, x, 1.0f, COUNT));
    ck_assert_int_eq(cudaStreamSynchronize(a), cudaErrorECCUncorrectable);
    ck_assert_int_eq(cudaMemset(y, 0, 4), cudaErrorECCUncorrectable);
    ck_assert_int_eq(cudaPeekAtLastError(), cudaErrorECCUncorrectable);
    GOOD(cudaSetDevice(1)); /* the other one lives */
    GOOD(cudaDeviceSynchronize());
    cudaFree(x), cudaFree(y), cudaStreamDestroy(a), cudaStreamDestroy(b), cudaEventDestroy(event);
    struct cudasim_alive alive;
    cudasim_alive(&alive);
    ck_assert(!alive.streams && !alive.events && !alive.allocations);
}
END_TEST

START_TEST(memory_ends_where_the_device_does) {
    size_t unused, total;
    float *large;
    cudasim_devices(1, 1 << 20, 90);
    ck_assert_int_eq(cudaMalloc((void **)&large, 2 << 20), cudaErrorMemoryAllocation);
    ck_assert_int_eq(cudaGetLastError(), cudaErrorMemoryAllocation);
    GOOD(cudaMemGetInfo(&unused, &total));
    ck_assert(total == 1 << 20 && unused == total - 8192);
    ck_assert_int_eq(cudaMemcpy(x, host, sizeof host + 4, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    ck_assert_int_eq(cudaMemcpy(x, host, sizeof host, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
    GOOD(cudaFree(x));
    ck_assert_int_eq(cudaFree(x), cudaErrorInvalidValue);
    struct cudaDeviceProp properties;
    GOOD(cudaGetDeviceProperties(&properties, 0));
    ck_assert(properties.major == 9 && properties.sharedMemPerBlockOptin == 227 << 10);
}
END_TEST

START_TEST(handles_that_are_gone_are_refused) {
    GOOD(cudaStreamDestroy(a));
    ck_assert_int_eq(cudaStreamSynchronize(a), cudaErrorInvalidResourceHandle);
    ck_assert_int_eq(run_saxpy(a, y, x, 1.0f, COUNT), cudaErrorInvalidResourceHandle);
    GOOD(cudaEventDestroy(event));
    ck_assert_int_eq(cudaEventRecord(event, b), cudaErrorInvalidResourceHandle);
}
END_TEST

START_TEST(the_host_cannot_follow_a_pointer_of_the_device) {
    volatile float taken = *x; /* SIGSEGV */
    (void)taken;
}
END_TEST

START_TEST(no_device_is_an_error_of_its_own) {
    int count = 7;
    cudasim_devices(0, 0, 0);
    ck_assert_int_eq(cudaGetDeviceCount(&count), cudaErrorNoDevice);
    ck_assert_int_eq(count, 0);
    ck_assert_int_eq(cudaSetDevice(0), cudaErrorNoDevice);
    ck_assert_str_eq(cudaGetErrorString(cudaErrorNoDevice), "no CUDA-capable device is detected");
}
END_TEST

/* A thread's own device: sums of shared memory and shuffles, many times; NULL if all is right. */
static void *drive_device(void *device) {
    float *from = NULL, *to = NULL, sums[4];
    static char failed;
    cudaError_t error = cudaSetDevice((int)(intptr_t)device);
    error = error ? error : cudaMalloc((void **)&from, sizeof host);
    error = error ? error : cudaMalloc((void **)&to, sizeof sums);
    error = error ? error : cudaMemcpy(from, host, sizeof host, cudaMemcpyHostToDevice);
    bool right = true;
    for (int i = 0; i < SEEDS && !error && right; i++) {
        error = run_block_sums(NULL, to, from, COUNT, RIGHT);
        error = error ? error : cudaMemcpy(sums, to, sizeof sums, cudaMemcpyDeviceToHost);
        right = sums[0] == 255 * 256 / 2;
    }
    cudaFree(from);
    cudaFree(to);
    return error || !right ? &failed : NULL;
}
START_TEST(threads_of_the_host_drive_a_device_each) {
    enum { DEVICES = 4 };
    pthread_t threads[DEVICES];
    cudasim_devices(DEVICES, 0, 0);
    cudasim_seed(5);
    for (intptr_t d = 0; d < DEVICES; d++) pthread_create(&threads[d], NULL, drive_device, (void *)d);
    for (int d = 0; d < DEVICES; d++) {
        void *failed;
        pthread_join(threads[d], &failed);
        ck_assert_ptr_null(failed);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cudasim: runtime");
    TCase *c = tcase_create("runtime");
    tcase_add_checked_fixture(c, setup, cudasim_reset);
    tcase_add_test(c, streams_run_in_any_order_that_events_allow);
    tcase_add_test(c, the_null_stream_waits_for_blocking_streams);
    tcase_add_test(c, work_is_done_only_when_somebody_waits);
    tcase_add_test(c, a_capture_across_streams_becomes_a_graph);
    tcase_add_test(c, a_capture_that_is_not_joined_or_that_waits_is_refused);
    tcase_add_test(c, the_asked_call_fails_and_does_nothing);
    tcase_add_test(c, a_lost_device_fails_every_call_and_can_be_given_back);
    tcase_add_test(c, memory_ends_where_the_device_does);
    tcase_add_test(c, handles_that_are_gone_are_refused);
    tcase_add_test(c, no_device_is_an_error_of_its_own);
    tcase_add_test(c, threads_of_the_host_drive_a_device_each);
    if (CUDASIM_CHECKED) /* sanitizers have signal handlers of their own */
        tcase_add_test_raise_signal(c, the_host_cannot_follow_a_pointer_of_the_device, 11);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
