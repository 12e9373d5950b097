/* What all objects that leave have in common: who and what they are about, from the source's bytes (R39); who made them, when, and their
 * identifiers (R35).  Called by the writers of this room. */
#ifndef COVER_DICOM_DERIVED_H
#define COVER_DICOM_DERIVED_H

#include "codes.h"
#include "put.h"
#include "set.h"
#include "uid.h"

#define SEGMENTATION_CLASS "1.2.840.10008.5.1.4.1.1.66.4"
#define LABEL_MAP_CLASS "1.2.840.10008.5.1.4.1.1.66.7"

struct dicom_job { /* one result of one volume */
    const struct cover_dicom *set;
    cover_context *context;
    const struct dicom_volume *volume;
    const struct dicom_tree *source; /* of the first slice's object: what it says of patient and study stands for all */
    cover_seg_options options;
    char task[65], description[65], serial[17];
    char date[9], time[16], zone[6]; /* zone "": not known */
    struct dicom_segment *segments;
    int segment_count;
    struct sha256 series; /* of what all results of a task on a source series have in common */
    struct sha256 hash;   /* of the sources' headers, the options, the version and the time; the label map is added by its pixels */
};
/* Checks options and volume.  dicom_job_end() after success and after failure. */
cover_status dicom_job_begin(struct dicom_job *job, const cover_dicom *set, int index, const cover_seg_options *options);
void dicom_job_end(struct dicom_job *job);

struct dicom_derived { /* an object of a job */
    const char *modality, *sop_class;
    const char *image_type, *conversion; /* NULL: it has none */
    int series_number;                   /* is added to the source's */
    char sop_uid[UID_BYTES], series_uid[UID_BYTES];
};
/* Elements of a group or two each, in this order; what else belongs between them is the writer's. */
void derived_put_head(struct dicom_put *put, const struct dicom_job *job, const struct dicom_derived *object); /* to (0008,1090) */
void derived_put_patient(struct dicom_put *put, const struct dicom_job *job);   /* 0010, to (0018,1020) */
void derived_put_equipment(struct dicom_put *put, const struct dicom_job *job); /* (0018,a001) */
void derived_put_series(struct dicom_put *put, const struct dicom_job *job, const struct dicom_derived *object,
                        bool placed); /* 0020 */
/* Referenced Series Sequence: every instance that the volume was made of. */
void derived_put_references(struct dicom_put *put, const struct dicom_job *job);
/* Class and instance of a slice's object; the items of one, or of a sequence's. */
void derived_put_instance(struct dicom_put *put, const struct dicom_object *object);
/* Lossy Image Compression with ratio and method: the source's. */
void derived_put_lossy(struct dicom_put *put, const struct dicom_job *job);
/* The identifiers of the object; once job->hash has all. */
void derived_name(const struct dicom_job *job, struct dicom_derived *object);
/* What a segment (from 1) is called in the segmentation, and in what is measured of it. */
void derived_tracking(const struct dicom_job *job, int segment, char uid[UID_BYTES]);

#endif
