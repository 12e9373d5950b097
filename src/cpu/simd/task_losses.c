#include "vec.h"
void FORM(softmax_loss)(double *loss, double *statistics, const float *logits, const float *target,
                        const float *class_weights, const struct softmax_loss *s) {
    softmax_loss_plain(loss, statistics, logits, target, class_weights, s);
}
void FORM(softmax_loss_grad)(float *dlogits, const float *logits, const float *target, const float *class_weights,
                             const double *statistics, const struct softmax_loss *s) {
    softmax_loss_grad_plain(dlogits, logits, target, class_weights, statistics, s);
}
double FORM(sigmoid_loss)(double *statistics, const float *logits, const float *target, const float *class_weights,
                          int64_t pixels, int64_t classes) {
    return sigmoid_loss_plain(statistics, logits, target, class_weights, pixels, classes);
}
void FORM(sigmoid_loss_grad)(float *dlogits, const float *logits, const float *target, const float *class_weights,
                             const double *statistics, int64_t pixels, int64_t classes) {
    sigmoid_loss_grad_plain(dlogits, logits, target, class_weights, statistics, pixels, classes);
}
void FORM(global_pool)(float *y, const float *x, int64_t pixels, int64_t channels) { global_pool_plain(y, x, pixels, channels); }
void FORM(global_pool_grad)(float *dx, const float *dy, int64_t pixels, int64_t channels) {
    global_pool_grad_plain(dx, dy, pixels, channels);
}
