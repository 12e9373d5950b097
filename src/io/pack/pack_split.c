/* The CSV of patients and splits (docs/dataset.md, "Splits"): columns file, patient, split, label by name.  A patient
 * belongs to one split; without a split column patients are dealt out by their hash.  Called by pack_sources.c. */
#include "pack_csv.h"
#include "pack_roles.h"

#include "core/base/number.h"

#include <string.h>

/* Shares of patients when the file has no split column, in percent; the rest is test. */
enum { TRAIN_PERCENT = 80, VAL_PERCENT = 10 };

/* ---- splits: one a patient */

static cover_status split_of(const struct pack_csv *csv, struct csv_row *row) {
    if (csv->column[CSV_SPLIT] < 0) {
        const char *patient = row->value[CSV_PATIENT];
        uint8_t digest[SHA256_BYTES];
        if (!*patient)
            return fail(COVER_ERROR_FORMAT, "%s: line %lld: \"patient\" is empty, and there is no column \"split\"", csv->path,
                        (long long)row->line);
        sha256(patient, strlen(patient), digest);
        const unsigned percent = ((unsigned)digest[0] << 16 | (unsigned)digest[1] << 8 | digest[2]) * 100u >> 24;
        row->split = percent < TRAIN_PERCENT                 ? COVER_SPLIT_TRAIN
                     : percent < TRAIN_PERCENT + VAL_PERCENT ? COVER_SPLIT_VAL
                                                             : COVER_SPLIT_TEST;
        return COVER_OK;
    }
    const char *word = row->value[CSV_SPLIT];
    const int split = !*word || same_word(word, "none") ? COVER_SPLIT_NONE : pack_split_of(word);
    if (split >= 0) {
        row->split = (cover_split)split;
        return COVER_OK;
    }
    return fail(COVER_ERROR_FORMAT, "%s: line %lld: \"split\" is '%s'; use train, val or test", csv->path, (long long)row->line,
                row->value[CSV_SPLIT]);
}

static cover_status check_patients(struct pack_csv *csv) {
    for (int64_t i = 0; i < csv->count; i++) TRY(split_of(csv, &csv->rows[i]));
    pack_csv_sort(csv, CSV_PATIENT);
    for (int64_t i = 1; i < csv->count; i++) {
        const struct csv_row *a = &csv->rows[i - 1], *b = &csv->rows[i];
        if (!*a->value[CSV_PATIENT] || strcmp(a->value[CSV_PATIENT], b->value[CSV_PATIENT]) != 0 || a->split == b->split) continue;
        if (csv->plan->dicom)
            return fail(COVER_ERROR_FORMAT, "%s: lines %lld and %lld put one patient into two splits; a patient belongs to one",
                        csv->path, (long long)a->line, (long long)b->line);
        else
            return fail(COVER_ERROR_FORMAT,
                        "%s: patient %s is in '%s' on line %lld (%s) and in '%s' on line %lld (%s); a patient belongs to "
                        "one split",
                        csv->path, a->value[CSV_PATIENT], a->value[CSV_SPLIT], (long long)a->line, a->value[CSV_FILE],
                        b->value[CSV_SPLIT], (long long)b->line, b->value[CSV_FILE]);
    }
    pack_csv_sort(csv, CSV_FILE);
    return COVER_OK;
}

static cover_status apply(struct pack_csv *csv, struct pack_item *item) {
    const struct csv_row *row;
    TRY(pack_csv_match(csv, item, &row));
    if (!row) {
        if (!item->unusable) item->unusable = "not listed in the split file";
        return COVER_OK;
    }
    item->split = row->split;
    if (*row->value[CSV_PATIENT] && !item->volume) item->patient = row->value[CSV_PATIENT]; /* DICOM keeps its P0001 */
    /* a labels file has said it already */
    if (*row->value[CSV_LABEL] && !item->class_name && !csv->plan->class_names) item->class_name = row->value[CSV_LABEL];
    return COVER_OK;
}

cover_status pack_split_read(struct pack_plan *plan, const char *path) {
    cover_status status = COVER_OK;
    struct pack_csv csv;
    TRY(pack_csv_read(&csv, plan, path, "split"));
    if (!pack_csv_has(&csv, CSV_PATIENT) && !pack_csv_has(&csv, CSV_SPLIT))
        GO(fail(COVER_ERROR_FORMAT, "%s: the first line names neither a column \"patient\" nor \"split\"", path));
    GO(check_patients(&csv));
    for (int64_t i = 0; i < plan->count; i++) GO(apply(&csv, &plan->items[i]));
    pack_csv_log_unused(&csv);
done:
    pack_csv_free(&csv);
    return status;
}
