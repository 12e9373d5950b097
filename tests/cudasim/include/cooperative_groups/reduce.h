/* The emulator's cooperative_groups/reduce.h: reduce() stands in cooperative_groups.h. */
#include "../cooperative_groups.h"
