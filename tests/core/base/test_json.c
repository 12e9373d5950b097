/* The one reader of JSON: what RFC 8259 has and nothing else, numbers to the last digit, faults with their place, and short memory
 * told as such. */
#include "../../check_main.h"

#include "core/base/json.h"

#include <math.h>

static struct json_fault fault;

static json_t *parse(const char *text) { return json_parse(text, strlen(text), &fault); }

/* The one element of "[TEXT]". */
static json_t *element(const char *text) {
    char whole[512];
    snprintf(whole, sizeof whole, "[%s]", text);
    json_t *array = parse(whole), *value = json_incref(json_array_get(array, 0));
    ck_assert_msg(array && json_array_size(array) == 1, "%s: %s", whole, fault.what);
    json_decref(array);
    return value;
}

START_TEST(values_come_as_they_stand) {
    json_t *root = parse(" {\"a\": [1, -2.5e3, true, false, null, {}], \r\n\t\"b\": {\"\": \"x\"}, \"c\": []}\n");
    ck_assert_ptr_nonnull(root);
    const json_t *a = json_object_get(root, "a");
    ck_assert_int_eq(json_array_size(a), 6);
    ck_assert(json_integer_value(json_array_get(a, 0)) == 1 && json_real_value(json_array_get(a, 1)) == -2500);
    ck_assert(json_is_true(json_array_get(a, 2)) && json_is_false(json_array_get(a, 3)) && json_is_null(json_array_get(a, 4)));
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(root, "b"), "")), "x");
    json_decref(root);
}
END_TEST

START_TEST(whole_numbers_of_64_bits_stay_whole_and_larger_ones_become_real) {
    static const struct {
        const char *text;
        int64_t whole;
    } wholes[] = {{"0", 0}, {"-0", 0}, {"9223372036854775807", INT64_MAX}, {"-9223372036854775808", INT64_MIN}, {"-17", -17}};
    static const struct {
        const char *text;
        double real;
    } reals[] = {{"9223372036854775808", 9223372036854775808.0},
                 {"-9223372036854775809", -9223372036854775808.0},
                 {"123456789012345678901234567890", 1.2345678901234568e29},
                 {"0.1", 0.1},
                 {"1e0", 1},
                 {"2.5E-3", 0.0025},
                 {"1e-400", 0},
                 {"1.7976931348623157e308", 1.7976931348623157e308},
                 {"0.000000000000000000000000000000000000000000000000000000000000000000000000000001", 1e-78}};
    for (size_t i = 0; i < sizeof wholes / sizeof *wholes; i++) {
        json_t *value = element(wholes[i].text);
        ck_assert(json_is_integer(value) && json_integer_value(value) == wholes[i].whole);
        json_decref(value);
    }
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        json_t *value = element(reals[i].text);
        ck_assert_msg(json_is_real(value) && json_real_value(value) == reals[i].real, "%s", reals[i].text);
        json_decref(value);
    }
}
END_TEST

