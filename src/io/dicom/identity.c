/* See identity.h. */
#include "identity.h"

#include "uid.h"

#include "core/base/files.h"
#include "io/bytes/csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE = 257 };

void dicom_patient(const struct dicom_object *object, uint8_t patient[SHA256_BYTES]) {
    const struct dicom_tree *tree = &object->tree;
    char id[VALUE], issuer[VALUE];
    struct sha256 hash;
    sha256_begin(&hash);
    if (dicom_text(tree, dicom_find(tree, NULL, TAG_PATIENT_ID), id, sizeof id) > 0) {
        dicom_text(tree, dicom_find(tree, NULL, TAG_PATIENT_ISSUER), issuer, sizeof issuer);
        dicom_hash_text(&hash, id);
        dicom_hash_text(&hash, issuer);
    } else {
        dicom_hash_text(&hash, object->study_uid);
    }
    sha256_end(&hash, patient);
}

/* ---- the order */

struct place {
    uint8_t patient[SHA256_BYTES], first[SHA256_BYTES], own[SHA256_BYTES]; /* of the patient: the least of his volumes' hashes */
    int volume;
};

static int compare_places(const struct place *a, const struct place *b, bool of_patient) {
    int order = memcmp(a->first, b->first, SHA256_BYTES);
    if (order == 0) order = memcmp(a->patient, b->patient, SHA256_BYTES);
    if (order == 0 && !of_patient) order = memcmp(a->own, b->own, SHA256_BYTES);
    return order ? order : of_patient ? 0 : a->volume - b->volume;
}
static int by_patient(const void *a, const void *b) {
    const struct place *one = a, *other = b;
    const int order = memcmp(one->patient, other->patient, SHA256_BYTES);
    return order ? order : memcmp(one->own, other->own, SHA256_BYTES);
}
static int by_place(const void *a, const void *b) { return compare_places(a, b, false); }

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Series and images of a volume, in whatever order its slices are.  uids has room for them. */
static void hash_volume(const struct dicom_volume *volume, const char **uids, uint8_t digest[SHA256_BYTES]) {
    struct sha256 hash;
    for (int i = 0; i < volume->count; i++) uids[i] = volume->slices[i]->object->sop_uid;
    qsort(uids, (size_t)volume->count, sizeof *uids, by_text);
    sha256_begin(&hash);
    dicom_hash_text(&hash, volume->slices[0]->object->study_uid);
    dicom_hash_text(&hash, volume->slices[0]->object->series_uid);
    for (int i = 0; i < volume->count; i++) dicom_hash_text(&hash, uids[i]);
    sha256_end(&hash, digest);
}

static void number(struct dicom_identity *identities, const struct place *places, int count) {
    for (int i = 0, patient = 0, series = 0; i < count; i++) {
        const bool same = i > 0 && compare_places(&places[i - 1], &places[i], true) == 0;
        patient += !same, series = same ? series + 1 : 1;
        struct dicom_identity *identity = &identities[places[i].volume];
        *identity = (struct dicom_identity){.patient = patient, .series = series};
        snprintf(identity->name, sizeof identity->name, "P%04d/S%02d", patient, series);
    }
}

cover_status dicom_identities(struct dicom_identity **identities, const struct cover_dicom *set) {
    cover_context *context = set->context;
    const int count = set->volume_count;
    int slices = 1;
    for (int i = 0; i < count; i++)
        if (set->volumes[i].count > slices) slices = set->volumes[i].count;
    struct dicom_identity *made = memory_zero(context, (size_t)(count + 1) * sizeof *made);
    struct place *places = memory_zero(context, (size_t)(count + 1) * sizeof *places);
    const char **uids = memory_alloc(context, (size_t)slices * sizeof *uids);
    const bool enough = made && places && uids;
    for (int i = 0; enough && i < count; i++) {
        places[i].volume = i;
        dicom_patient(set->volumes[i].slices[0]->object, places[i].patient);
        hash_volume(&set->volumes[i], uids, places[i].own);
    }
    if (enough) {
        qsort(places, (size_t)count, sizeof *places, by_patient);
        for (int i = 0, first = 0; i < count; i++) {
            if (memcmp(places[i].patient, places[first].patient, SHA256_BYTES) != 0) first = i;
            memcpy(places[i].first, places[first].own, SHA256_BYTES);
        }
        qsort(places, (size_t)count, sizeof *places, by_place);
        number(made, places, count);
        *identities = made;
    } else {
        memory_free(context, made);
    }
    memory_free(context, places);
    memory_free(context, uids);
    return enough ? COVER_OK : COVER_ERROR_MEMORY;
}

/* ---- the link */

static void add_value(struct text *text, const struct dicom_object *object, uint32_t tag) {
    char value[VALUE];
    dicom_text(&object->tree, dicom_find(&object->tree, NULL, tag), value, sizeof value);
    text_add(text, ",");
    csv_add(text, value);
}

cover_status dicom_link_write(const struct cover_dicom *set, const struct dicom_identity *identities, const char *path) {
    static const uint32_t tags[] = {TAG_PATIENT_ID, TAG_PATIENT_ISSUER, TAG_STUDY_UID, TAG_SERIES_UID};
    struct text text = {.context = set->context};
    struct replacement file;
    cover_status status;
    text_add(&text, "name,patient_id,issuer,study,series\n");
    for (int i = 0; i < set->volume_count; i++) {
        text_add(&text, "%s", identities[i].name);
        for (size_t t = 0; t < sizeof tags / sizeof *tags; t++) add_value(&text, set->volumes[i].slices[0]->object, tags[t]);
        text_add(&text, "\n");
    }
    if (text.failed) GO(COVER_ERROR_MEMORY);
    GO(replacement_begin_private(&file, set->context, path));
    status = replacement_write(&file, text.data, text.length);
    if (status == COVER_OK) status = replacement_commit(&file, set->context);
    else replacement_abandon(&file, set->context);
done:
    text_free(&text);
    return status;
}
