/* The tables of a study: which runs meet in which cell, their mean and its 95 % confidence interval by Student's t.
 * Called by study_file.c (names) and study_write.c. */
#include "study.h"

#include <libcover/metrics.h>

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- statistics */

static void summarise(struct study_cell *cell) {
    cover_interval interval = COVER_INTERVAL_INIT;
    double squares = 0;
    cell->mean = cell->deviation = cell->reach = NAN;
    if (cell->count && cover_interval_student(&interval, cell->value, cell->count, 0.95) == COVER_OK) cell->mean = interval.mean;
    for (int i = 0; i < cell->count; i++) squares += (cell->value[i] - cell->mean) * (cell->value[i] - cell->mean);
    if (cell->count > 1) cell->deviation = sqrt(squares / (cell->count - 1)), cell->reach = interval.high - interval.mean;
}

/* ---- which run stands where */

static bool listed(const json_t *list, const char *name) {
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), name) == 0) return true;
    return false;
}

static bool belongs(const struct study_run *run, const json_t *table) {
    static const char *const lists[] = {"rows", "columns", "over"};
    const char *pattern = json_string_value(json_object_get(table, "runs")), *variable;
    json_t *wanted;
    if (pattern && fnmatch(pattern, run->id, 0) != 0) return false;
    json_object_foreach(json_object_get(table, "where"), variable, wanted) {
        char *name = study_value_name(wanted);
        const char *value = json_string_value(json_object_get(run->values, variable));
        bool same = value && strcmp(value, name) == 0;
        free(name);
        if (!same) return false;
    }
    for (int list = 0; list < 3; list++)
        for (size_t i = 0; i < json_array_size(json_object_get(table, lists[list])); i++)
            if (!json_object_get(run->values, json_string_value(json_array_get(json_object_get(table, lists[list]), i))))
                return false;
    return true;
}

/* "5, full": the values of some variables */
static char *join_values(const struct study_run *run, const json_t *variables) {
    char *text = need(strdup(""));
    for (size_t i = 0; i < json_array_size(variables); i++) {
        const char *value = json_string_value(json_object_get(run->values, json_string_value(json_array_get(variables, i))));
        size_t bytes = strlen(text) + strlen(value) + 3;
        text = need(realloc(text, bytes));
        if (i) strcat(text, ", ");
        strcat(text, value);
    }
    return text;
}

/* The place of a name in a list, which grows. */
static int place(char ***list, int *count, const char *name) {
    for (int i = 0; i < *count; i++)
        if (strcmp((*list)[i], name) == 0) return i;
    *list = need(realloc(*list, (size_t)(*count + 1) * sizeof **list));
    (*list)[*count] = need(strdup(name));
    return (*count)++;
}

/* ---- before anything runs */

static int check_names(const struct study *study, size_t index, const json_t *table) {
    static const char *const lists[] = {"rows", "columns", "over"};
    const json_t *variables = study_member(study, "variables"), *value = json_object_get(table, "value");
    const char *key;
    json_t *member;
    for (int list = 0; list < 3; list++)
        for (size_t i = 0; i < json_array_size(json_object_get(table, lists[list])); i++) {
            const char *name = json_string_value(json_array_get(json_object_get(table, lists[list]), i));
            if (!name || !json_object_get(variables, name))
                return study_refuse(study, "tables[%zu]: %s: no variable '%s'", index, lists[list], name ? name : "");
        }
    json_object_foreach(json_object_get(table, "where"), key, member) {
        char *name = study_value_name(member);
        free(name);
        if (!json_object_get(variables, key) || !name)
            return study_refuse(study, "tables[%zu]: where: no variable '%s', or no name of a value", index, key);
    }
    json_object_foreach(json_object_get(table, "against"), key, member) {
        char *name = study_value_name(member);
        free(name);
        if (!name || !listed(json_object_get(table, "columns"), key))
            return study_refuse(study, "tables[%zu]: against: '%s' is none of the columns, or has no name of a value", index, key);
    }
    if (!json_is_string(value) && !json_object_size(value))
        return study_refuse(study, "tables[%zu]: 'value' is neither a path such as best.mean_dice nor an object {NAME: path}",
                            index);
    json_object_foreach((json_t *)value, key, member) if (!json_is_string(member)) return study_refuse(
        study, "tables[%zu]: value '%s' is not a path", index, key);
    return EXIT_OK;
}

