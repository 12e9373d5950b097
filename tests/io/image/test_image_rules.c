/* The rules by which images are prepared: kept in a dataset, as JSON, and applied again to other images. */
#include "../files.h"

#include "io/dataset/reader.h"
#include "io/image/image_rules.h"

/* The rules of a text; the status of reading them. */
static cover_status read_rules(struct image_rules *rules, const char *text) {
    json_t *object = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(object);
    cover_status status = image_rules_read(rules, object, "task");
    json_decref(object);
    return status;
}

static void same_rules(const struct image_rules *a, const struct image_rules *b) { ck_assert_mem_eq(a, b, sizeof *a); }

START_TEST(rules_come_back_from_json_to_the_last_bit) {
    const struct image_rules rules = {
        .dims = 3, .channels = 1, .spacing_mm = {1.0 / 3, 0.1, 0}, .percentile = {0.5, 100.0 / 1.003}};
    struct image_rules back;
    struct text text = {.context = context};
    text_add(&text, "{");
    image_rules_write(&rules, &text);
    text_add(&text, "}");
    ck_assert_ok(read_rules(&back, text.data));
    same_rules(&rules, &back);
    text_free(&text);
}
END_TEST

START_TEST(rules_that_make_no_sense_are_refused) {
#define RULES(dims, size, spacing, window)                                                                                         \
    "{\"dims\": " dims ", \"channels\": 0, \"size\": [" size "], \"spacing_mm\": [" spacing "], \"window\": [" window              \
    "], \"percentile\": [0, 0]}"
    static const char *const texts[][2] = {
        {"{}", "\"dims\""},
        {RULES("4", "0, 0, 0", "0, 0, 0", "0, 0"), "dims is 4"},
        {RULES("2", "0, 0", "0, 0, 0", "0, 0"), "\"size\""},
        {RULES("2", "0, 1e300, 0", "0, 0, 0", "0, 0"), "\"size\""},
        {RULES("2", "0, -4, 4", "0, 0, 0", "0, 0"), "size along H is -4"},
        {RULES("2", "0, 4, 4", "0, 1, 0", "0, 0"), "size and spacing were both given"},
        {RULES("2", "0, 4, 4", "0, 0, 0", "5, \"x\""), "\"window\""},
    };
    struct image_rules rules;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ck_assert_fails(read_rules(&rules, texts[i][0]), COVER_ERROR_FORMAT, texts[i][1]);
        ck_assert_ptr_nonnull(strstr(cover_error_text(), "task: "));
    }
}
END_TEST

START_TEST(an_image_goes_through_the_rules_of_a_dataset_as_it_went_through_pack) {
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    options.channels = 1, options.size[1] = 9, options.size[2] = 14;
    options.percentile[0] = 3, options.percentile[1] = 90;
    write_png(at("in/images/a.png"), 23, 31, 3, 5);
    write_label(at("in/labels/a.png"), 23, 31, 4);
    ck_assert_ok(pack(at("in"), at("out.h5"), &options, NULL));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    struct image_rules rules, given;
    ck_assert_ok(dataset_rules(&rules, dataset));
    image_rules_of_options(&given, &options);
    given.dims = 2; /* what the files are, once that is known */
    same_rules(&rules, &given);

    struct image image, label;
    ck_assert_ok(image_read(&image, context, at("in/images/a.png"), 0));
    ck_assert_ok(image_read(&label, context, at("in/labels/a.png"), 0));
    ck_assert_ok(image_rules_apply(&rules, context, &image, &label));
    cover_tensor *pixels, *values;
    ck_assert_ok(cover_dataset_read(&pixels, dataset, 0));
    ck_assert_ok(cover_dataset_read_label(&values, dataset, 0));
    ck_assert_mem_eq(image.data, cover_tensor_data(pixels), 9 * 14);
    ck_assert_mem_eq(label.data, cover_tensor_data(values), 9 * 14);
    cover_tensor_destroy(pixels);
    cover_tensor_destroy(values);
    image_free(&image, context);
    image_free(&label, context);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(several_files_become_the_channels_of_one_image) {
    write_png(at("c_0000.png"), 6, 5, 1, 1);
    write_png(at("c_0001.png"), 6, 5, 1, 2);
    write_png(at("small.png"), 6, 4, 1, 2);
    const char *files[] = {at("c_0000.png"), at("c_0001.png"), at("small.png")};
    struct image image;
    ck_assert_ok(image_read_files(&image, context, files, 2));
    ck_assert_int_eq(image.channels, 2);
    for (int k = 0; k < 30; k++)
        for (int c = 0; c < 2; c++) ck_assert_uint_eq(((uint8_t *)image.data)[2 * k + c], value_of(c + 1, k));
    image_free(&image, context);
    ck_assert_fails(image_read_files(&image, context, files, 3), COVER_ERROR_SHAPE, "small.png is 1x6x4");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("image rules");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    ADD(all, rules_come_back_from_json_to_the_last_bit);
    ADD(all, rules_that_make_no_sense_are_refused);
    ADD(all, an_image_goes_through_the_rules_of_a_dataset_as_it_went_through_pack);
    ADD(all, several_files_become_the_channels_of_one_image);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
