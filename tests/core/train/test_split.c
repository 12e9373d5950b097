/* Which samples train and which validate: the data's own split, folds of patients, shots, and what cannot be had. */
#include "../../check_main.h"

#include "core/train/split.h"

#include <stdio.h>
#include <string.h>

enum { MOST = 400 };

static cover_context *context;
static cover_config *config;
static uint8_t packed[MOST];
static int64_t patient[MOST];
static int class_index[MOST];
static const char *const names[] = {"normal", "effusion", "mass", "nodule"};
static struct split_input input;
static struct split split;

static void setup(void) {
    ck_assert_ok(cover_context_create(&context, NULL));
    ck_assert_ok(cover_config_create(&config, context, "seg-2d"));
    memset(packed, COVER_SPLIT_NONE, sizeof packed);
    for (int i = 0; i < MOST; i++) patient[i] = -1, class_index[i] = 0;
    input = (struct split_input){.samples = 100, .split = packed, .patient = patient};
    split = (struct split){0};
}
static void teardown(void) {
    split_free(&split);
    cover_config_destroy(config);
    cover_context_destroy(context);
}
static void set(const char *name, const char *value) { ck_assert_ok(cover_config_set(config, name, value)); }
static void set_number(const char *name, int value) {
    char text[16];
    snprintf(text, sizeof text, "%d", value);
    set(name, text);
}
static cover_status try_split(void) {
    split_free(&split);
    return split_create(&split, context, config_settings(config), &input);
}
static void make(void) { ck_assert_ok(try_split()); }
static void refused(const char *text) {
    ck_assert_int_eq(try_split(), COVER_ERROR_ARGUMENT);
    ck_assert_msg(strstr(cover_error_text(), text) != NULL, "'%s' is not in '%s'", text, cover_error_text());
    ck_assert(!split.train && !split.val);
}

/* 0 unused, 1 train, 2 val; the lists rise and do not meet. */
static void roles(uint8_t role[MOST]) {
    memset(role, 0, MOST);
    for (int64_t i = 0; i < split.train_count; i++) {
        ck_assert(i == 0 || split.train[i] > split.train[i - 1]);
        role[split.train[i]] = 1;
    }
    for (int64_t i = 0; i < split.val_count; i++) {
        ck_assert(i == 0 || split.val[i] > split.val[i - 1]);
        ck_assert_uint_eq(role[split.val[i]], 0);
        role[split.val[i]] = 2;
    }
}
static void count_classes(int counts[4], const int64_t *list, int64_t count) {
    memset(counts, 0, 4 * sizeof *counts);
    for (int64_t i = 0; i < count; i++) counts[class_index[list[i]]]++;
}
static void classify(const int *sizes, int classes) {
    input.class_index = class_index, input.classes = classes, input.class_names = names, input.samples = 0;
    for (int c = 0; c < classes; c++)
        for (int i = 0; i < sizes[c]; i++) class_index[input.samples++] = c;
}

/* ---- the data's own split */

START_TEST(the_own_split_is_used_as_it_is) {
    input.samples = 8;
    memcpy(packed, (uint8_t[]){1, 2, 3, 1, 0, 2, 1, 3}, 8);
    set("fold", "3");
    make();
    ck_assert(split.own);
    ck_assert_int_eq(split.train_count, 3);
    ck_assert_int_eq(split.val_count, 2);
    ck_assert_mem_eq(split.train, ((int64_t[]){0, 3, 6}), 3 * sizeof(int64_t));
    ck_assert_mem_eq(split.val, ((int64_t[]){1, 5}), 2 * sizeof(int64_t));
}
END_TEST

