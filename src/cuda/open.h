/* The executor's entries that device.c and training.c serve.  Read by executor.c, which fills the table. */
#ifndef COVER_CUDA_OPEN_H
#define COVER_CUDA_OPEN_H

#include "core/train/device.h"

cover_status cuda_device_open(struct device **device, cover_context *context, const struct device_options *options);
void cuda_device_close(struct device *device);
void cuda_device_describe(const struct device *device, struct text *json);
cover_status cuda_peak(struct peak *peak, cover_context *context);

extern const struct training training_cuda;

#endif
