/* Who does not belong to the ranks, at the port where they meet: silent, slow, noisy, lying, without the token or with a recorded one.
 * None of them delays those who belong, and none ends their run. */
#include "together.h"

#include "comm/meeting.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

static int port;
static char address[64];
static double join_seconds;

static int listen_anywhere(int *chosen) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(listener, 16), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&at, &bytes), 0);
    *chosen = ntohs(at.sin_port);
    return listener;
}

static void setup(void) {
    join_seconds = 15;
    close(listen_anywhere(&port));
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
}

/* A stranger's connection to rank 0, as soon as that listens; -1 once `stop`. */
static int knock_until(const atomic_int *stop) {
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    const double end = seconds_now() + 10;
    for (;;) {
        int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(descriptor, (const struct sockaddr *)&to, sizeof to) == 0) return descriptor;
        close(descriptor);
        if (stop && atomic_load(stop)) return -1;
        ck_assert(seconds_now() < end);
        usleep(5000);
    }
}
static int knock(void) { return knock_until(NULL); }

static void say(int descriptor, const void *data, size_t bytes) {
    ssize_t sent = send(descriptor, data, bytes, MSG_NOSIGNAL);
    (void)sent;
}
/* All of it, or false when the connection ends before. */
static bool hear(int descriptor, void *data, size_t bytes) {
    struct timeval patience = {.tv_sec = 8};
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return recv(descriptor, data, bytes, MSG_WAITALL) == (ssize_t)bytes;
}

/* ---- a rank in a thread */

struct joiner {
    cover_ranks_options options;
    pthread_t thread;
    cover_status status;
    double seconds;
    char text[1024], warning[1024];
};

static void keep_warning(void *user, cover_log_level level, const char *line) {
    struct joiner *joiner = user;
    if (level == COVER_LOG_WARNING) snprintf(joiner->warning, sizeof joiner->warning, "%s", line);
}
static void *join_thread(void *argument) {
    struct joiner *joiner = argument;
    const double begin = seconds_now();
    cover_context *context;
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = 1, options.log = keep_warning, options.log_user = joiner;
    ck_assert_ok(cover_context_create(&context, &options));
    joiner->status = cover_context_join(context, &joiner->options);
    if (joiner->status == COVER_OK) joiner->status = cover_context_agree(context, COVER_OK);
    snprintf(joiner->text, sizeof joiner->text, "%s", cover_error_text());
    joiner->seconds = seconds_now() - begin;
    cover_context_destroy(context);
    return NULL;
}
static void start(struct joiner *joiner, int rank, int ranks, const char *token) {
    *joiner = (struct joiner){.options = COVER_RANKS_OPTIONS_INIT};
    joiner->options.rank = rank, joiner->options.ranks = ranks, joiner->options.address = address, joiner->options.token = token;
    joiner->options.join_seconds = join_seconds, joiner->options.deadline_seconds = 10;
    ck_assert_int_eq(pthread_create(&joiner->thread, NULL, join_thread, joiner), 0);
}
static void joined(struct joiner *joiner) {
    pthread_join(joiner->thread, NULL);
    ck_assert_msg(joiner->status == COVER_OK, "rank %d: %s", joiner->options.rank, joiner->text);
}

/* ---- those who say nothing, or nothing of sense */

static atomic_int enough;
static void *keep_knocking(void *argument) {
    int *descriptors = argument;
    for (int i = 0; i < 60; i++) descriptors[i] = knock_until(&enough);
    return NULL;
}

/* `before` strangers wait already, 60 more come during the meeting. */
static void meet_among(int before, double within) {
    static int silent[256];
    int during[60];
    struct joiner rank[3];
    pthread_t thread;
    atomic_store(&enough, 0);
    start(&rank[0], 0, 3, "ours");
    for (int i = 0; i < before; i++) silent[i] = knock();
    pthread_create(&thread, NULL, keep_knocking, during);
    const double begin = seconds_now();
    for (int i = 1; i < 3; i++) start(&rank[i], i, 3, "ours");
    for (int i = 0; i < 3; i++) joined(&rank[i]);
    const double took = seconds_now() - begin;
    ck_assert_msg(took < within, "%d strangers: %.1f seconds", before, took);
    atomic_store(&enough, 1);
    pthread_join(thread, NULL);
    for (int i = 0; i < before; i++) close(silent[i]);
    for (int i = 0; i < 60; i++)
        if (during[i] >= 0) close(during[i]);
}
START_TEST(sixty_silent_strangers_before_and_during_the_meeting_delay_nobody) { meet_among(60, 2); }
END_TEST
START_TEST(more_silent_strangers_than_are_heard_delay_nobody) { meet_among(200, 2); }
END_TEST