START_TEST(validation_is_taken_out_of_train_and_never_out_of_test) {
    for (int i = 0; i < 100; i++) packed[i] = i < 60 ? COVER_SPLIT_TRAIN : i < 90 ? COVER_SPLIT_TEST : COVER_SPLIT_NONE;
    make();
    ck_assert(!split.own);
    ck_assert_int_eq(split.val_count, 12);
    ck_assert_int_eq(split.train_count, 48);
    for (int64_t i = 0; i < 48; i++) ck_assert_int_lt(split.train[i], 60);
    for (int64_t i = 0; i < 12; i++) ck_assert_int_lt(split.val[i], 60);
}
END_TEST

START_TEST(samples_without_a_split_train_where_none_is_packed_as_train) {
    for (int i = 0; i < 100; i++) packed[i] = i < 20 ? COVER_SPLIT_VAL : i < 50 ? COVER_SPLIT_TEST : COVER_SPLIT_NONE;
    make();
    ck_assert(split.own);
    ck_assert_int_eq(split.val_count, 20);
    ck_assert_int_eq(split.train_count, 50);
    ck_assert_int_eq(split.train[0], 50);
}
END_TEST

/* ---- folds */

START_TEST(folds_validate_each_sample_once) {
    input.samples = 103;
    int validated[MOST] = {0};
    for (int fold = 1; fold <= 5; fold++) {
        uint8_t role[MOST];
        set_number("fold", fold);
        make();
        roles(role);
        ck_assert_int_eq(split.train_count + split.val_count, 103);
        ck_assert(split.val_count == 20 || split.val_count == 21);
        for (int i = 0; i < 103; i++) validated[i] += role[i] == 2;
    }
    for (int i = 0; i < 103; i++) ck_assert_int_eq(validated[i], 1);
}
END_TEST

START_TEST(patients_never_straddle) {
    for (int i = 0; i < 100; i++) patient[i] = i % 37 * 1000;
    for (int n = 0; n < 10; n++) {
        uint8_t role[MOST], of[37] = {0};
        set_number("split_seed", n);
        set(n < 5 ? "fold" : "val", n < 5 ? "2" : "20");
        make();
        roles(role);
        for (int i = 0; i < 100; i++) {
            ck_assert(of[i % 37] == 0 || of[i % 37] == role[i]);
            of[i % 37] = role[i];
        }
        if (n >= 5) ck_assert(split.val_count >= 20 && split.val_count <= 22); /* a patient has 2 or 3 */
    }
    packed[0] = COVER_SPLIT_TRAIN, packed[37] = COVER_SPLIT_TEST;
    refused("samples 0 (train) and 37 (test) are of one patient");
}
END_TEST

START_TEST(folds_deal_each_class_out_evenly) {
    classify((int[]){40, 25, 11, 10}, 4);
    for (int fold = 1; fold <= 5; fold++) {
        int val[4];
        set_number("fold", fold);
        make();
        count_classes(val, split.val, split.val_count);
        ck_assert_int_eq(val[0], 8);
        ck_assert_int_eq(val[1], 5);
        ck_assert(val[2] == 2 || val[2] == 3);
        ck_assert_int_eq(val[3], 2);
        ck_assert(split.val_count == 17 || split.val_count == 18);
    }
    set("val", "17");
    make();
    int val[4];
    count_classes(val, split.val, split.val_count);
    ck_assert_int_eq(split.val_count, 17);
    ck_assert(val[0] == 8 && val[1] == 5 && val[2] == 2 && val[3] == 2);
}
END_TEST

/* ---- seeds, shots, fraction */

START_TEST(split_seed_decides_and_seed_does_not) {
    uint8_t first[MOST], role[MOST];
    make(), roles(first);
    set("seed", "5");
    make(), roles(role);
    ck_assert_mem_eq(first, role, MOST);
    set("split_seed", "5");
    make(), roles(role);
    ck_assert_mem_ne(first, role, MOST);
}
END_TEST

