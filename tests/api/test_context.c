/* What a context and the table of settings say of themselves. */
#include "../fixture.h"

#include <libcover/cover.h>

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

int main(void) {
    Suite *suite = suite_create("context");
    TCase *tcase = tcase_create("calls");
    tcase_add_checked_fixture(tcase, with_context, without_context);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    ADD(tcase, a_context_alone_is_rank_0_of_1_and_shares_settings_with_itself);
    ADD(tcase, each_row_of_the_settings_has_a_name_of_its_own_and_a_help_text);
    return run_suite(suite);
}
