/* What pretraining minimises: a row each, named in core/settings/objectives.def.  A row says how its network, graph and terms are built and
 * how its samples are made, and has the words for people; engine, trainers, files and pages know no more of it.  Called by api/pretrain,
 * run_folder.c and analysis_curves.c. */
#ifndef COVER_OBJECTIVE_H
#define COVER_OBJECTIVE_H

#include "core/base/figure.h"
#include "core/method/reader.h"
#include "core/train/prefetch.h"

/* An input of a sample that is kept for the report, under this name. */
struct objective_picture {
    const char *name;
    int input, image; /* of the graph; of the input's images */
};
enum { OBJECTIVE_PICTURES = 8 };

struct objective {
    const char *name;   /* in settings, checkpoints and weight files */
    const char *title;  /* on pages: "COVER" */
    const char *paper;  /* "Title, where, when", on pages; NULL = COVER's own */
    const char *sample; /* a sample in messages and figures: "pair" */
    const char *counts; /* what its samples count, in messages: "valid pixel in any pair" */
    model_builder *build;
    /* Images of this size are large enough, and not too large; else COVER_ERROR_SHAPE. */
    cover_status (*accepts)(const struct settings *settings, const struct grid *grid, int channels);
    /* How samples are made: fills maker_bytes of memory whose first member is the maker.  Everything given lives as long. */
    size_t maker_bytes;
    cover_status (*maker)(struct sample_maker *maker, cover_context *context, const struct settings *settings,
                          const struct sample_reader *reader);
    const struct figure_words *figure;       /* one for each term of its model, in their order; ends with a name of NULL */
    const struct objective_picture *picture; /* ends with a name of NULL */
    bool pairs; /* pictures are moving, fixed, field and mask of a pair, between whose images the network finds the field */
};

/* The one that the settings choose: the table's, or a row added to the context (base/added.h).  Never NULL. */
const struct objective *objective_of(const cover_context *context, const struct objective_settings *settings);

#endif