static void make_hello(struct hello *hello, int rank, int ranks) {
    *hello = (struct hello){
        .purpose = TO_MEET, .with_token = 1, .card = {.protocol = PROTOCOL, .rank = rank, .ranks = ranks, .pid = 4242}};
    memcpy(hello->card.magic, MAGIC, sizeof MAGIC);
    snprintf(hello->card.version, sizeof hello->card.version, "%s", cover_version());
    snprintf(hello->card.host, sizeof hello->card.host, "\x1b[31mevil\nhost");
}

START_TEST(half_a_hello_slow_bytes_and_garbage_are_passed_over) {
    struct joiner rank[2];
    struct hello hello;
    char garbage[4096], byte;
    memset(garbage, 'n', sizeof garbage);
    make_hello(&hello, 1, 2);
    start(&rank[0], 0, 2, "ours");
    int half = knock(), noisy = knock(), slow = knock(), short_magic = knock();
    close(knock());
    say(half, &hello, sizeof hello / 2);
    say(noisy, garbage, sizeof garbage);
    say(short_magic, MAGIC, 3);
    const double begin = seconds_now();
    ck_assert(!hear(noisy, &byte, 1) && seconds_now() - begin < 1); /* at once */
    struct pollfd ended = {.fd = slow, .events = POLLIN};           /* it hears nothing but the end */
    for (size_t i = 0; i < sizeof hello && poll(&ended, 1, 1000) == 0; i++) say(slow, (const char *)&hello + i, 1);
    const double took = seconds_now() - begin;
    ck_assert_msg(took > 1.5 && took < 5.5, "%.1f seconds", took);
    ck_assert(!hear(half, &byte, 1) && !hear(short_magic, &byte, 1));
    start(&rank[1], 1, 2, "ours");
    joined(&rank[0]), joined(&rank[1]);
    ck_assert(rank[1].seconds < 2);
    close(half), close(noisy), close(slow), close(short_magic);
}
END_TEST

/* ---- those who lie */

/* A whole hello without the token's proof is refused, and the true rank comes in. */
static void lie(const char *token, int rank_number, int ranks) {
    struct joiner rank[2];
    struct hello hello;
    struct challenge challenge;
    struct answer answer;
    uint8_t proof[PROOF_BYTES] = {1, 2, 3};
    make_hello(&hello, rank_number, ranks);
    hello.with_token = token != NULL;
    start(&rank[0], 0, 2, token);
    int liar = knock();
    say(liar, &hello, sizeof hello);
    ck_assert(hear(liar, &challenge, sizeof challenge));
    say(liar, proof, sizeof proof);
    ck_assert(hear(liar, &answer, sizeof answer));
    ck_assert_int_eq(answer.status, COVER_ERROR_RANK);
    start(&rank[1], 1, 2, token);
    joined(&rank[0]), joined(&rank[1]);
    ck_assert(rank[1].seconds < 2);
    ck_assert_ptr_nonnull(strstr(rank[0].warning, token ? "another token than rank 0" : "cannot prove"));
    ck_assert_ptr_nonnull(strstr(rank[0].warning, "\\x1B[31mevil\\x0Ahost"));
    close(liar);
}
START_TEST(a_stranger_that_says_it_is_a_rank_is_refused_and_the_true_rank_joins) {
    lie("ours", 1, 2);
    lie("ours", 77, -5);
    lie(NULL, 1, 2);
}
END_TEST

START_TEST(what_speaks_another_protocol_is_refused_and_the_true_rank_joins) {
    struct joiner rank[2];
    struct hello hello;
    struct answer answer;
    make_hello(&hello, 1, 2);
    hello.card.protocol = 1;
    snprintf(hello.card.version, sizeof hello.card.version, "0.0.9");
    start(&rank[0], 0, 2, NULL);
    int old = knock();
    say(old, &hello, sizeof hello.card);
    ck_assert(hear(old, &answer, sizeof answer));
    ck_assert_int_eq(answer.status, COVER_ERROR_RANK);
    ck_assert_ptr_nonnull(strstr(answer.text, "runs libcover 0.0.9, but rank 0 runs"));
    start(&rank[1], 1, 2, NULL);
    joined(&rank[0]), joined(&rank[1]);
    close(old);
}
END_TEST

