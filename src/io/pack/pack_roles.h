/* The meaning of folders' names inside of pack. */
#ifndef COVER_PACK_ROLES_H
#define COVER_PACK_ROLES_H

#include "pack.h"

enum pack_role { PACK_NO_ROLE, PACK_IMAGES, PACK_LABELS };
enum { PACK_WORD = 32 };

/* Split of a word such as "train", "valid", "Test"; -1 for another one. */
int pack_split_of(const char *word);
/* The first folder of a relative path into `word` ("" where there is none, or it is too long for any word that is known), and what
 * follows it. */
const char *pack_first_folder(const char *path, char word[PACK_WORD]);
/* What the first folder of a path means. */
int pack_path_split(const char *path);
enum pack_role pack_path_role(const char *path);
/* Does any folder of the path mean this? */
bool pack_path_has_role(const char *path, enum pack_role role);

#endif
