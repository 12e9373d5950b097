/* Frames of the family of JPEG: which process one is of, its own frame header says, whatever the transfer syntax; archives have mixed them
 * up.  Rows of the table in syntax.c. */
#include "jpeg_header.h"

struct process {
    int marker;
    cover_status (*check)(const struct jpeg_header *header, const struct dicom_frame *frame);
    cover_status (*decode)(const struct jpeg_header *header, const struct dicom_frame *frame, struct dicom_decoded *decoded);
};

static const struct process processes[] = {
    {JPEG_SOF0, dct_jpeg_check, dct_jpeg_decode}, {JPEG_SOF1, dct_jpeg_check, dct_jpeg_decode},
    {JPEG_SOF2, dct_jpeg_check, dct_jpeg_decode}, {JPEG_SOF3, lossless_jpeg_check, lossless_jpeg_decode},
    {JPEG_SOF55, jpeg_ls_check, jpeg_ls_decode},
};

static cover_status find(const struct process **process, struct jpeg_header *header, const struct dicom_frame *frame) {
    TRY(jpeg_header_read(header, frame->bytes, frame->size));
    for (size_t i = 0; i < sizeof processes / sizeof *processes; i++) {
        if (processes[i].marker != header->process) continue;
        *process = &processes[i];
        TRY(jpeg_header_fits(header, frame));
        return COVER_OK;
    }
    return fail(COVER_ERROR_UNSUPPORTED, "a JPEG of a hierarchical or arithmetic process (SOF%d); dcmdjpeg IN OUT decompresses it",
                header->process - JPEG_SOF0);
}

static cover_status check(const struct dicom_frame *frame) {
    const struct process *process;
    struct jpeg_header header;
    TRY(find(&process, &header, frame));
    return process->check(&header, frame);
}

static cover_status decode(const struct dicom_frame *frame, struct dicom_decoded *decoded) {
    const struct process *process;
    struct jpeg_header header;
    TRY(find(&process, &header, frame));
    return process->decode(&header, frame, decoded);
}

const struct dicom_codec dicom_jpeg = {check, decode};