/* ---- tokens */

static void tokens(const char *first, const char *second, const char *expected) {
    struct joiner rank[2];
    char text[256];
    snprintf(text, sizeof text, "rank 1 (process %ld on ", (long)getpid());
    start(&rank[1], 1, 2, second);
    start(&rank[0], 0, 2, first);
    pthread_join(rank[1].thread, NULL);
    ck_assert_int_eq(rank[1].status, COVER_ERROR_RANK);
    ck_assert(rank[1].seconds < 3); /* it does not wait for its time to be over */
    int third = knock();            /* rank 0 still listens */
    close(third);
    start(&rank[1], 1, 2, first);
    joined(&rank[0]), joined(&rank[1]);
    ck_assert_msg(strncmp(rank[0].warning, text, strlen(text)) == 0 && strstr(rank[0].warning, expected), "%s", rank[0].warning);
    ck_assert_ptr_nonnull(strstr(rank[0].warning, "COVER_TOKEN"));
}
START_TEST(a_rank_with_another_token_or_none_is_refused_and_the_true_rank_joins) {
    tokens("ours", "theirs", "another token than rank 0");
    tokens("ours", NULL, "has no token, but rank 0 has one");
    tokens(NULL, "theirs", "has a token, but rank 0 has none");
}
END_TEST

START_TEST(a_wrong_token_is_told_on_both_sides) {
    struct joiner rank[2];
    static const char expected[] = "another token than rank 0; give all ranks the same token (cover_ranks_options.token";
    join_seconds = 1;
    start(&rank[1], 1, 2, "theirs");
    start(&rank[0], 0, 2, "ours");
    pthread_join(rank[1].thread, NULL);
    ck_assert_msg(strstr(rank[1].text, expected) != NULL, "%s", rank[1].text);
    ck_assert_msg(strstr(rank[0].warning, expected) != NULL, "%s", rank[0].warning);
    pthread_join(rank[0].thread, NULL);
    ck_assert_int_eq(rank[0].status, COVER_ERROR_RANK);
    ck_assert_msg(strstr(rank[0].text, "1 of 2 ranks did not come") && strstr(rank[0].text, expected), "%s", rank[0].text);
}
END_TEST

START_TEST(a_meeting_without_a_token_warns_where_other_machines_can_come) {
    struct joiner rank[2];
    snprintf(address, sizeof address, "0.0.0.0:%d", port);
    for (int with = 0; with < 2; with++) {
        for (int i = 0; i < 2; i++) start(&rank[i], i, 2, with ? "ours" : NULL);
        for (int i = 0; i < 2; i++) joined(&rank[i]);
        ck_assert_int_eq(strstr(rank[0].warning, "without a token") != NULL, !with);
        ck_assert_str_eq(rank[1].warning, "");
    }
}
END_TEST

START_TEST(a_token_is_64_hexadecimal_digits_or_any_text) {
    struct token token, other;
    const char *digits = "000102030405060708090a0b0c0d0e0fF0f1F2f3f4f5f6f7f8f9fafbfcfdfeff";
    ck_assert_ok(token_read(&token, digits));
    ck_assert(token.given && token.key[1] == 1 && token.key[10] == 10 && token.key[16] == 0xf0 && token.key[31] == 0xff);
    ck_assert_ok(token_read(&token, "abc"));
    sha256("abc", 3, other.key);
    ck_assert_mem_eq(token.key, other.key, sizeof token.key);
    ck_assert_ok(token_read(&token, digits + 1)); /* 63 digits are a text */
    sha256(digits + 1, 63, other.key);
    ck_assert_mem_eq(token.key, other.key, sizeof token.key);
    ck_assert_ok(token_read(&token, NULL));
    ck_assert(!token.given);
    ck_assert_fails(token_read(&token, ""), COVER_ERROR_ARGUMENT, "token is an empty text", "or none");
}
END_TEST

/* ---- what was recorded */