/* Each run stands in a cell for a reason that the table names, and none stands there twice. */
static int check_runs(const struct study *study, size_t index, const json_t *table) {
    static const char *const lists[] = {"rows", "columns", "over"};
    json_t *seen = need(json_object());
    int status = EXIT_OK, found = 0;
    for (int i = 0; i < study->runs && status == EXIT_OK; i++) {
        const struct study_run *run = &study->run[i];
        if (!belongs(run, table)) continue;
        const char *variable;
        json_t *value;
        char *part[3], key[4096];
        found++;
        json_object_foreach(run->values, variable, value) {
            bool named = json_object_get(json_object_get(table, "where"), variable) != NULL;
            for (int list = 0; list < 3; list++) named = named || listed(json_object_get(table, lists[list]), variable);
            if (!named)
                status = study_refuse(study, "tables[%zu]: run %s differs in '%s', too: add it to rows, columns, over or where",
                                      index, run->id, variable);
        }
        for (int list = 0; list < 3; list++) part[list] = join_values(run, json_object_get(table, lists[list]));
        snprintf(key, sizeof key, "%s|%s|%s", part[0], part[1], part[2]);
        const char *other = json_string_value(json_object_get(seen, key));
        if (other && status == EXIT_OK)
            status = study_refuse(study, "tables[%zu]: runs %s and %s stand in one place: choose by \"runs\" or \"where\"", index,
                                  other, run->id);
        json_object_set_new(seen, key, json_string(run->id));
        for (int list = 0; list < 3; list++) free(part[list]);
    }
    if (status == EXIT_OK && !found) status = study_refuse(study, "tables[%zu]: no run has all of its variables", index);
    json_decref(seen);
    return status;
}

int study_table_check(const struct study *study) {
    const json_t *tables = study_member(study, "tables");
    int status = EXIT_OK;
    for (size_t i = 0; i < json_array_size(tables) && status == EXIT_OK; i++) {
        status = check_names(study, i, json_array_get(tables, i));
        if (status == EXIT_OK) status = check_runs(study, i, json_array_get(tables, i));
    }
    return status;
}

/* ---- cells */

/* A number at a dotted path of a result; NaN when there is none. */
static double figure(const json_t *result, const char *path) {
    char key[256];
    while (result && *path) {
        size_t length = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        result = json_is_array(result) ? json_array_get(result, (size_t)strtoul(key, NULL, 10)) : json_object_get(result, key);
        path += length + (path[length] == '.');
    }
    return json_is_number(result) ? json_number_value(result) : NAN;
}

/* A run's place in the table; with another run, the difference from it stands there. */
struct entry {
    int row, column;
    const struct study_run *run, *other; /* other: NULL = the run's own value */
};
struct entries {
    struct entry *entry;
    int count, columns;
    char **column;
};

static void add_entry(struct entries *entries, struct study_table *table, const json_t *description, const struct study_run *run,
                      const struct study_run *other) {
    char *row = join_values(run, json_object_get(description, "rows"));
    char *column = join_values(run, json_object_get(description, "columns"));
    if (other) {
        char *from = join_values(other, json_object_get(description, "columns"));
        size_t bytes = strlen(column) + strlen(from) + 6;
        column = need(realloc(column, bytes));
        strcat(strcat(column, " \xe2\x88\x92 "), from);
        free(from);
    }
    entries->entry = need(realloc(entries->entry, (size_t)(entries->count + 1) * sizeof *entries->entry));
    entries->entry[entries->count++] =
        (struct entry){place(&table->row, &table->rows, row), place(&entries->column, &entries->columns, column), run, other};
    free(row);
    free(column);
}

