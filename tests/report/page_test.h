/* What the tests of pages share: is it well-formed, what does it hold; an allocator that refuses. */
#ifndef PAGE_TEST_H
#define PAGE_TEST_H

#include "../check_main.h"

#include <libcover/context.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Every tag that is opened is closed, in order. */
static inline void assert_well_formed(const char *html) {
    char stack[64][16];
    int depth = 0;
    for (const char *c = strchr(html, '<'); c; c = strchr(c, '<')) {
        char name[16];
        bool closes = c[1] == '/';
        int length = (int)strspn(c + 1 + closes, "abcdefghijklmnopqrstuvwxyz0123456789");
        const char *end = strchr(c, '>');
        ck_assert_ptr_nonnull(end);
        if (c[1] == '!') {
            c = end;
            continue;
        }
        ck_assert_msg(length > 0 && length < 16, "a stray < at %.40s", c);
        snprintf(name, sizeof name, "%.*s", length, c + 1 + closes);
        bool empty = end[-1] == '/' || strcmp(name, "meta") == 0 || strcmp(name, "img") == 0;
        if (closes) ck_assert_msg(depth > 0 && strcmp(stack[--depth], name) == 0, "</%s> closes <%s>", name, stack[depth]);
        else if (!empty) strcpy(stack[depth++], name);
        c = end;
    }
    ck_assert_int_eq(depth, 0);
}

static inline int count_of(const char *text, const char *word) {
    int count = 0;
    for (; (text = strstr(text, word)); text += strlen(word)) count++;
    return count;
}

/* An allocator that refuses the n-th request. */
struct refusal {
    int until, open;
};
static inline void *refusing_allocate(void *user, size_t bytes, size_t alignment) {
    struct refusal *refusal = user;
    void *memory = NULL;
    if (refusal->until-- == 0 || posix_memalign(&memory, alignment, bytes) != 0) return NULL;
    refusal->open++;
    return memory;
}
static inline void refusing_release(void *user, void *memory) {
    ((struct refusal *)user)->open -= memory != NULL;
    free(memory);
}

#endif
