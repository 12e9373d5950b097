// libcover inside a C++ program: RAII around the handles, pixels from a std::vector, one descriptor an image.
//   c++ embed.cc $(pkg-config --cflags --libs cover) -o embed && ./embed weights.safetensors
#include <libcover/cover.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <vector>

namespace {

void check(cover_status status) {
    if (status != COVER_OK) throw std::runtime_error(cover_error_text());
}

template <typename Handle, void (*destroy)(Handle *)> struct Destroy {
    void operator()(Handle *handle) const { destroy(handle); }
};
using Context = std::unique_ptr<cover_context, Destroy<cover_context, cover_context_destroy>>;
using Backbone = std::unique_ptr<cover_backbone, Destroy<cover_backbone, cover_backbone_destroy>>;
using Tensor = std::unique_ptr<cover_tensor, Destroy<cover_tensor, cover_tensor_destroy>>;
using Features = std::unique_ptr<cover_features, Destroy<cover_features, cover_features_destroy>>;

// The mean over all pixels of the deepest level: one vector an image, for search or a linear classifier.
std::vector<double> describe(cover_context *context, cover_backbone *network, std::vector<float> &pixels, int64_t height,
                             int64_t width) {
    const int64_t shape[] = {1, 1, height, width};
    cover_tensor *wrapped = nullptr;
    check(cover_tensor_wrap(&wrapped, context, COVER_F32, 4, shape, nullptr, pixels.data()));
    Tensor image(wrapped);
    cover_features *made = nullptr;
    check(cover_backbone_forward(&made, network, image.get()));
    Features features(made);

    const cover_tensor *level = cover_features_level(features.get(), 0);
    const int64_t *size = cover_tensor_shape(level), *stride = cover_tensor_strides(level);
    const float *values = static_cast<const float *>(cover_tensor_data_const(level));
    std::vector<double> mean(static_cast<size_t>(size[1]));
    for (int64_t c = 0; c < size[1]; c++) {
        for (int64_t y = 0; y < size[2]; y++)
            for (int64_t x = 0; x < size[3]; x++) mean[c] += values[c * stride[1] + y * stride[2] + x * stride[3]];
        mean[c] /= static_cast<double>(size[2] * size[3]);
    }
    return mean;
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: embed WEIGHTS\n");
        return 2;
    }
    try {
        cover_context *made_context = nullptr;
        check(cover_context_create(&made_context, nullptr));
        Context context(made_context);
        cover_backbone *made_network = nullptr;
        check(cover_backbone_load(&made_network, context.get(), argv[1], nullptr));
        Backbone network(made_network);

        std::vector<float> pixels(64 * 64);
        for (size_t i = 0; i < pixels.size(); i++) pixels[i] = static_cast<float>(i % 64) / 64.0f;
        const std::vector<double> descriptor = describe(context.get(), network.get(), pixels, 64, 64);
        std::printf("%zu numbers describe the image; the first is %.4f\n", descriptor.size(), descriptor[0]);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "embed: %s\n", error.what());
        return 1;
    }
    return 0;
}
