/* The table of verbs, in the order of `cover -h`.  A new verb is a file with its row, and a line here. */
#include "command.h"

#include <string.h>

extern const struct verb verb_info, verb_pack, verb_check, verb_plan, verb_pretrain, verb_finetune, verb_predict, verb_eval,
    verb_dicom, verb_match, verb_export, verb_convert, verb_report, verb_bench, verb_analyse, verb_study, verb_objectives;

const struct verb *const verbs[] = {
    &verb_info,     &verb_pack,    &verb_check, &verb_plan,    &verb_objectives, &verb_pretrain,
    &verb_finetune, &verb_predict, &verb_eval,  &verb_dicom,   &verb_match,      &verb_export,
    &verb_convert,  &verb_report,  &verb_bench, &verb_analyse, &verb_study,      NULL,
};

const struct verb *verb_find(const char *name) {
    for (int i = 0; verbs[i]; i++)
        if (strcmp(verbs[i]->name, name) == 0) return verbs[i];
    return NULL;
}
