/* The tables of a study as CSV, Markdown and one self-contained HTML page, which also lists the runs.  Called by study.c
 * after each run: each file is replaced in one move. */
#include "study.h"

#include "io/bytes/csv_put.h"
#include "report/style.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char table_style[] =
    "table{border-collapse:collapse;margin-top:1rem;font-size:.95rem}"
    "th,td{padding:.35rem 1.2rem .35rem 0;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}"
    "th{font-weight:600}thead th{color:var(--soft);font-size:.82rem}"
    "td small{color:var(--soft)}.runs td{font-size:.8rem}.runs code{overflow-wrap:anywhere}";

/* ---- words */

static void put_html(FILE *page, const char *text) {
    for (; *text; text++) {
        if (strchr("<>&\"'", *text)) fprintf(page, "&#%d;", *text);
        else fputc(*text, page);
    }
}

/* Titles and names are words: neither tables, links and emphasis, nor HTML, which Markdown lets through. */
static void put_markdown(FILE *page, const char *text) {
    for (; *text; text++) {
        if (strchr("<>&", *text)) fprintf(page, "&#%d;", *text);
        else {
            if (strchr("\\`*[]|", *text)) fputc('\\', page);
            fputc((unsigned char)*text < 0x20 ? ' ' : *text, page);
        }
    }
}

static void put_bytes(void *page, const char *bytes, size_t count) { fwrite(bytes, 1, count, page); }
static void put_csv(FILE *page, const char *text) { csv_put(text, put_bytes, page); }

/* The variables of the rows: the head of the first column. */
static void put_row_head(FILE *page, const json_t *description, void (*put)(FILE *page, const char *text)) {
    const json_t *rows = json_object_get(description, "rows");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        if (i) fputs(", ", page);
        put(page, json_string_value(json_array_get(rows, i)));
    }
}

/* 0.943 ± 0.012 (3), or (2 of 3) while values are missing */
static void put_cell(FILE *page, const struct study_table *table, int row, int column, const char *open, const char *close) {
    const struct study_cell *cell = &table->cell[row * table->columns + column];
    if (!cell->count) {
        fputs("\xe2\x80\x93", page);
        return;
    }
    fprintf(page, column < table->plain ? "%.*f" : "%+.*f", table->digits, cell->mean);
    if (isfinite(cell->reach)) fprintf(page, " \xc2\xb1 %.*f", table->digits, cell->reach);
    if (cell->count < cell->expected) fprintf(page, " %s(%d of %d)%s", open, cell->count, cell->expected, close);
    else if (cell->expected > 1) fprintf(page, " %s(%d)%s", open, cell->count, close);
}

/* ---- the three pages */

static void write_csv(FILE *page, const struct study *study) {
    const json_t *tables = study_member(study, "tables");
    fputs("table,row,column,n,mean,sd,ci_low,ci_high,values\n", page);
    for (size_t t = 0; t < json_array_size(tables); t++) {
        struct study_table table;
        study_table_make(&table, study, json_array_get(tables, t));
        for (int i = 0; i < table.rows * table.columns; i++) {
            const struct study_cell *cell = &table.cell[i];
            const char *names[] = {table.title, table.row[i / table.columns], table.column[i % table.columns]};
            for (int k = 0; k < 3; k++) {
                put_csv(page, names[k]);
                fputc(',', page);
            }
            fprintf(page, "%d,", cell->count);
            if (cell->count) fprintf(page, "%.9g", cell->mean);
            if (cell->count > 1)
                fprintf(page, ",%.9g,%.9g,%.9g,", cell->deviation, cell->mean - cell->reach, cell->mean + cell->reach);
            else fputs(",,,,", page);
            for (int k = 0; k < cell->count; k++) fprintf(page, k ? " %.9g" : "%.9g", cell->value[k]);
            fputc('\n', page);
        }
        study_table_free(&table);
    }
}

static void write_markdown(FILE *page, const struct study *study) {
    const json_t *tables = study_member(study, "tables");
    for (size_t t = 0; t < json_array_size(tables); t++) {
        struct study_table table;
        study_table_make(&table, study, json_array_get(tables, t));
        fprintf(page, "%s### ", t ? "\n" : "");
        put_markdown(page, table.title);
        fputs("\n\n", page);
        if (table.about) {
            put_markdown(page, table.about);
            fputs("\n\n", page);
        }
        fputs("| ", page);
        put_row_head(page, json_array_get(tables, t), put_markdown);
        for (int c = 0; c < table.columns; c++) {
            fputs(" | ", page);
            put_markdown(page, table.column[c]);
        }
        fputs(" |\n|", page);
        for (int c = 0; c <= table.columns; c++) fputs("---|", page);
        for (int r = 0; r < table.rows; r++) {
            fputs("\n| ", page);
            put_markdown(page, table.row[r]);
            for (int c = 0; c < table.columns; c++) {
                fputs(" | ", page);
                put_cell(page, &table, r, c, "", "");
            }
            fputs(" |", page);
        }
        fputc('\n', page);
        study_table_free(&table);
    }
    fputs("\nMean \xc2\xb1 half of the 95 % confidence interval (Student's t), number of runs in brackets; differences are taken "
          "run by run.\n",
          page);
}