enum { RECORDED = sizeof(struct hello) + PROOF_BYTES };
struct tap {
    int listener;
    char bytes[RECORDED];
    size_t count;
};
/* Stands between rank 1 and rank 0, and keeps what rank 1 says at first. */
static void *tap_thread(void *argument) {
    struct tap *tap = argument;
    struct pollfd pair[4];
    struct pollfd wait[5];
    int count = 0, ended = 0;
    for (int i = 0; i < 4; i++) pair[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    while (ended < 2) {
        memcpy(wait, pair, sizeof pair);
        wait[4] = (struct pollfd){.fd = count < 4 ? tap->listener : -1, .events = POLLIN};
        if (poll(wait, 5, 10000) <= 0) break;
        if (wait[4].revents) {
            pair[count].fd = accept(tap->listener, NULL, NULL);
            pair[count + 1].fd = knock();
            count += 2;
        }
        for (int i = 0; i < 4; i++) {
            char moved[65536];
            if (pair[i].fd < 0 || !wait[i].revents) continue;
            ssize_t got = recv(pair[i].fd, moved, sizeof moved, 0);
            if (got <= 0) {
                shutdown(pair[i ^ 1].fd, SHUT_WR);
                pair[i].events = 0, pair[i].fd = ~pair[i].fd;
                ended += i % 2 == 0;
                continue;
            }
            for (ssize_t j = 0; i == 0 && j < got && tap->count < RECORDED; j++) tap->bytes[tap->count++] = moved[j];
            say(pair[i ^ 1].fd < 0 ? ~pair[i ^ 1].fd : pair[i ^ 1].fd, moved, (size_t)got);
        }
    }
    for (int i = 0; i < count; i++) close(pair[i].fd < 0 ? ~pair[i].fd : pair[i].fd);
    return NULL;
}

START_TEST(a_recorded_hello_is_refused_and_the_true_rank_joins) {
    struct joiner rank[2];
    struct tap tap = {.count = 0};
    struct challenge challenge;
    struct answer answer;
    pthread_t thread;
    char detour[64];
    int tapped;
    tap.listener = listen_anywhere(&tapped);
    pthread_create(&thread, NULL, tap_thread, &tap);
    start(&rank[0], 0, 2, "ours");
    snprintf(detour, sizeof detour, "127.0.0.1:%d", tapped);
    rank[1] = (struct joiner){.options = rank[0].options};
    rank[1].options.rank = 1, rank[1].options.address = detour;
    ck_assert_int_eq(pthread_create(&rank[1].thread, NULL, join_thread, &rank[1]), 0);
    joined(&rank[0]), joined(&rank[1]);
    pthread_join(thread, NULL);
    close(tap.listener);
    ck_assert_uint_eq(tap.count, RECORDED);

    start(&rank[0], 0, 2, "ours");
    int replay = knock();
    say(replay, tap.bytes, sizeof(struct hello));
    ck_assert(hear(replay, &challenge, sizeof challenge));
    say(replay, tap.bytes + sizeof(struct hello), PROOF_BYTES);
    ck_assert(hear(replay, &answer, sizeof answer));
    ck_assert_int_eq(answer.status, COVER_ERROR_RANK);
    start(&rank[1], 1, 2, "ours");
    joined(&rank[0]), joined(&rank[1]);
    close(replay);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("strangers among ranks");
    TCase *tcase = tcase_create("strangers among ranks");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_set_timeout(tcase, 30);
    ADD(tcase, sixty_silent_strangers_before_and_during_the_meeting_delay_nobody);
    ADD(tcase, more_silent_strangers_than_are_heard_delay_nobody);
    ADD(tcase, half_a_hello_slow_bytes_and_garbage_are_passed_over);
    ADD(tcase, a_stranger_that_says_it_is_a_rank_is_refused_and_the_true_rank_joins);
    ADD(tcase, what_speaks_another_protocol_is_refused_and_the_true_rank_joins);
    ADD(tcase, a_rank_with_another_token_or_none_is_refused_and_the_true_rank_joins);
    ADD(tcase, a_wrong_token_is_told_on_both_sides);
    ADD(tcase, a_meeting_without_a_token_warns_where_other_machines_can_come);
    ADD(tcase, a_token_is_64_hexadecimal_digits_or_any_text);
    ADD(tcase, a_recorded_hello_is_refused_and_the_true_rank_joins);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
