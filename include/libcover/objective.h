/* What pretraining can minimise: the table of objectives, in words and with the settings that each has.
 *
 * Owner:      the structs are the caller's
 * Lifetime:   texts: as long as the library is loaded
 * Threads:    any
 * Callbacks:  none
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"; texts that say "or NULL" may be
 *             missing
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  experimental: fields may still be added */
#ifndef LIBCOVER_OBJECTIVE_H
#define LIBCOVER_OBJECTIVE_H

#include <libcover/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One objective.  The texts of `text`, `use` and `cost` are sentences without their first capital and their full stop. */
typedef struct cover_objective {
    size_t struct_size;
    const char *name;    /**< value of the setting "objective", in checkpoints and weight files: "simclr" */
    const char *title;   /**< "SimCLR" */
    const char *paper;   /**< "Title, where, when" */
    const char *text;    /**< what it learns by */
    const char *use;     /**< when to take it */
    const char *cost;    /**< operations of a step beside one of COVER's, and memory of its own */
    const char *trained; /**< of the backbone: "whole", "encoder", or the decoder's last trained module ("up2") */
    const char *sample;  /**< what a sample is: "view pair" */
    int setting_count;   /**< settings that it has, of those that belong to objectives */
} cover_objective;
#define COVER_OBJECTIVE_INIT COVER_SIZED(cover_objective)

/** One setting of an objective, and the method's own value, which it gets where it is left at its default. */
typedef struct cover_objective_setting {
    size_t struct_size;
    const char *name;   /**< as in config.h */
    const char *own_2d; /**< or NULL: its default, or what follows from batch and images */
    const char *own_3d; /**< the same in 3D */
} cover_objective_setting;
#define COVER_OBJECTIVE_SETTING_INIT COVER_SIZED(cover_objective_setting)

/** How many objectives the library has. */
COVER_API int cover_objective_count(void);
/** The objective of this index, in the order of the table.
 *  @return COVER_OK; COVER_ERROR_ARGUMENT: there is none of this index */
COVER_API cover_status cover_objective_at(cover_objective *objective, int index);
/** The objective of this name.  @return COVER_OK; COVER_ERROR_ARGUMENT names those that there are */
COVER_API cover_status cover_objective_find(cover_objective *objective, const char *name);
/** A setting of an objective, by name and index.
 *  @return COVER_OK; COVER_ERROR_ARGUMENT: no such objective, or it has no setting of this index */
COVER_API cover_status cover_objective_setting_at(cover_objective_setting *setting, const char *name, int index);

#ifdef __cplusplus
}
#endif
#endif
