/* Every row of the table of objectives has the words that people read of it. */
#include "../../check_main.h"
#include "core/objective/objective.h"

#include <libcover/config.h>
#include <libcover/objective.h>

#include <string.h>

#define OBJECTIVE(name) extern const struct objective objective_##name;
#include "core/settings/objectives.def"
#undef OBJECTIVE
static const struct objective *const rows[] = {
#define OBJECTIVE(name) &objective_##name,
#include "core/settings/objectives.def"
#undef OBJECTIVE
};
enum { ROWS = sizeof rows / sizeof *rows };

static bool sentence(const char *text) { /* one that stands behind a colon */
    return text && strlen(text) > 8 && text[strlen(text) - 1] != '.' && !strchr(text, '\n');
}
START_TEST(every_row_says_what_it_learns_by_when_to_take_it_and_what_it_costs) {
    const struct objective *row = rows[_i];
    ck_assert_msg(row->title && *row->title && row->sample && row->counts, "%s: a name for people is missing", row->name);
    ck_assert_msg(sentence(row->text), "%s: text is missing, or no sentence without its full stop", row->name);
    ck_assert_msg(sentence(row->use), "%s: use is missing, or no sentence without its full stop", row->name);
    ck_assert_msg(sentence(row->cost), "%s: cost is missing, or no sentence without its full stop", row->name);
    ck_assert_msg(row->trained && *row->trained, "%s: trained is missing", row->name);
    ck_assert_msg(row->paper || row->pairs, "%s: paper is missing", row->name);
    for (const struct figure_words *figure = row->figure; figure->name; figure++)
        ck_assert_msg(figure->title && *figure->title, "%s: figure %s has no title", row->name, figure->name);
    for (const struct objective_setting *own = row->setting; own && own->name; own++) {
        const cover_config_key *key;
        for (int i = 0; (key = cover_config_key_at(i)) && strcmp(key->name, own->name) != 0;) i++;
        ck_assert_msg(key, "%s: there is no setting %s", row->name, own->name);
    }
}
END_TEST

START_TEST(the_library_tells_every_row_and_has_two_presets_of_it) {
    cover_objective told = COVER_OBJECTIVE_INIT, found = COVER_OBJECTIVE_INIT;
    cover_objective_setting setting = COVER_OBJECTIVE_SETTING_INIT;
    ck_assert_int_eq(cover_objective_count(), ROWS);
    ck_assert_ok(cover_objective_at(&told, _i));
    ck_assert_ok(cover_objective_find(&found, rows[_i]->name));
    ck_assert_str_eq(told.name, rows[_i]->name);
    ck_assert(told.text == rows[_i]->text && found.trained == rows[_i]->trained && told.paper);
    for (int i = 0; i < told.setting_count; i++) ck_assert_ok(cover_objective_setting_at(&setting, told.name, i));
    ck_assert_fails(cover_objective_setting_at(&setting, told.name, told.setting_count), COVER_ERROR_ARGUMENT, "from 0 on");
    for (int dims = 2; dims <= 3; dims++) {
        cover_context *context;
        cover_config *config;
        char preset[96];
        snprintf(preset, sizeof preset, "%s-%dd", told.name, dims);
        ck_assert_ok(cover_context_create(&context, NULL));
        ck_assert_ok(cover_config_create(&config, context, preset));
        ck_assert_str_eq(cover_config_get(config, "objective"), told.name);
        ck_assert_int_eq(*cover_config_get(config, "dims") - '0', dims);
        ck_assert_ok(cover_config_validate(config));
        cover_config_destroy(config);
        cover_context_destroy(context);
    }
}
END_TEST

START_TEST(an_objective_that_is_not_there_is_refused) {
    cover_objective told = COVER_OBJECTIVE_INIT;
    ck_assert_fails(cover_objective_at(&told, ROWS), COVER_ERROR_ARGUMENT, "from 0 on");
    ck_assert_fails(cover_objective_at(&told, -1), COVER_ERROR_ARGUMENT, "objective -1");
    ck_assert_fails(cover_objective_find(&told, "simcrl"), COVER_ERROR_ARGUMENT, "'simcrl' is not known; use one of cover, ");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("rows of objectives");
    TCase *tcase = tcase_create("words");
    tcase_add_loop_test(tcase, every_row_says_what_it_learns_by_when_to_take_it_and_what_it_costs, 0, ROWS);
    tcase_add_loop_test(tcase, the_library_tells_every_row_and_has_two_presets_of_it, 0, ROWS);
    ADD(tcase, an_objective_that_is_not_there_is_refused);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
