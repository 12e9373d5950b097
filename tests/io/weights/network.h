/* A small network for tests of weight files: settings, the table of parameters, and weights that are a function of the
 * name alone, as tests/data/pth/make.py has them: (i % 17 - 8) * 0.25 + strlen(name). */
#ifndef COVER_NETWORK_TEST_H
#define COVER_NETWORK_TEST_H

#include "weights_test.h"

#include "core/method/cover.h"
#include "io/weights/weights.h"

struct network {
    cover_config *config;
    struct parameters parameters;
    float *flat;
};

static inline float value_of(const char *name, int64_t i) { return (float)(i % 17 - 8) * 0.25f + (float)strlen(name); }

static inline struct network network_create(cover_context *context, const char *dims) {
    struct network network = {0};
    ck_assert_ok(cover_config_create(&network.config, context, NULL));
    ck_assert_ok(cover_config_set(network.config, "dims", dims));
    ck_assert_ok(cover_config_set(network.config, "widths", "8,8,8,8,8,8,8,8,8"));
    ck_assert_ok(cover_config_set(network.config, "radius", "2"));
    network.parameters.context = context;
    ck_assert_ok(pair_parameters(&network.parameters, context, config_settings(network.config)));
    network.flat = memory_zero(context, (size_t)network.parameters.floats * sizeof(float));
    ck_assert_ptr_nonnull(network.flat);
    for (int row = 0; row < network.parameters.count; row++) {
        const struct parameter *parameter = &network.parameters.rows[row];
        for (int64_t i = 0; i < parameter->count; i++) network.flat[parameter->offset + i] = value_of(parameter->name, i);
    }
    return network;
}

static inline void network_destroy(struct network *network) {
    memory_free(network->parameters.context, network->flat);
    parameters_free(&network->parameters);
    cover_config_destroy(network->config);
}

#endif
