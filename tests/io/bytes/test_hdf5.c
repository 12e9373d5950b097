/* libhdf5 in its place: silent while we use it, and the host's own error handlers are back behind us. */
#include "../../check_main.h"

#include "io/bytes/hdf5.h"

static int printed, host_data;
static herr_t host_handler2(hid_t stack, void *data) {
    (void)stack, (void)data;
    printed++;
    return 0;
}
static herr_t host_handler1(void *data) {
    (void)data;
    printed++;
    return 0;
}

START_TEST(the_hosts_error_handler_is_silent_inside_and_restored_after) {
    struct hdf5_guard guard;
    H5Eset_auto2(H5E_DEFAULT, host_handler2, &printed);
    hdf5_begin(&guard);
    H5Fopen("/nonexistent", H5F_ACC_RDONLY, H5P_DEFAULT);
    hdf5_end(&guard);
    ck_assert_int_eq(printed, 0);
    H5Fopen("/nonexistent", H5F_ACC_RDONLY, H5P_DEFAULT);
    ck_assert_int_eq(printed, 1);
    H5E_auto2_t handler2;
    void *data;
    H5Eget_auto2(H5E_DEFAULT, &handler2, &data);
    ck_assert(handler2 == host_handler2 && data == &printed);
    H5Eset_auto1(host_handler1, &host_data);
    hdf5_begin(&guard);
    H5Fopen("/nonexistent", H5F_ACC_RDONLY, H5P_DEFAULT);
    hdf5_end(&guard);
    ck_assert_int_eq(printed, 1);
    H5E_auto1_t handler1;
    H5Eget_auto1(&handler1, &data);
    ck_assert(handler1 == host_handler1 && data == &host_data);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("libhdf5 in its place");
    TCase *all = tcase_create("all");
    ADD(all, the_hosts_error_handler_is_silent_inside_and_restored_after);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