/* The run that "against" sets this one beside: the same but for the values that it names.  NULL for one of those itself. */
static const struct study_run *partner(const struct study *study, const json_t *description, const struct study_run *run) {
    const json_t *against = json_object_get(description, "against");
    for (int i = 0; i < study->runs; i++) {
        const struct study_run *other = &study->run[i];
        const char *variable;
        json_t *value;
        bool same = against && other != run && belongs(other, description);
        json_object_foreach(other->values, variable, value) {
            char *wanted = study_value_name(json_object_get(against, variable));
            const char *expected = wanted ? wanted : json_string_value(json_object_get(run->values, variable));
            same = same && expected && strcmp(json_string_value(value), expected) == 0;
            free(wanted);
        }
        if (same) return other;
    }
    return NULL;
}

static double value_of(const struct study_run *run, const char *path) {
    return run->state == STUDY_DONE ? figure(json_object_get(run->record, "result"), path) : NAN;
}

static void add_value(struct study_cell *cell, const struct entry *entry, const char *path) {
    double value = value_of(entry->run, path) - (entry->other ? value_of(entry->other, path) : 0);
    cell->expected++;
    if (!isfinite(value)) return;
    cell->value = need(realloc(cell->value, (size_t)(cell->count + 1) * sizeof *cell->value));
    cell->value[cell->count++] = value;
}

/* "full, scratch, Dice": the column's values and the figure's name, which a single figure has only where it stands alone. */
static char *column_name(const char *column, const char *figure) {
    size_t bytes = strlen(column) + strlen(figure) + 3;
    char *name = need(malloc(bytes));
    snprintf(name, bytes, "%s%s%s", column, *column && *figure ? ", " : "", figure);
    return name;
}

static void fill(struct study_table *table, const struct entries *entries, int column, const char *name, const char *path) {
    table->column[column] = column_name(entries->column[column / table->figures], name);
    for (int i = 0; i < entries->count; i++)
        if (entries->entry[i].column == column / table->figures)
            add_value(&table->cell[entries->entry[i].row * table->columns + column], &entries->entry[i], path);
}

void study_table_make(struct study_table *table, const struct study *study, const json_t *description) {
    const json_t *value = json_object_get(description, "value"), *digits = json_object_get(description, "digits");
    struct entries entries = {0};
    *table = (struct study_table){.title = json_string_value(json_object_get(description, "title")),
                                  .about = json_string_value(json_object_get(description, "about")),
                                  .digits = digits ? (int)json_integer_value(digits) : 3,
                                  .figures = json_is_object(value) ? (int)json_object_size(value) : 1};
    for (int i = 0; i < study->runs; i++)
        if (belongs(&study->run[i], description)) add_entry(&entries, table, description, &study->run[i], NULL);
    table->plain = entries.columns * table->figures;
    for (int i = 0; i < study->runs; i++) {
        const struct study_run *other = belongs(&study->run[i], description) ? partner(study, description, &study->run[i]) : NULL;
        if (other) add_entry(&entries, table, description, &study->run[i], other);
    }
    table->columns = entries.columns * table->figures;
    table->cell = need(calloc((size_t)(table->rows * table->columns) + 1, sizeof *table->cell));
    table->column = need(calloc((size_t)table->columns + 1, sizeof *table->column));
    for (int c = 0; c < table->columns; c += table->figures) {
        int column = c;
        const char *name;
        json_t *path;
        if (json_is_string(value))
            fill(table, &entries, c, *entries.column[c] ? "" : json_string_value(value), json_string_value(value));
        json_object_foreach((json_t *)value, name, path) fill(table, &entries, column++, name, json_string_value(path));
    }
    for (int i = 0; i < table->rows * table->columns; i++) summarise(&table->cell[i]);
    for (int c = 0; c < entries.columns; c++) free(entries.column[c]);
    free(entries.column);
    free(entries.entry);
}

void study_table_free(struct study_table *table) {
    for (int i = 0; i < table->rows * table->columns; i++) free(table->cell[i].value);
    for (int i = 0; i < table->rows; i++) free(table->row[i]);
    for (int i = 0; i < table->columns; i++) free(table->column[i]);
    free(table->row);
    free(table->column);
    free(table->cell);
}