START_TEST(strings_are_utf8_with_every_escape) {
    static const struct {
        const char *text, *value;
    } strings[] = {{"\"\"", ""},
                   {"\"a b\"", "a b"},
                   {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
                   {"\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"", "A\u00e9\u20ac\U0001F600"},
                   {"\"\u00e9\u20ac\U0001F600\x7f\"", "\u00e9\u20ac\U0001F600\x7f"}};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        json_t *value = element(strings[i].text);
        ck_assert_str_eq(json_string_value(value), strings[i].value);
        json_decref(value);
    }
}
END_TEST

START_TEST(faults_say_where_and_what_was_expected) {
    static const struct {
        const char *text;
        int line, column;
        const char *what;
    } bad[] = {
        {"", 1, 1, "'{' or '[' is expected, but the text ends"},
        {"  \n 7", 2, 2, "'{' or '[' is expected, not '7'"},
        {"{\"a\": 1,\n \"\u00e9\" 2}", 2, 6, "':' is expected, not '2}'"},
        {"{\"a\": foo bar}", 1, 7, "a value is expected, not 'foo'"},
        {"{\"a\": 1 \"b\": 2}", 1, 9, "',' or '}' is expected, not '\"b\":'"},
        {"[1 2]", 1, 4, "',' or ']' is expected, not '2]'"},
        {"[1,]", 1, 4, "a value is expected, not ']'"},
        {"{\"a\": 1,}", 1, 9, "a name in quotes is expected, not '}'"},
        {"{a: 1}", 1, 2, "a name in quotes is expected, not 'a:'"},
        {"[1", 1, 3, "',' or ']' is expected, but the text ends"},
        {"[1] x", 1, 5, "the end of the text is expected, not 'x'"},
        {"{\"a\": 1, \"a\": 2}", 1, 10, "duplicate name 'a'"},
        {"[\"abc", 1, 2, "a string without its end"},
        {"[\"abc\\\"]", 1, 2, "a string without its end"},
        {"[\"\\x\"]", 1, 3, "no escape that JSON has"},
        {"[\"a\\u12\"]", 1, 4, "no escape that JSON has"},
        {"[\"\\u0000\"]", 1, 3, "no escape that JSON has"},
        {"[\"\\ud83d\"]", 1, 3, "no escape that JSON has"},
        {"[\"\\ude00\"]", 1, 3, "no escape that JSON has"},
        {"[\"\\ud83d\\u0041\"]", 1, 3, "no escape that JSON has"},
        {"[\"a\tb\"]", 1, 4, "a control character in a string"},
        {"[\"\xff\"]", 1, 3, "bytes that are not UTF-8"},
        {"[\"\xc3\"]", 1, 3, "bytes that are not UTF-8"},
        {"[01]", 1, 2, "a number is expected, not '01]'"},
        {"[+1]", 1, 2, "a value is expected, not '+1]'"},
        {"[1.]", 1, 2, "a number is expected, not '1.]'"},
        {"[.5]", 1, 2, "a value is expected, not '.5]'"},
        {"[1e]", 1, 2, "a number is expected, not '1e]'"},
        {"[-]", 1, 2, "a number is expected, not '-]'"},
        {"[0x10]", 1, 3, "',' or ']' is expected, not 'x10]'"},
        {"[1e400]", 1, 2, "a number that is too large"},
        {"[NaN]", 1, 2, "a value is expected, not 'NaN]'"},
        {"[nul]", 1, 2, "a value is expected, not 'nul]'"},
        {"[1e", 1, 2, "a number is expected, not '1e'"},
        {"[1e+", 1, 2, "a number is expected, not '1e+'"},
        {"[\"\\ud83d\\n\"]", 1, 3, "no escape that JSON has"},
        {"[\x1b[2J]", 1, 2, "a value is expected, not '\\x1B[2J]'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const size_t bytes = strlen(bad[i].text);
        char *own = memcpy(malloc(bytes + 1), bad[i].text, bytes); /* a sanitizer sees a step over its end */
        ck_assert_msg(!json_parse(own, bytes, &fault), "%s", bad[i].text);
        ck_assert_msg(fault.line == bad[i].line && fault.column == bad[i].column && strcmp(fault.what, bad[i].what) == 0,
                      "%s: %d, %d: %s", bad[i].text, fault.line, fault.column, fault.what);
        ck_assert(!fault.memory);
        free(own);
    }
    ck_assert(!json_parse("[\"\\\0\"]", 6, &fault) && strcmp(fault.what, "no escape that JSON has") == 0);
}
END_TEST

START_TEST(depth_has_a_limit) {
    char text[2 * JSON_DEEPEST + 3];
    for (int more = 0; more < 2; more++) {
        const size_t deep = (size_t)JSON_DEEPEST + (size_t)more;
        memset(text, '[', deep), memset(text + deep, ']', deep), text[2 * deep] = 0;
        json_t *value = parse(text);
        ck_assert((value == NULL) == (more != 0));
        if (more) ck_assert_str_eq(fault.what, "nested too deep");
        json_decref(value);
    }
}
END_TEST

static cover_status read_text(json_t **value, const char *text) { return json_read(value, "x.json", text, strlen(text)); }

START_TEST(the_librarys_error_names_the_text) {
    json_t *value;
    ck_assert_fails(read_text(&value, "{\"a\"\n 1}"), COVER_ERROR_FORMAT,
                    "x.json: not sound JSON: line 2, column 2: ':' is expected");
    ck_assert_ptr_null(value);
}
END_TEST

/* ---- short memory: Jansson asks through these */

static int left;
static void *refusing(size_t bytes) { return left-- == 0 ? NULL : malloc(bytes); }

START_TEST(short_memory_is_never_a_fault_of_the_text) {
    static const char text[] = "{\"a\": [1, 2.5, \"text\", {\"b\": [[], {}]}], \"c\": true, \"d\": 12345678901234567890}";
    json_t *value = NULL;
    int refused = 0;
    json_set_alloc_funcs(refusing, free);
    for (left = 0; !value; refused++) {
        const int now = left = refused;
        const cover_status status = read_text(&value, text);
        ck_assert_msg(status == COVER_OK || status == COVER_ERROR_MEMORY, "%d: %s", now, cover_error_text());
        if (status != COVER_OK) ck_assert_str_eq(cover_error_text(), "x.json: out of memory");
    }
    json_decref(value);
    json_set_alloc_funcs(malloc, free);
    ck_assert_int_gt(refused, 20);
}
END_TEST

START_TEST(a_value_is_written_whole_or_not_at_all) {
    static const char json[] = "{\"z\": [1, 2.5, 2.0, 0.1, 1e300, 0.12345678901234567, true, null, []], \"a\\n\": {\"k\": \"v\"}, "
                               "\"m\": {}, \"big\": 9007199254740993}";
    cover_context *context;
    struct text text;
    json_t *value;
    ck_assert_ok(cover_context_create(&context, NULL));
    ck_assert_ok(json_read(&value, "x", json, strlen(json)));
    text = (struct text){.context = context};
    text_add_value(&text, value);
    ck_assert_str_eq(text.data, "{\"a\\u000a\":{\"k\":\"v\"},\"big\":9007199254740993,\"m\":{},\"z\":[1,2.5,2.0,0.1,1e+300,0."
                                "12345678901234566,true,null,[]]}");
    text_free(&text);
    json_decref(value);
    cover_context_destroy(context);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("JSON");
    TCase *all = tcase_create("all");
    ADD(all, values_come_as_they_stand);
    ADD(all, whole_numbers_of_64_bits_stay_whole_and_larger_ones_become_real);
    ADD(all, strings_are_utf8_with_every_escape);
    ADD(all, faults_say_where_and_what_was_expected);
    ADD(all, depth_has_a_limit);
    ADD(all, the_librarys_error_names_the_text);
    ADD(all, a_value_is_written_whole_or_not_at_all);
    ADD(all, short_memory_is_never_a_fault_of_the_text);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
