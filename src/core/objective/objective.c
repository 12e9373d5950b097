/* The table of objectives.  Called by the public trainer. */
#include "objective.h"

#include "core/base/added.h"

#define OBJECTIVE(name) extern const struct objective objective_##name;
#include "core/settings/objectives.def"
#undef OBJECTIVE

static const struct objective *const objectives[] = {
#define OBJECTIVE(name) &objective_##name,
#include "core/settings/objectives.def"
#undef OBJECTIVE
};

const struct objective *objective_of(const cover_context *context, const struct objective_settings *settings) {
    const int own = sizeof objectives / sizeof *objectives;
    if (settings->objective < own) return objectives[settings->objective];
    return added_row(context, "objective", settings->objective - own)->row;
}
