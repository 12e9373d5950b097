/* What a model's terms come to, and its end (model.h).  Called by the engine and the trainers. */
#include "model.h"

double model_figures(const struct model *model, const double *sums, int64_t count, cover_figure *figures) {
    double loss = 0;
    for (int i = 0; i < model->terms; i++) {
        const struct loss_term *term = &model->term[i];
        figures[i] = (cover_figure){term->name, term->offset + sums[i] / (count > 0 ? (double)count : 1), term->over};
        if (term->weight != 0) loss += term->weight * figures[i].value;
    }
    return loss;
}

void model_free(struct model *model) {
    graph_free(&model->graph);
    parameters_free(&model->parameters);
}
