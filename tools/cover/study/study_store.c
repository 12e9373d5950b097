/* The folder of a study: results/ID.json holds what is known of a run, written in one move, so a study that was stopped at
 * any point goes on from there.  Called by study.c and study_write.c. */
#include "study.h"

#include "core/base/descriptor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

static int complain(const char *path) { return refuse(&verb_study, COVER_ERROR_IO, "%s: %s", path, strerror(errno)); }

static int path_of(char path[PATH_BYTES], const struct study *study, const char *name, const char *ending) {
    if (snprintf(path, PATH_BYTES, "%s/%s%s", study->out, name, ending) < PATH_BYTES) return EXIT_OK;
    errno = ENAMETOOLONG;
    return complain(study->out);
}

/* What a file system does not know how to do is no failure of the disk. */
static bool synced(int descriptor) {
    return descriptor_sync(descriptor) || errno == EINVAL || errno == ENOTSUP || errno == ENOSYS || errno == EROFS;
}

/* The file is in place by then: a folder that cannot be synced is a disk's failure, or none. */
static bool folder_synced(const char *file) {
    char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%s", file);
    char *slash = strrchr(folder, '/');
    if (slash) *slash = 0;
    const int descriptor = descriptor_open(folder, O_RDONLY | O_DIRECTORY);
    if (descriptor < 0) return errno != EIO;
    const bool good = synced(descriptor) || errno != EIO;
    descriptor_close(descriptor);
    return good;
}

int study_move(const char *from, const char *to) { return path_rename(from, to) ? EXIT_OK : complain(from); }

int study_write_whole(const struct study *study, const char *name, const char *text) {
    char path[PATH_BYTES], temporary[PATH_BYTES];
    const size_t bytes = strlen(text);
    if (path_of(path, study, name, "") != EXIT_OK || path_of(temporary, study, "results/.part", "") != EXIT_OK) return EXIT_FAILED;
    path_remove(temporary); /* a killed study's; the folder is locked, so nobody else writes it, and no planted link is followed */
    const int descriptor = descriptor_open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
    if (descriptor < 0) return complain(temporary);
    bool good = descriptor_write(descriptor, text, bytes) == bytes && synced(descriptor);
    good = descriptor_close(descriptor) && good;
    if (!good) complain(path);
    else if (study_move(temporary, path) == EXIT_OK) return folder_synced(path) ? EXIT_OK : complain(path);
    path_remove(temporary);
    return EXIT_FAILED;
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
        if (!path_make_folder(part) && errno != EEXIST) return complain(part);
        if (!path[i]) return EXIT_OK;
    }
}

int study_store_open(struct study *study, int *lock) {
    char path[PATH_BYTES];
    *lock = -1;
    if (path_of(path, study, "results", "") != EXIT_OK) return EXIT_FAILED;
    if (!given(study->session, OPTION_DRY_RUN)) {
        if (create_folders(path) != EXIT_OK || path_of(path, study, "results/.lock", "") != EXIT_OK) return EXIT_FAILED;
        *lock = descriptor_open(path, O_RDWR | O_CREAT);
        if (*lock < 0) return complain(path);
        const enum descriptor_lock locked = descriptor_lock(*lock);
        if (locked == LOCK_OF_ANOTHER)
            return refuse(&verb_study, COVER_ERROR_IO,
                          "%s: another study works in this folder; wait for it, or name another folder", study->out);
        if (locked == LOCK_IMPOSSIBLE)
            progress_say(&study->session->progress, "%s: cannot be locked (%s): let no other study work in this folder", path,
                         strerror(errno));
    }
    for (int i = 0; i < study->runs; i++)
        if (read_record(study, &study->run[study->order[i]]) != EXIT_OK) return EXIT_FAILED;
    return EXIT_OK;
}
