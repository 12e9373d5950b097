/* What a model's terms come to, and its end (model.h).  Called by the engine and the trainers. */
#include "model.h"

#include <string.h>

double model_figures(const struct model *model, const double *sums, int64_t count, cover_figure *figures) {
    double loss = 0;
    for (int i = 0; i < model->terms; i++) {
        const struct loss_term *term = &model->term[i];
        const double parts = count > 0 && !term->whole ? (double)count : 1, scale = term->scale != 0 ? term->scale : 1;
        figures[i] = (cover_figure){term->name, term->offset + scale * (sums[i] / parts), term->over};
        if (term->weight != 0) loss += term->weight * figures[i].value;
    }
    return loss;
}

bool model_has_gradient(const struct model *model, int parameter) {
    return graph_has_gradient(&model->graph, parameter) || graph_has_gradient(&model->batch, parameter);
}

int model_rate(const struct model *model, int parameter) {
    for (int i = 0; i < model->rates; i++)
        if (strncmp(model->parameters.rows[parameter].name, model->rate[i].prefix, strlen(model->rate[i].prefix)) == 0)
            return i + 1;
    return 0;
}

bool model_comes_back(const struct model *model) {
    for (int i = 0; i < model->links; i++)
        if (model->link[i].back != ABSENT) return true;
    return false;
}

int model_inputs(const struct model *model) {
    int inputs = model->graph.inputs;
    for (int i = 0; i < model->links; i++)
        if (model->link[i].back != ABSENT && model->link[i].back < inputs) inputs = model->link[i].back;
    return inputs;
}

const struct tensor *link_rows(const struct model *model, const struct link *link) {
    return graph_tensor(&model->graph, STORAGE_RESULT, link->result);
}
const struct tensor *link_input(const struct model *model, const struct link *link) {
    return graph_tensor(&model->batch, STORAGE_INPUT, link->input);
}

static bool same_rows(const struct tensor *a, const struct tensor *b) {
    return a && b && a->element == ELEMENT_F32 && b->element == ELEMENT_F32 && a->channels == b->channels &&
           tensor_elements(a) == tensor_elements(b);
}

_Static_assert((int)MODEL_LINKS <= (int)GRAPH_INPUTS, "a link is an input of the batch graph");

cover_status model_check(const struct model *model, int64_t batch) {
    for (int i = 0; i < model->links; i++) {
        const struct link *link = &model->link[i];
        const struct tensor *rows = link_rows(model, link), *input = link_input(model, link);
        if (!rows || !input || rows->element != ELEMENT_F32 || input->channels != rows->channels ||
            (input->images != 1 && input->images != rows->images) || tensor_elements(input) != batch * tensor_elements(rows))
            return fail(COVER_ERROR_INTERNAL, "link %d of the batch graph does not fit a batch of %lld", i, (long long)batch);
        if ((link->gradient == ABSENT) != (link->back == ABSENT) ||
            (link->gradient != ABSENT && (!same_rows(graph_tensor(&model->batch, STORAGE_RESULT, link->gradient), input) ||
                                          !same_rows(graph_tensor(&model->graph, STORAGE_INPUT, link->back), rows))))
            return fail(COVER_ERROR_INTERNAL, "the gradient of link %d of the batch graph does not fit it", i);
    }
    return COVER_OK;
}

void model_free(struct model *model) {
    graph_free(&model->graph);
    graph_free(&model->batch);
    parameters_free(&model->parameters);
}
