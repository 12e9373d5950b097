/* What training takes of a dataset: images and their labels, and the rules by which it was packed.  Called by both trainers. */
#ifndef COVER_DATASET_READER_H
#define COVER_DATASET_READER_H

#include "core/method/reader.h"
#include "dataset.h"
#include "io/image/image_rules.h"

struct sample_reader dataset_reader(const cover_dataset *dataset);
/* dims is the dataset's. */
cover_status dataset_rules(struct image_rules *rules, const cover_dataset *dataset);

#endif
