/* The folder of a study: results/ID.json holds what is known of a run, written in one move, so a study that was stopped at
 * any point goes on from there.  Called by study.c and study_write.c. */
#include "study.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

static int complain(const char *path) { return refuse(&verb_study, COVER_ERROR_IO, "%s: %s", path, strerror(errno)); }

static int path_of(char path[PATH_BYTES], const struct study *study, const char *name, const char *ending) {
    if (snprintf(path, PATH_BYTES, "%s/%s%s", study->out, name, ending) < PATH_BYTES) return EXIT_OK;
    errno = ENAMETOOLONG;
    return complain(study->out);
}

static int sync_folder(const char *file) {
    char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%s", file);
    char *slash = strrchr(folder, '/');
    if (slash) *slash = 0;
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return -1;
    int status = fsync(descriptor);
    close(descriptor);
    return status;
}

int study_write_whole(const struct study *study, const char *name, const char *text) {
    char path[PATH_BYTES], temporary[PATH_BYTES];
    if (path_of(path, study, name, "") != EXIT_OK || path_of(temporary, study, name, ".part") != EXIT_OK) return EXIT_FAILED;
    unlink(temporary); /* a killed study's; the folder is locked, so nobody else writes it, and no planted link is followed */
    int descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (descriptor < 0) return complain(temporary);
    bool good = true;
    for (size_t left = strlen(text); left && good;) {
        ssize_t written = write(descriptor, text, left);
        good = written > 0 || (written < 0 && errno == EINTR);
        if (written > 0) text += written, left -= (size_t)written;
    }
    good = good && fsync(descriptor) == 0;
    good = close(descriptor) == 0 && good;
    if (good && rename(temporary, path) == 0 && sync_folder(path) == 0) return EXIT_OK;
    int status = complain(path);
    unlink(temporary);
    return status;
}

json_t *study_needs(const struct study *study, const struct study_run *run) {
    json_t *needs = need(json_object());
    for (int i = 0; i < run->needs; i++) {
        const struct study_run *other = &study->run[run->need[i]];
        json_t *finished = json_object_get(other->record, "finished");
        json_object_set(needs, other->id, finished ? finished : json_null());
    }
    return needs;
}

int study_write_record(const struct study *study, const struct study_run *run) {
    char name[PATH_BYTES];
    snprintf(name, sizeof name, "results/%s.json", run->id);
    char *text = need(json_dumps(run->record, JSON_INDENT(1) | JSON_REAL_PRECISION(17)));
    int status = study_write_whole(study, name, text);
    free(text);
    return status;
}

/* In the order of execution: whether a run is done depends on whether its needs are. */
static int read_record(const struct study *study, struct study_run *run) {
    char path[PATH_BYTES], name[PATH_BYTES];
    struct json_fault fault;
    snprintf(name, sizeof name, "results/%s", run->id);
    if (path_of(path, study, name, ".json") != EXIT_OK) return EXIT_FAILED;
    if (access(path, F_OK) != 0) return EXIT_OK;
    json_t *record = json_of_file(path, &fault), *needs = study_needs(study, run);
    if (!record) {
        json_decref(needs);
        return refuse(&verb_study, COVER_ERROR_FORMAT, "%s: %s; remove the file to run it again", path, fault.what);
    }
    run->record = record;
    const char *state = json_string_value(json_object_get(record, "state"));
    if (!json_equal(json_object_get(record, "command"), run->identity) || !json_equal(json_object_get(record, "needs"), needs))
        run->state = STUDY_WAITING;
    else run->state = state && strcmp(state, "done") == 0 ? STUDY_DONE : STUDY_BEGUN;
    for (int i = 0; i < run->needs; i++)
        if (study->run[run->need[i]].state != STUDY_DONE) run->state = STUDY_WAITING;
    json_decref(needs);
    return EXIT_OK;
}

static int create_folders(const char *path) {
    char part[PATH_BYTES];
    for (size_t i = 1;; i++) {
        if (path[i] != '/' && path[i]) continue;
        snprintf(part, sizeof part, "%.*s", (int)i, path);
        if (mkdir(part, 0777) != 0 && errno != EEXIST) return complain(part);
        if (!path[i]) return EXIT_OK;
    }
}

int study_store_open(struct study *study, int *lock) {
    char path[PATH_BYTES];
    *lock = -1;
    if (path_of(path, study, "results", "") != EXIT_OK) return EXIT_FAILED;
    if (!given(study->session, OPTION_DRY_RUN)) {
        if (create_folders(path) != EXIT_OK || path_of(path, study, "results/.lock", "") != EXIT_OK) return EXIT_FAILED;
        *lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (*lock < 0) return complain(path);
        if (flock(*lock, LOCK_EX | LOCK_NB) != 0)
            return refuse(&verb_study, COVER_ERROR_IO,
                          "%s: another study works in this folder; wait for it, or name another folder", study->out);
    }
    for (int i = 0; i < study->runs; i++)
        if (read_record(study, &study->run[study->order[i]]) != EXIT_OK) return EXIT_FAILED;
    return EXIT_OK;
}
