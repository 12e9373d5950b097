/* Python pickles, protocols 2 to 5, as plain data (PEP 307, 3154, 574; CPython's pickletools names the opcodes).
 * Nothing is executed: what a pickle wants called becomes an object that names the callable and its arguments, and only
 * callables of the caller's table are let in.  Called by pth.c. */
#ifndef COVER_PICKLE_H
#define COVER_PICKLE_H

#include "io/bytes/arena.h"

enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INTEGER,
    PICKLE_REAL,
    PICKLE_TEXT,       /* str; also bytes and integers over 64 bits, as they stand in the file */
    PICKLE_TUPLE,      /* also list, set */
    PICKLE_MAPPING,    /* items: key, value, key, value, ... in the order of insertion */
    PICKLE_GLOBAL,     /* a callable or constant of the table */
    PICKLE_OBJECT,     /* global called with argument */
    PICKLE_PERSISTENT, /* a reference out of the pickle: argument */
    PICKLE_MARK
};

/* What a pickle may name. */
struct pickle_global {
    const char *module, *name;
    bool mapping;     /* calling it gives an empty mapping; calling anything else gives an object */
    int role, detail; /* the caller's own */
};

struct pickle_value {
    enum pickle_kind kind;
    bool visited; /* for the caller: values may be shared, even contain themselves */
    union {
        int64_t integer; /* also BOOL */
        double real;
        struct {
            const char *data; /* NUL behind the end */
            size_t length;
        } text;
        struct {
            struct pickle_value **items;
            size_t count, capacity;
        } sequence; /* TUPLE, MAPPING */
        struct {
            const struct pickle_global *global; /* NULL for PERSISTENT */
            struct pickle_value *argument;      /* OBJECT: the tuple of arguments */
            struct pickle_value *next;          /* PERSISTENT: the one before it */
        } object;                               /* GLOBAL, OBJECT, PERSISTENT */
    };
};

struct pickle {
    struct pickle_value *value;
    struct pickle_value *persistent; /* all references out of the pickle, the last one first */
    size_t used;                     /* bytes */
};

/* Read one pickle from data.  `name` is the file, for messages; `globals` ends with a NULL module.
 * COVER_ERROR_FORMAT for damage; COVER_ERROR_UNSUPPORTED names a global that is not in the table. */
cover_status pickle_read(struct pickle *pickle, struct arena *arena, const char *name, const struct pickle_global *globals,
                         const uint8_t *data, size_t bytes);

/* Item `index` of a tuple, NULL when it is no tuple or shorter. */
struct pickle_value *pickle_item(const struct pickle_value *tuple, size_t index);
/* Is it this text? */
bool pickle_is_text(const struct pickle_value *value, const char *text);
/* Value of a text key of a mapping, NULL when there is none. */
struct pickle_value *pickle_get(const struct pickle_value *mapping, const char *key);

#endif
