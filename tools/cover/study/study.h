/* `cover study`: a file of runs with variables becomes a list of command lines, each executed once as a child of its own,
 * and tables of what they returned.  Shared by study*.c alone. */
#ifndef COVER_STUDY_H
#define COVER_STUDY_H

#include "../command.h"
#include "../json_text.h"

extern const struct verb verb_study;

enum study_state {
    STUDY_WAITING, /* never begun, or begun with another command line */
    STUDY_BEGUN,   /* begun and not ended: interrupted, or failed */
    STUDY_DONE
};

struct study_run {
    char *id;
    int row;          /* of "runs" in the file */
    json_t *values;   /* variable -> name of its value */
    json_t *identity; /* the words of the command with {out} as it stands: what makes it the same run */
    json_t *words;    /* the words as they are executed */
    int *need;        /* runs that come before */
    int needs;
    json_t *record; /* results/ID.json; NULL = none */
    enum study_state state;
    bool visited;
};

struct study {
    struct session *session;
    const char *path, *out;
    json_t *file;    /* as read */
    json_t *defined; /* of --define */
    struct study_run *run;
    int runs;
    int *order; /* indices of runs, needs first */
};

/* study_file.c: read and check everything before anything runs.  EXIT_OK, or EXIT_USAGE with the reason said. */
int study_read(struct study *study);
void study_free(struct study *study);
/* "cover study: FILE: ..." and EXIT_USAGE */
int study_refuse(const struct study *study, const char *format, ...) PRINTF_LIKE(2, 3);
json_t *study_member(const struct study *study, const char *name); /* of the file; NULL = none */

/* study_text.c: {name} in texts.  `values` are the indices of the variables' values. */
struct study_scope {
    const struct study *study;
    const char *where;    /* for messages: runs[2] */
    const char *id, *out; /* NULL = {id} or {out} may not stand here; out = "{out}" leaves it as it is */
    const json_t *values; /* variable -> its value in the file */
};
/* A text with its names replaced; NULL with the reason said. */
char *study_expand(const struct study_scope *scope, const char *text);
/* Words of a command; a word that is one {variable.member} and means a list becomes several.  NULL = said why. */
json_t *study_words(const struct study_scope *scope, const json_t *words);
/* The name of a variable's value: itself, or the member "name" of an object; NULL when it has none.  To be freed. */
char *study_value_name(const json_t *value);

/* study_store.c: results/ID.json */
int study_store_open(struct study *study, int *lock); /* folders, the lock, the records of earlier */
int study_write_whole(const struct study *study, const char *name, const char *text); /* file of the folder, in one move */
int study_move(const char *from, const char *to);
int study_write_record(const struct study *study, const struct study_run *run);
/* What a record must say of its needs to be the same run: {id: when it was finished}. */
json_t *study_needs(const struct study *study, const struct study_run *run);

/* study_child.c: executes the words with --json; *output is what it printed (to be freed).  Returns its exit status, or
 * 128 + the signal that ended it.  A signal to the study goes on to the child. */
void study_catch_signals(void);
bool study_interrupted(void);
int study_execute(const char *const words[], char **output);

/* study_table.c: the cells of a table */
struct study_cell {
    int count, expected;
    double *value;                 /* count of them, in the order of the runs */
    double mean, deviation, reach; /* reach: half of the 95 % confidence interval; NaN below two values */
};
struct study_table {
    const char *title, *about;
    int digits, figures;      /* figures: columns for each combination of values */
    int rows, columns, plain; /* columns from `plain` on are differences */
    char **row, **column;     /* their names */
    struct study_cell *cell;
};
int study_table_check(const struct study *study); /* names, before anything runs */
void study_table_make(struct study_table *table, const struct study *study, const json_t *description);
void study_table_free(struct study_table *table);

/* study_write.c: table.csv, table.md, table.html */
int study_write_tables(const struct study *study);

#endif
