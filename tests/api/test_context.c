/* What a context and the table of settings say of themselves. */
#include "../fixture.h"

#include <libcover/cover.h>

#include <errno.h>
#include <sched.h>
#include <stdbool.h>

START_TEST(a_context_alone_is_rank_0_of_1_and_shares_settings_with_itself) {
    cover_config *config;
    ck_assert_int_eq(cover_context_threads(context), 2);
    ck_assert_int_eq(cover_context_rank(context), 0);
    ck_assert_int_eq(cover_context_ranks(context), 1);
    ck_assert_ok(cover_config_create(&config, context, "demo"));
    ck_assert_ok(cover_config_set(config, "seed", "77"));
    ck_assert_ok(cover_context_share_config(context, config));
    ck_assert_str_eq(cover_config_get(config, "seed"), "77");
    cover_config_destroy(config);
}
END_TEST

START_TEST(each_row_of_the_settings_has_a_name_of_its_own_and_a_help_text) {
    int count = 0;
    for (const cover_config_key *key; (key = cover_config_key_at(count)); count++) {
        ck_assert(key->name[0] && key->kind[0] && key->help[0] && key->scope[0]);
        for (int i = 0; i < count; i++) ck_assert_str_ne(key->name, cover_config_key_at(i)->name);
    }
    ck_assert_int_gt(count, 30);
    ck_assert_ptr_null(cover_config_key_at(-1));
}
END_TEST

/* The kernel of a machine of 3000 processors, which refuses a set that is smaller than its own.  Called in place of the system's. */
enum { PROCESSORS = 3000, KERNEL_BYTES = 512 };
static bool many; /* else one processor, as a set of any size tells it */
int sched_getaffinity(pid_t process, size_t bytes, cpu_set_t *set) {
    (void)process;
    if (many && bytes < KERNEL_BYTES) return errno = EINVAL, -1;
    CPU_ZERO_S(bytes, set);
    for (int i = 0; i < (many ? PROCESSORS : 1); i++) CPU_SET_S(i, bytes, set);
    return 0;
}

START_TEST(all_processors_are_used_however_many_there_are) {
    cover_context *all;
    many = _i;
    ck_assert_ok(cover_context_create(&all, NULL));
    ck_assert_int_eq(cover_context_threads(all), many ? PROCESSORS : 1);
    cover_context_destroy(all);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("context");
    TCase *tcase = tcase_create("calls");
    tcase_add_checked_fixture(tcase, with_context, without_context);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    ADD(tcase, a_context_alone_is_rank_0_of_1_and_shares_settings_with_itself);
    ADD(tcase, each_row_of_the_settings_has_a_name_of_its_own_and_a_help_text);
    tcase_add_loop_test(tcase, all_processors_are_used_however_many_there_are, 0, 2);
    return run_suite(suite);
}