START_TEST(fewer_shots_are_a_part_of_more_and_validation_stays) {
    static const int shots[] = {1, 5, 10, 25, 80};
    uint8_t before[MOST], role[MOST];
    for (int n = 0; n < 5; n++) {
        set_number("shots", shots[n]);
        make(), roles(role);
        ck_assert_int_eq(split.train_count, shots[n]);
        ck_assert_int_eq(split.val_count, 20);
        for (int i = 0; n && i < 100; i++) {
            ck_assert(before[i] != 1 || role[i] == 1);
            ck_assert((before[i] == 2) == (role[i] == 2));
        }
        memcpy(before, role, MOST);
    }
    ck_assert_int_gt(split.train[4] - split.train[0], 3); /* not simply the first ones */
    set("shots", "81");
    refused("shots=81, but there are 80 training samples");
}
END_TEST

START_TEST(shots_and_fraction_count_in_each_class) {
    int train[4];
    classify((int[]){50, 20, 10, 15}, 4);
    set("shots", "7");
    make();
    count_classes(train, split.train, split.train_count);
    for (int c = 0; c < 4; c++) ck_assert_int_eq(train[c], 7);
    set("shots", "9");
    refused("shots=9, but there are 8 training samples of class 'mass'");
    set("shots", "0"), set("fraction", "0.25");
    make();
    count_classes(train, split.train, split.train_count);
    ck_assert(train[0] == 10 && train[1] == 4 && train[2] == 2 && train[3] == 3);
    set("fraction", "0.001"); /* one at least */
    make();
    ck_assert_int_eq(split.train_count, 4);
    set("shots", "2");
    refused("choose one");
}
END_TEST

START_TEST(a_share_of_cases_is_rounded) {
    set("fraction", "0.1");
    make();
    ck_assert_int_eq(split.train_count, 8);
    ck_assert_int_eq(split.val_count, 20);
}
END_TEST

/* ---- what cannot be had */

START_TEST(what_leaves_a_side_empty_is_refused_with_a_remedy) {
    input.samples = 3;
    set("fold", "5");
    refused("fold 5 of 5 is empty (patients that may train: 3)");
    set("val", "3");
    refused("val=3 takes all samples that may train (samples: 3,");
    set("val", "2");
    make();
    ck_assert_int_eq(split.train_count, 1);
    for (int i = 0; i < 3; i++) patient[i] = 8;
    refused("patients: 1)");
    set("val", "0"), set("fold", "1");
    refused("fold 1 of 5 is everything");
    memset(packed, COVER_SPLIT_TEST, 3);
    refused("all 3 samples are test samples");
    memset(packed, COVER_SPLIT_VAL, 3);
    refused("no training sample is left");
    input.samples = 0;
    refused("no samples");
}
END_TEST

START_TEST(a_class_without_a_training_sample_is_named) {
    classify((int[]){20, 20, 0, 20}, 4);
    refused("no training sample of class 'mass'");
    input.class_names = NULL;
    refused("no training sample of class 2");
    class_index[4] = -1;
    refused("sample 4 has no class");
    class_index[4] = 4;
    refused("sample 4 has an unknown class");
    class_index[4] = 2;
    packed[4] = COVER_SPLIT_TEST;
    refused("class 2");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("split");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    ADD(t, the_own_split_is_used_as_it_is);
    ADD(t, validation_is_taken_out_of_train_and_never_out_of_test);
    ADD(t, samples_without_a_split_train_where_none_is_packed_as_train);
    ADD(t, folds_validate_each_sample_once);
    ADD(t, patients_never_straddle);
    ADD(t, folds_deal_each_class_out_evenly);
    ADD(t, split_seed_decides_and_seed_does_not);
    ADD(t, fewer_shots_are_a_part_of_more_and_validation_stays);
    ADD(t, shots_and_fraction_count_in_each_class);
    ADD(t, a_share_of_cases_is_rounded);
    ADD(t, what_leaves_a_side_empty_is_refused_with_a_remedy);
    ADD(t, a_class_without_a_training_sample_is_named);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
