/* What people type who come from other tools, and what it is called here: verbs, options and settings.  A word that is in no table is
 * answered with the nearest name.  Called by main.c and options.c. */
#include "command.h"

#include <ctype.h>
#include <string.h>

static const struct {
    const char *word, *says;
} verb_words[] = {
    {"train", "pretrain (images alone) or finetune (with labels)"},
    {"fit", "pretrain (images alone) or finetune (with labels)"},
    {"segment", "predict, with a task made by finetune"},
    {"classify", "predict, with a task made by finetune"},
    {"infer", "predict"},
    {"inference", "predict"},
    {"test", "predict, then eval"},
    {"evaluate", "eval"},
    {"score", "eval"},
    {"validate", "eval (results) or check (files)"},
    {"verify", "check"},
    {"register", "match"},
    {"registration", "match"},
    {"preprocess", "pack"},
    {"prepare", "pack"},
    {"import", "pack (images) or convert (weights)"},
    {"onnx", "export RUN -o FILE.onnx"},
    {"benchmark", "bench"},
    {"devices", "info"},
    {"plot", "report (a run) or analyse curves (several)"},
    {"experiment", "study"},
    {"sweep", "study"},
    {"resume", "pretrain ... --resume or finetune ... --resume"},
};

/* `name`: an option, or a setting where no option of that name is taken; `value`: of the option, NULL = as the user had it. */
static const struct {
    const char *word, *name, *value;
} names[] = {
    {"epochs", "steps"},
    {"epoch", "steps"},
    {"iterations", "steps"},
    {"iters", "steps"},
    {"num-steps", "steps"},
    {"max-steps", "steps"},
    {"learning-rate", "lr"},
    {"batch-size", "batch"},
    {"batchsize", "batch"},
    {"bs", "batch"},
    {"num-workers", "threads"},
    {"workers", "threads"},
    {"jobs", "threads"},
    {"cores", "threads"},
    {"gpu", "device", "cuda"},
    {"gpus", "device", "cuda"},
    {"cuda", "device", "cuda"},
    {"cpu", "device", "cpu"},
    {"world-size", "ranks"},
    {"nproc", "ranks"},
    {"amp", "precision", "bf16"},
    {"fp16", "precision", "bf16"},
    {"bf16", "precision", "bf16"},
    {"half", "precision", "bf16"},
    {"mixed-precision", "precision", "bf16"},
    {"image-size", "work"},
    {"img-size", "work"},
    {"input-size", "work"},
    {"resolution", "work"},
    {"patch-size", "crop"},
    {"crop-size", "crop"},
    {"scheduler", "schedule"},
    {"lr-schedule", "schedule"},
    {"warmup-steps", "warmup"},
    {"wd", "weight_decay"},
    {"normalize", "normalise"},
    {"normalization", "normalise"},
    {"random-seed", "seed"},
    {"checkpoint", "resume"},
    {"ckpt", "resume"},
    {"restore", "resume"},
    {"weights", "init"},
    {"pretrained", "init"},
    {"config", "set"},
    {"output-dir", "output"},
    {"out-dir", "output"},
    {"outdir", "output"},
    {"save-dir", "output"},
    {"dataset", "data"},
    {"data-dir", "data"},
    {"tta", "mirror", "all"},
    {"silent", "quiet"},
};

/* batch_size, Batch-Size and batch-size */
static bool same_word(const char *typed, const char *word) {
    for (; *typed && *word; typed++, word++)
        if (tolower((unsigned char)(*typed == '_' ? '-' : *typed)) != *word) return false;
    return *typed == *word;
}

const char *hint_verb(const char *word) {
    for (size_t i = 0; i < sizeof verb_words / sizeof *verb_words; i++)
        if (same_word(word, verb_words[i].word)) return verb_words[i].says;
    return NULL;
}

static const struct option *option_named(const struct verb *verb, const char *name) {
    for (int i = OPTION_END + 1; i < OPTION_COUNT; i++)
        if (strcmp(options[i].name, name) == 0 && verb_takes(verb, options[i].id)) return &options[i];
    return NULL;
}

static bool is_setting(const char *name) {
    for (int i = 0; cover_config_key_at(i); i++)
        if (strcmp(cover_config_key_at(i)->name, name) == 0) return true;
    return false;
}

bool hint_name(char *text, size_t bytes, const struct verb *verb, const char *word, bool setting) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *name = names[i].name;
        if (!same_word(word, names[i].word)) continue;
        const struct option *option = option_named(verb, name);
        const bool known = is_setting(name) && verb_takes(verb, OPTION_SET);
        if (setting && known) snprintf(text, bytes, "%s", name);
        else if (option && *option_argument(verb, option))
            snprintf(text, bytes, "--%s %s", name, names[i].value ? names[i].value : option_argument(verb, option));
        else if (option) snprintf(text, bytes, "--%s", name);
        else if (known) snprintf(text, bytes, "--set %s=VALUE", name);
        else continue;
        return true;
    }
    return false;
}
