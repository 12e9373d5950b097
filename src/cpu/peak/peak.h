/* Peak rates of this machine, measured in less than a second. */
#ifndef COVER_CPU_PEAK_H
#define COVER_CPU_PEAK_H

#include "core/base/base.h"
#include "core/base/peak.h"

cover_status cpu_peak(struct peak *peak, cover_context *context);

#endif
