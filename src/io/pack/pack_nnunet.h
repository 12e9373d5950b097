/* nnU-Net raw datasets inside pack: what dataset.json says, and the two ways in which cases are listed. */
#ifndef COVER_PACK_NNUNET_H
#define COVER_PACK_NNUNET_H

#include "pack.h"

#include <jansson.h>

struct nnunet {
    struct pack_plan *plan;
    const char *prefix, *folder; /* before the names; where dataset.json lies */
    const char *json;            /* its path */
    const char *ending;          /* ".nii.gz" */
    int channels;
    int label_values; /* values of label maps are below, the one to ignore among them; 0 = dataset.json names none */
};

/* ---- pack_nnunet_cases.c */
/* The images of one folder and the label maps of another: "imagesTr", "labelsTr". */
cover_status nnunet_folder_cases(const struct nnunet *source, const char *images, const char *labels, cover_split split);
/* The cases of dataset.json's "dataset": {CASE: {"images": [FILE, ...], "label": FILE}}. */
cover_status nnunet_listed_cases(const struct nnunet *source, const json_t *cases);
/* Those of version 1's "training" and "test": [{"image": FILE, "label": FILE}, ...] or [FILE, ...], each file with all channels, or
 * where there is none of that name CASE_0000.EXT, CASE_0001.EXT, ... */
cover_status nnunet_version1_cases(const struct nnunet *source, const char *field, const json_t *cases, cover_split split);

#endif
