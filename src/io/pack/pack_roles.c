/* What the names of folders mean: splits, images, label maps.  These are the words that data sets of this field use.
 * Called by pack_folder.c and pack_split.c. */
#include "pack_roles.h"

#include "core/base/number.h"

#include <string.h>

static const struct {
    const char *word;
    cover_split split;
} splits[] = {{"train", COVER_SPLIT_TRAIN}, {"training", COVER_SPLIT_TRAIN}, {"val", COVER_SPLIT_VAL},
              {"valid", COVER_SPLIT_VAL},   {"validation", COVER_SPLIT_VAL}, {"dev", COVER_SPLIT_VAL},
              {"test", COVER_SPLIT_TEST},   {"testing", COVER_SPLIT_TEST}};

static const struct {
    const char *word;
    enum pack_role role;
} roles[] = {
    {"images", PACK_IMAGES},      {"image", PACK_IMAGES},      {"imgs", PACK_IMAGES},          {"img", PACK_IMAGES},
    {"labels", PACK_LABELS},      {"label", PACK_LABELS},      {"masks", PACK_LABELS},         {"mask", PACK_LABELS},
    {"annotations", PACK_LABELS}, {"annotation", PACK_LABELS}, {"segmentations", PACK_LABELS}, {"segmentation", PACK_LABELS},
    {"seg", PACK_LABELS},         {"gt", PACK_LABELS},         {"groundtruth", PACK_LABELS},   {"ground_truth", PACK_LABELS}};

int pack_split_of(const char *word) {
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++)
        if (same_word(word, splits[i].word)) return splits[i].split;
    return -1;
}

const char *pack_first_folder(const char *path, char word[PACK_WORD]) {
    const char *slash = strchr(path, '/');
    const size_t length = slash ? (size_t)(slash - path) : 0;
    if (!slash || length >= PACK_WORD) word[0] = 0;
    else memcpy(word, path, length), word[length] = 0;
    return slash ? slash + 1 : path;
}

int pack_path_split(const char *path) {
    char word[PACK_WORD];
    pack_first_folder(path, word);
    return pack_split_of(word);
}

enum pack_role pack_path_role(const char *path) {
    char word[PACK_WORD];
    pack_first_folder(path, word);
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (same_word(word, roles[i].word)) return roles[i].role;
    return PACK_NO_ROLE;
}

bool pack_path_has_role(const char *path, enum pack_role role) {
    for (; strchr(path, '/'); path = strchr(path, '/') + 1)
        if (pack_path_role(path) == role) return true;
    return false;
}
