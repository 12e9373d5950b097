/* Every row of the table of objectives has the words that people read of it. */
#include "../../check_main.h"
#include "core/objective/objective.h"

#include <libcover/config.h>

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

int main(void) {
    Suite *suite = suite_create("rows of objectives");
    TCase *tcase = tcase_create("words");
    tcase_add_loop_test(tcase, every_row_says_what_it_learns_by_when_to_take_it_and_what_it_costs, 0, ROWS);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
