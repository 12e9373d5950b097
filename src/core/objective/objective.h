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

/* A setting that belongs to objectives, and the method's own value where the user leaves it as it is by default, "0" or "auto": in 2D, in
 * 3D; NULL: that default. */
struct objective_setting {
    const char *name, *own[2];
};

/* What the hooks of an objective see of a run. */
struct objective_run {
    cover_context *context;
    const struct settings *settings;
    const struct sample_reader *reader; /* its read is NULL where there are no images */
    struct engine *engine;
    int64_t step; /* steps made */
    void *state;  /* the objective's, zeros at first */
};

/* Names every array of the state, always in one order: saving, loading and sharing with other ranks walk it. */
struct visitor {
    void (*array)(struct visitor *visitor, const char *name, void *data, size_t bytes);
};

struct objective {
    const char *name;  /* in settings, checkpoints and weight files */
    const char *title; /* on pages: "COVER" */
    const char *paper; /* "Title, where, when", on pages; NULL = COVER's own */
    /* For people who choose one, a sentence each: what it learns by, when to take it, what a step takes beside one of COVER's. */
    const char *text, *use, *cost;
    /* What it trains of the backbone: "whole", "encoder" (the decoder stays as it was drawn), or the name of the decoder's last trained
     * module ("up2"). */
    const char *trained;
    const char *sample; /* a sample in messages and figures: "pair"; its plural has an s */
    const char *counts; /* what its samples count, in messages: "valid pixel in any pair" */
    const struct objective_setting
        *setting; /* those of the objectives' settings that it has; ends with a name of NULL.  NULL: any */
    /* Values that follow from others, and what does not fit: of images in the dataset, 0 = not known.  After the own values; NULL = nothing. */
    cover_status (*settle)(cover_config *config, int64_t images);
    /* The model, or its graphs alone, built twice: rows of parameters may come in any order (networks.h: objective_model()). */
    model_builder *build, *graphs;
    const struct view_plan *views; /* samples are these views (view_maker.h); NULL: the next three say it */
    /* Images of this size are large enough, and not too large; else COVER_ERROR_SHAPE. */
    cover_status (*accepts)(const struct settings *settings, const struct grid *grid, int channels);
    /* How samples are made: fills maker_bytes of memory whose first member is the maker.  Everything given lives as long. */
    size_t maker_bytes;
    cover_status (*maker)(struct sample_maker *maker, const struct objective_run *run);
    const struct figure_words *figure;       /* one for each term of its model, in their order; ends with a name of NULL */
    const struct objective_picture *picture; /* ends with a name of NULL */
    bool pairs; /* pictures are moving, fixed, field and mask of a pair, between whose images the network finds the field */
    /* What follows the weights; NULL and 0 where nothing does.  Every rank makes these calls at the same steps and must come to the same
     * state.  A state of fixed size lies in state_bytes; what it points to is allocated by start and freed by end.
     * start: before a fresh run, and again when its weights come from a file, so that copies are made of those.
     * loaded: the state came from a checkpoint, whose values need not make sense: COVER_ERROR_FORMAT.
     * begin_period: before the first sample of each period is drawn; after an error it is begun once more. */
    size_t state_bytes;
    cover_status (*start)(struct objective_run *run);
    void (*end)(struct objective_run *run); /* of a state that may be zeros */
    void (*visit)(struct objective_run *run, struct visitor *visitor);
    cover_status (*loaded)(struct objective_run *run);
    cover_status (*after_step)(struct objective_run *run); /* an update was made */
    int64_t (*period)(const struct objective_run *run);    /* steps of one */
    cover_status (*begin_period)(struct objective_run *run);
    uint64_t (*image_bytes)(const cover_context *context,
                            const struct settings *settings); /* begin_period's, of each image; of the host */
};

/* Before anything is built: every setting that was left open gets its value, so that config.json shows it, and a setting of other
 * objectives alone that was set is refused, as is what does not fit. */
cover_status objective_settle(cover_config *config, int64_t images);
/* What is trained of the backbone with these settings: the row's `trained`, or less where a setting stops at a level of the decoder. */
void objective_trained(char *text, size_t bytes, const cover_config *config);
/* ---- by the row that the settings choose, or that is given */
model_builder objective_build;
cover_status objective_accepts(const struct objective *objective, const struct settings *settings, const struct grid *grid,
                               int channels);
size_t objective_maker_bytes(const struct objective *objective);
cover_status objective_maker(struct sample_maker *maker, const struct objective *objective, const struct objective_run *run);

/* Row by number; NULL past the end of the table. */
const struct objective *objective_at(int index);
/* The one that the settings choose: the table's, or a row added to the context (base/added.h).  Never NULL. */
const struct objective *objective_of(const cover_context *context, const struct objective_settings *settings);

#endif
