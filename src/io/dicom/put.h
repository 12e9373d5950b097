/* A DICOM object on its way out: explicit little endian, lengths defined, tags ascending, values even (R36).  All in memory but the
 * pixels, which stay where they are.  The first failure is kept, and put_end_object() gives it, so that a writer is a list of elements.
 * Called by the writers of this room. */
#ifndef COVER_DICOM_PUT_H
#define COVER_DICOM_PUT_H

#include "tree.h"

#include <libcover/dicom.h>

enum { PUT_DEEPEST = 32 };

struct dicom_put {
    cover_context *context;
    uint8_t *bytes;
    int64_t count, capacity;
    struct {
        int64_t length_at; /* where the length stands that its end fills */
        uint32_t last;     /* tag */
        bool items;        /* a sequence; else a data set */
    } levels[PUT_DEEPEST];
    int depth;
    const void *pixels; /* the value of the last element, the caller's */
    uint64_t pixel_bytes;
    cover_status status;
};

/* Preamble and group 0002. */
void put_begin(struct dicom_put *put, cover_context *context, const char *sop_class, const char *sop_instance);
cover_status put_end_object(struct dicom_put *put);
void put_free(struct dicom_put *put);

/* Texts get a blank, identifiers and bytes a zero, where they are odd. */
void put_value(struct dicom_put *put, uint32_t tag, const char vr[3], const void *value, size_t bytes);
void put_text(struct dicom_put *put, uint32_t tag, const char vr[3], const char *text);
/* Numbers as DS, each in 16 characters at most, or one as IS. */
void put_decimals(struct dicom_put *put, uint32_t tag, const double *values, int count);
void put_decimal(struct dicom_put *put, uint32_t tag, double value);
void put_integer(struct dicom_put *put, uint32_t tag, int64_t value);
void put_shorts(struct dicom_put *put, uint32_t tag, const uint16_t *values, int count); /* US */
void put_short(struct dicom_put *put, uint32_t tag, int value);
void put_longs(struct dicom_put *put, uint32_t tag, const uint32_t *values, int count); /* UL */
void put_tag(struct dicom_put *put, uint32_t tag, uint32_t value);                      /* AT */
/* The source's bytes without the padding behind them (R12); nothing where the source has none, or with `empty` an empty element. */
void put_source(struct dicom_put *put, uint32_t tag, const char vr[3], const struct dicom_tree *tree, const struct dicom_node *node,
                bool empty);
/* Code Value, Coding Scheme Designator and Code Meaning as the one item of a sequence. */
void put_code(struct dicom_put *put, uint32_t tag, const char *value, const char *scheme, const char *meaning);

void put_sequence(struct dicom_put *put, uint32_t tag);
void put_item(struct dicom_put *put);
void put_end(struct dicom_put *put); /* of an item or of a sequence */
/* A sequence with one item, and the end of both. */
void put_open(struct dicom_put *put, uint32_t tag);
void put_close(struct dicom_put *put);
/* Pixel data, the last element: not copied. */
void put_pixels(struct dicom_put *put, const char vr[3], const void *pixels, uint64_t bytes);

/* The whole object: to be read again, and handed out. */
void put_as_source(const struct dicom_put *put, struct source *source);
cover_status put_send(const struct dicom_put *put, cover_write_fn *take, void *user);

#endif
