/* The end of a model (model.h).  Called by the engine. */
#include "model.h"

void model_free(struct model *model) {
    graph_free(&model->graph);
    parameters_free(&model->parameters);
}
