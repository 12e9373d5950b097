/* Settings, as JSON and one by one.  The first byte says which, and of what kind.  What was taken can be written and taken again. */
#include "fuzz.h"

#include <libcover/config.h>
#include <libcover/plan.h>

/* A plan takes a hundred times as long as all the rest. */
static bool seldom(const uint8_t *data, size_t size) {
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++) sum = sum * 31 + data[i];
    return (data[0] & 0xf8) == 0xf8 && sum % 256 == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    const char *preset = data[0] & 1 ? "seg-2d" : data[0] & 2 ? "paper-3d" : "demo";
    cover_config *config = NULL, *again = NULL;
    char *text = malloc(size);
    require(text && cover_config_create(&config, fuzz_context(), preset) == COVER_OK, "a config");
    memcpy(text, data + 1, size - 1), text[size - 1] = 0;
    char *equals = strchr(text, '=');
    if (data[0] & 4) (void)cover_config_read_json(config, text);
    else if (equals) *equals = 0, (void)cover_config_set(config, text, equals + 1);
    const char *json = cover_config_json(config);
    require(json && cover_config_create(&again, fuzz_context(), preset) == COVER_OK, "a copy");
    require(cover_config_read_json(again, json) == COVER_OK, "own JSON");
    require(strcmp(cover_config_json(again), json) == 0, "the same JSON again");
    if (seldom(data, size) && cover_config_validate(config) == COVER_OK) {
        cover_plan plan = COVER_PLAN_INIT;
        (void)cover_plan_compute(&plan, fuzz_context(), config, 1);
    }
    cover_config_destroy(again);
    cover_config_destroy(config);
    free(text);
    return 0;
}
