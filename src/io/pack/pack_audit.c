/* What a pack of DICOM says of itself: its job in the audit (docs/dicom.md, P5), and the link of names, for its owner alone.  Called by
 * pack.c and pack_output.c. */
#include "pack_job.h"

#include "io/dicom/identity.h"

#include <stdio.h>
#include <string.h>

static cover_status write_link(const struct pack_job *job) {
    struct dicom_identity *identities;
    const char *path = job->options->link;
    if (!path) return COVER_OK;
    if (!job->plan.dicom) return fail(COVER_ERROR_ARGUMENT, "link %s: there is no DICOM among what is packed", path);
    TRY(dicom_identities(&identities, job->plan.dicom));
    const cover_status status = dicom_link_write(job->plan.dicom, identities, path);
    memory_free(job->context, identities);
    return status;
}

/* All that was given, and all that decides what the file will be. */
cover_status pack_audit_start(struct pack_job *job, const uint8_t plan[SHA256_BYTES]) {
    const cover_pack_options *options = job->options;
    TRY(write_link(job));
    if (!options->audit) return COVER_OK;
    sha256_text(plan, job->plan_hash);
    job->about = (struct audit_job){.verb = "pack", .options = job->plan_hash, .images = job->plan.count};
    if (job->plan.dicom)
        TRY(audit_objects(&job->about, job->plan.dicom->context, job->plan.dicom->objects, job->plan.dicom->count));
    else memcpy(job->about.sha256, job->plan_hash, sizeof job->about.sha256);
    TRY(audit_open(&job->audit, job->context, options->audit, options->audit_key));
    const cover_status status = audit_start(&job->audit, &job->about);
    if (status != COVER_OK) audit_close(&job->audit);
    return status;
}

cover_status pack_audit_end(struct pack_job *job, const struct dataset_directory *written, int64_t bytes) {
    struct audit_output output = {.as = "dataset", .bytes = (uint64_t)bytes};
    const struct audit_end end = {.status = "ok", .outputs = &output, .output_count = 1};
    if (!job->audit.path) return COVER_OK;
    sha256_text(written->hash, output.sha256);
    const cover_status status = audit_end(&job->audit, &job->about, &end);
    audit_close(&job->audit);
    return status;
}

cover_status pack_audit_failed(struct pack_job *job, cover_status status) {
    char reason[ERROR_TEXT_BYTES];
    const bool refused = status == COVER_ERROR_FORMAT || status == COVER_ERROR_SHAPE || status == COVER_ERROR_ARGUMENT;
    const struct audit_end end = {.status = refused ? "refused" : "failed", .reason = reason};
    if (!job->audit.path) return status;
    memcpy(reason, error_slot(), sizeof reason);
    (void)audit_end(&job->audit, &job->about, &end); /* it has failed already */
    audit_close(&job->audit);
    return fail_text(status, reason);
}
