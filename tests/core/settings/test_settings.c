/* The table of settings: which may change when a run is resumed, and names and values of choices. */
#include "../../fixture.h"

#include "core/settings/settings.h"

static cover_config *config;

static void setup(void) { with_context(); }
static void teardown(void) {
    cover_config_destroy(config);
    config = NULL;
    without_context();
}

static bool is_of(const char *name, const char *const *names, int count) {
    for (int i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

/* The first value that the setting takes and does not have. */
static void change(const cover_config_key *key) {
    static const char *const values[] = {"1", "2", "3", "0.5", "16x16", "8,16"};
    char was[256], choice[64];
    snprintf(was, sizeof was, "%s", cover_config_get(config, key->name));
    for (const char *at = key->choices; *at; at += strcspn(at, "|"), at += *at == '|') {
        snprintf(choice, sizeof choice, "%.*s", (int)strcspn(at, "|"), at);
        ck_assert_ok(cover_config_set(config, key->name, choice));
        ck_assert_str_eq(cover_config_get(config, key->name), choice);
        if (strcmp(was, choice) != 0) return;
    }
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (cover_config_set(config, key->name, values[i]) == COVER_OK && strcmp(was, cover_config_get(config, key->name)) != 0)
            return;
}

START_TEST(a_resumed_run_may_have_other_values_only_where_they_change_no_number) {
    static const char *const free_ones[] = {"steps",     "lanes",   "checkpoint_every", "save_every",
                                            "log_every", "overlap", "mirror",           "keep_component"};
    const char *preset = _i ? "seg-2d" : "demo";
    for (int k = 0; cover_config_key_at(k); k++) {
        const cover_config_key *key = cover_config_key_at(k);
        cover_config *before;
        ck_assert_ok(cover_config_create(&before, context, preset));
        ck_assert_ok(cover_config_set(before, "schedule", "constant"));
        ck_assert_ok(cover_config_copy(&config, before));
        if (cover_config_get(config, key->name)) {
            change(key);
            const bool changed = strcmp(cover_config_get(before, key->name), cover_config_get(config, key->name)) != 0;
            const bool may = !changed || is_of(key->name, free_ones, sizeof free_ones / sizeof *free_ones);
            ck_assert_msg(changed || !strchr(key->choices, '|'), "%s was not changed", key->name);
            const cover_status status = config_resumes(config, "run/config.json", cover_config_json(before));
            ck_assert_msg(status == (may ? COVER_OK : COVER_ERROR_MISMATCH), "%s: %s", key->name, cover_status_name(status));
            if (!may) ck_assert_ptr_nonnull(strstr(cover_error_text(), key->name));
        }
        cover_config_destroy(before);
        cover_config_destroy(config);
        config = NULL;
    }
}
END_TEST

START_TEST(more_steps_are_a_longer_run_unless_the_schedule_ends_with_them) {
    cover_config *longer;
    ck_assert_ok(cover_config_create(&config, context, "demo"));
    ck_assert_ok(cover_config_set(config, "schedule", _i ? "cosine" : "constant"));
    ck_assert_ok(cover_config_copy(&longer, config));
    ck_assert_ok(cover_config_set(longer, "steps", "123456"));
    ck_assert_int_eq(config_resumes(longer, "run", cover_config_json(config)), _i ? COVER_ERROR_MISMATCH : COVER_OK);
    cover_config_destroy(longer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("settings");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_loop_test(all, a_resumed_run_may_have_other_values_only_where_they_change_no_number, 0, 2);
    tcase_add_loop_test(all, more_steps_are_a_longer_run_unless_the_schedule_ends_with_them, 0, 2);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
