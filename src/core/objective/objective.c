/* The table of objectives.  Called by the public trainer. */
#include "objective.h"

#define OBJECTIVE(name) extern const struct objective objective_##name;
#include "core/settings/objectives.def"
#undef OBJECTIVE

static const struct objective *const objectives[] = {
#define OBJECTIVE(name) &objective_##name,
#include "core/settings/objectives.def"
#undef OBJECTIVE
};

const struct objective *objective_of(const struct objective_settings *settings) { return objectives[settings->objective]; }
