/* What the CHOICE settings may be, each list once: X_CHOICES(CHOICE) calls CHOICE(value, name) for each in its order.  Code compares with
 * the values, people write the names; settings.def says which list a setting has.  Included by settings.h. */
#ifndef COVER_CHOICES_H
#define COVER_CHOICES_H

#include "core/base/grid.h"

// clang-format off
#define OFF_ON_CHOICES(CHOICE) CHOICE(SETTING_OFF, "off") CHOICE(SETTING_ON, "on")
#define PRECISION_CHOICES(CHOICE) CHOICE(PRECISION_FP32, "fp32") CHOICE(PRECISION_BF16, "bf16")
#define NORMALISE_CHOICES(CHOICE) \
    CHOICE(NORMALISE_MAX, "max") CHOICE(NORMALISE_RANGE, "range") CHOICE(NORMALISE_CLIP2048, "clip2048") CHOICE(NORMALISE_NONE, "none")
#define AFFINE_CHOICES(CHOICE) CHOICE(AFFINE_PAPER, "paper") CHOICE(AFFINE_RELEASED, "released")
#define FLIP_CHOICES(CHOICE) CHOICE(FLIP_OFF, "off") CHOICE(FLIP_HORIZONTAL, "horizontal") CHOICE(FLIP_ALL, "all") /* and mirror's */
#define SCHEDULE_CHOICES(CHOICE) CHOICE(SCHEDULE_CONSTANT, "constant") CHOICE(SCHEDULE_COSINE, "cosine")
#define COORDINATES_CHOICES(CHOICE) CHOICE(COORDINATES_EXACT, "exact") CHOICE(COORDINATES_RELEASED, "released")
#define PYRAMID_CHOICES(CHOICE) CHOICE(PYRAMID_ALL, "all") CHOICE(PYRAMID_DIRECT, "direct")
#define TRAINED_CHOICES(CHOICE) CHOICE(TRAINED_ALL, "all") CHOICE(TRAINED_HEAD, "head") CHOICE(TRAINED_LAST, "last")
#define VIEWS_CHOICES(CHOICE) CHOICE(VIEWS_OWN, "own") CHOICE(VIEWS_MILD, "mild") CHOICE(VIEWS_SEVR, "sevr")
#define VIEW_FLIP_CHOICES(CHOICE) CHOICE(VIEW_FLIP_OWN, "own") CHOICE(VIEW_FLIP_OFF, "off")
#define CLASS_WEIGHTS_CHOICES(CHOICE) CHOICE(CLASS_WEIGHTS_OFF, "off") CHOICE(CLASS_WEIGHTS_BALANCED, "balanced")
// clang-format on

#define CHOICE_VALUE(value, name) value,
enum { OFF_ON_CHOICES(CHOICE_VALUE) };
enum { PRECISION_CHOICES(CHOICE_VALUE) };
enum { NORMALISE_CHOICES(CHOICE_VALUE) };
enum { AFFINE_CHOICES(CHOICE_VALUE) };
enum { FLIP_CHOICES(CHOICE_VALUE) };
enum { SCHEDULE_CHOICES(CHOICE_VALUE) };
enum { PYRAMID_CHOICES(CHOICE_VALUE) };
enum { VIEWS_CHOICES(CHOICE_VALUE) };
enum { VIEW_FLIP_CHOICES(CHOICE_VALUE) };
enum { TRAINED_CHOICES(CHOICE_VALUE) };
enum { CLASS_WEIGHTS_CHOICES(CHOICE_VALUE) };
#undef CHOICE_VALUE

/* base/grid.h has these, as kernels know them, too. */
#define CHOICE_PLACE(value, name) PLACE_##value,
enum { COORDINATES_CHOICES(CHOICE_PLACE) };
#undef CHOICE_PLACE
_Static_assert((int)PLACE_COORDINATES_EXACT == (int)COORDINATES_EXACT &&
                   (int)PLACE_COORDINATES_RELEASED == (int)COORDINATES_RELEASED,
               "in the order of enum coordinates");

#endif
