/* A figure by its name (include/libcover/figure.h). */
#include <libcover/figure.h>

#include <math.h>
#include <string.h>

double cover_figure_value(const cover_figure *figures, int count, const char *name) {
    for (int i = 0; figures && name && i < count; i++)
        if (strcmp(figures[i].name, name) == 0) return figures[i].value;
    return NAN;
}
