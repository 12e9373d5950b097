/* What training reads images and their labels from, served by a dataset.  Called by both trainers. */
#ifndef COVER_DATASET_READER_H
#define COVER_DATASET_READER_H

#include "core/train/reader.h"
#include "dataset.h"

struct sample_reader dataset_reader(const cover_dataset *dataset);

#endif
