/* Inside of pack: sources become a plan (a list of items, nothing read yet), items become stored samples in a spool,
 * the spool becomes the dataset file.  pack.c conducts; docs/dataset.md, "Packing", states what each layout means. */
#ifndef COVER_PACK_H
#define COVER_PACK_H

#include "io/bytes/arena.h"
#include "io/dataset/dataset_format.h"
#include "io/dicom/set.h"
#include "io/image/image_rules.h"

/* One sample to be: which files make it, and what is known without reading them. */
struct pack_item {
    const char *name;         /* in the dataset */
    const char *path;         /* the first file: for matching, messages */
    const char *const *files; /* one a channel (nnU-Net), or one for all channels */
    int file_count;
    const struct dicom_volume *volume;       /* of plan->dicom, instead of files; NULL = files */
    int frame;                               /* of images without a place: the one that is meant; -1 = all slices */
    const struct dicom_object *segmentation; /* of the volume, instead of a label map's file; NULL = none */
    const char *label;                       /* label map; NULL = none */
    const uint16_t *label_number;            /* of each value of it (pack_numbers.c); NULL = itself */
    const char *class_name;                  /* NULL = none */
    const char *patient;                     /* NULL = not known */
    const char *unusable;                    /* a reason that is known already; NULL = none */
    int channels;                            /* that the source promises; 0 = none promised */
    int label_classes;                       /* label values must be below; 0 = not known */
    int class_index;                         /* of class_name; -1 = none */
    bool multilabel;                         /* class_set counts, and class_index does not: so in all items of a plan, or in none */
    uint64_t class_set;                      /* a bit a class */
    cover_split split;
};

struct pack_plan {
    cover_context *context;
    struct arena arena; /* all texts below */
    struct pack_item *items;
    int64_t count, capacity;
    int64_t ignored;    /* files of other kinds */
    cover_dicom *dicom; /* all DICOM of the sources; NULL = there is none */
    const cover_pack_options *options;
    const char **class_names; /* sorted; class_index counts them */
    int classes;
    bool multilabel;             /* of the items */
    const char *label_names;     /* JSON object NAME: value of nnU-Net sources; NULL = none */
    const char **value_names;    /* label_classes of them: which classes dataset.json names; NULL = not named */
    int label_classes;           /* of nnU-Net sources; 0 = from the label maps */
    int ignore_label;            /* value behind the classes whose pixels count for nothing; -1 = none */
    struct text layouts;         /* JSON array of what the sources were */
    struct text label_values;    /* JSON array: the value that each label number stands for; empty = itself */
    cover_progress_fn *progress; /* while folders are walked; may be NULL */
    void *user;
    bool quiet; /* only looked at: no warnings, which the pack itself will give */
};

/* ---- pack_sources.c: the layouts */
cover_status pack_plan_create(struct pack_plan *plan, cover_context *context, const char *const *sources, int count,
                              const cover_pack_options *options);
void pack_plan_free(struct pack_plan *plan);
/* Append an empty item; NULL with the error set. */
struct pack_item *pack_plan_add(struct pack_plan *plan);
/* An item of one file; false with the error set. */
bool pack_plan_add_file(struct pack_plan *plan, const char *prefix, const char *name, const char *path);

/* The class list: sorts and thins out `names`, which are the plan's afterwards; and a class's place in it. */
cover_status pack_plan_classes(struct pack_plan *plan, const char **names, int64_t count);
int pack_plan_class(const struct pack_plan *plan, const char *name);

/* ---- pack_walk.c: folders */
struct pack_files {
    const char **paths; /* relative to the folder, sorted by bytes */
    int64_t count, capacity;
    int64_t others;  /* files that are no images by their name */
    int64_t dicom;   /* of them: DICOM, by what is in them */
    int64_t outside; /* links out of the folder, and where the first of them leads */
    const char *first_outside;
};
/* All images below a folder, in subfolders too; hidden files and folders are left out, links are followed.  Texts live in the plan's
 * arena, `paths` until pack_files_free(). */
cover_status pack_walk(struct pack_files *files, struct pack_plan *plan, const char *folder);
void pack_files_free(struct pack_files *files, struct pack_plan *plan);

/* ---- pack_once.c */
/* Of several names of one file the first stays. */
cover_status pack_once(struct pack_plan *plan);

/* ---- one file a layout; prefix is "" or "SOURCE/" before the names */
cover_status pack_nnunet(struct pack_plan *plan, const char *prefix, const char *folder);
cover_status pack_collection(struct pack_plan *plan, const char *prefix, const char *json);
cover_status pack_folder(struct pack_plan *plan, const char *prefix, const char *folder, const char **layout);

/* ---- pack_dicom.c: all that a file or folder has, into plan->dicom; then a sample a volume, or a frame where there is none */
cover_status pack_dicom_add(struct pack_plan *plan, const char *path);
cover_status pack_dicom_items(struct pack_plan *plan);
const char *
pack_dicom_spacing(const struct pack_plan *plan); /* where that of all images was measured; "" = they differ, or there are none */
bool pack_dicom_has_volumes(const struct pack_plan *plan); /* slices that lie in a patient */
void pack_dicom_hash(struct sha256 *hash, const struct pack_plan *plan, const struct pack_item *item);

/* ---- pack_split.c: the CSV of patients and splits */
cover_status pack_split_read(struct pack_plan *plan, const char *csv);

/* ---- pack_folds.c: nnU-Net's splits_final.json, ":K" behind it for fold K */
bool pack_is_folds(const char *path);
cover_status pack_folds_read(struct pack_plan *plan, const char *path);

/* ---- pack_labels.c: the CSV of labels; splits: whether it has a column of splits, too */
cover_status pack_labels_read(struct pack_plan *plan, const char *csv, const char *negative, bool *splits);

/* ---- pack_image.c: one item read, prepared and compressed */
struct packed_sample {
    struct dataset_row row; /* without what the writer finds out */
    int dims, channels;
    int label_max;       /* largest label value; -1 = no label */
    uint64_t seen[4];    /* bit v = the label map holds value v, below 256 */
    void *image, *label; /* stored bytes, memory_free() */
    const char *noted;   /* the file that is odd, and why; NULL = none */
    char note[200];
};
/* On failure the error text is the reason, without the path. */
struct pack_job;
cover_status pack_image(struct packed_sample *sample, const struct pack_job *job, const struct pack_item *item);
void packed_sample_free(struct packed_sample *sample, cover_context *context);

#endif