static void put_table(FILE *page, const struct study_table *table, const json_t *description) {
    fputs("<h2>", page);
    put_html(page, table->title);
    fputs("</h2>", page);
    if (table->about) {
        fputs("<p class=\"soft\">", page);
        put_html(page, table->about);
        fputs("</p>", page);
    }
    fputs("<table><thead><tr><th>", page);
    put_row_head(page, description, put_html);
    for (int c = 0; c < table->columns; c++) {
        fputs("</th><th>", page);
        put_html(page, table->column[c]);
    }
    fputs("</th></tr></thead><tbody>", page);
    for (int r = 0; r < table->rows; r++) {
        fputs("<tr><th>", page);
        put_html(page, table->row[r]);
        fputs("</th>", page);
        for (int c = 0; c < table->columns; c++) {
            fputs("<td>", page);
            put_cell(page, table, r, c, "<small>", "</small>");
            fputs("</td>", page);
        }
        fputs("</tr>", page);
    }
    fputs("</tbody></table>", page);
}

static void put_runs(FILE *page, const struct study *study) {
    fputs("<h2>Runs</h2><table class=\"runs\"><thead><tr><th>run</th><th>state</th><th>time</th><th>command</th></tr></thead>"
          "<tbody>",
          page);
    for (int i = 0; i < study->runs; i++) {
        const struct study_run *run = &study->run[study->order[i]];
        const char *state = json_string_value(json_object_get(run->record, "state"));
        char seconds[32] = "";
        if (run->state == STUDY_DONE)
            print_seconds(seconds, sizeof seconds, json_number_value(json_object_get(run->record, "seconds")));
        fprintf(page, "<tr><td>%s</td><td>%s</td><td>%s</td><td><code>cover", run->id,
                run->state == STUDY_WAITING || !state ? "waiting" : state, seconds);
        for (size_t k = 0; k < json_array_size(run->identity); k++) {
            fputc(' ', page);
            put_html(page, json_string_value(json_array_get(run->identity, k)));
        }
        fputs("</code></td></tr>", page);
    }
    fputs("</tbody></table>", page);
}

static void write_html(FILE *page, const struct study *study) {
    const json_t *tables = study_member(study, "tables");
    const char *about = json_string_value(study_member(study, "about"));
    int done = 0;
    for (int i = 0; i < study->runs; i++) done += study->run[i].state == STUDY_DONE;
    fputs("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,"
          "initial-scale=1\"><title>",
          page);
    put_html(page, json_string_value(study_member(study, "name")));
    fprintf(page, "</title><style>%s%s</style></head><body><header><p class=\"kicker\">libcover study</p><h1>", report_style,
            table_style);
    put_html(page, json_string_value(study_member(study, "name")));
    fputs("</h1><p>", page);
    put_html(page, about ? about : "");
    fprintf(page, "</p><p>%d of %d runs done.</p></header><main>", done, study->runs);
    for (size_t t = 0; t < json_array_size(tables); t++) {
        struct study_table table;
        study_table_make(&table, study, json_array_get(tables, t));
        put_table(page, &table, json_array_get(tables, t));
        study_table_free(&table);
    }
    put_runs(page, study);
    fprintf(page,
            "</main><footer><p>Mean &plusmn; half of the 95&thinsp;%% confidence interval (Student&rsquo;s t), number of runs in "
            "brackets; differences are taken run by run. libcover %s.</p></footer></body></html>\n",
            cover_version());
}

int study_write_tables(const struct study *study) {
    static const struct {
        const char *name;
        void (*write)(FILE *page, const struct study *study);
    } pages[] = {{"table.csv", write_csv}, {"table.md", write_markdown}, {"table.html", write_html}};
    int status = EXIT_OK;
    for (size_t i = 0; i < sizeof pages / sizeof *pages && status == EXIT_OK; i++) {
        char *text = NULL;
        size_t bytes;
        FILE *page = need(open_memstream(&text, &bytes));
        pages[i].write(page, study);
        if (fclose(page) != 0) need(NULL);
        status = study_write_whole(study, pages[i].name, text);
        free(text);
    }
    return status;
}
