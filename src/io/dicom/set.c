/* The calls of libcover/dicom.h that put a set together and ask it.  See set.h. */
#include "set.h"

#include "dicomdir.h"

#include "core/base/files.h"
#include "core/base/memory.h"
#include "io/bytes/walk.h"

#include <stdlib.h>
#include <string.h>

static const cover_dicom_options defaults = COVER_DICOM_OPTIONS_INIT;
enum { HEAD = 132, TELL_EVERY = 64 };

/* ---- the set */

static cover_status check_choice(const char *field, const char *given, const char *const *known) {
    struct names names = {0};
    if (!given) return COVER_OK;
    for (; *known; known++) {
        if (strcmp(given, *known) == 0) return COVER_OK;
        names_add(&names, *known);
    }
    return fail(COVER_ERROR_ARGUMENT, "%s \"%s\": known are %s", field, given, names.text);
}

cover_status cover_dicom_create(cover_dicom **set, cover_context *context, const cover_dicom_options *options) {
    cover_dicom_options read = defaults;
    if (!set || !context) return fail(COVER_ERROR_ARGUMENT, "set or context is NULL");
    TRY(context_check_process(context));
    if (options) TRY(options_read(&read, sizeof read, options, "cover_dicom_options"));
    if (!(read.spacing_tolerance >= 0 && read.spacing_tolerance <= 1))
        return fail(COVER_ERROR_ARGUMENT, "spacing_tolerance %g: a share of a step, 0 to 1", read.spacing_tolerance);
    TRY(check_choice("tilt", read.tilt, (const char *const[]){"refuse", "resample", NULL}));
    TRY(check_choice("padding", read.padding, (const char *const[]){"lowest", "keep", NULL}));
    TRY(check_choice("window", read.window, (const char *const[]){"none", "header", NULL}));
    struct cover_dicom *made = handle_make(context, sizeof *made);
    if (!made) return COVER_ERROR_MEMORY;
    made->context = context;
    made->options = read;
    /* the caller's texts may go */
    made->options.tilt = read.tilt && strcmp(read.tilt, "resample") == 0 ? "resample" : NULL;
    made->options.padding = read.padding && strcmp(read.padding, "keep") == 0 ? "keep" : NULL;
    made->options.window = read.window && strcmp(read.window, "header") == 0 ? "header" : NULL;
    pthread_mutex_init(&made->reader_lock, NULL);
    *set = made;
    return COVER_OK;
}

void cover_dicom_destroy(cover_dicom *set) {
    if (!set) return;
    cover_context *context = set->context;
    for (int i = 0; i < set->volume_count; i++) {
        memory_free(context, set->volumes[i].slices);
        memory_free(context, set->volumes[i].refusal);
    }
    for (int64_t i = 0; i < set->count; i++) {
        dicom_object_free(set->objects[i]);
        memory_free(context, set->objects[i]);
    }
    for (int64_t i = 0; i < set->bad_count; i++) memory_free(context, set->bad[i].text);
    memory_free(context, set->volumes);
    memory_free(context, set->objects);
    memory_free(context, set->frames);
    memory_free(context, set->bad);
    pthread_mutex_destroy(&set->reader_lock);
    handle_free(context, set);
}

/* ---- one object */

static cover_status note_bad(struct cover_dicom *set, const struct dicom_object *object) {
    char name[DICOM_NAME_BYTES];
    struct text text = {.context = set->context};
    if (!array_grow(set->context, &set->bad, &set->bad_capacity, set->bad_count + 1, sizeof *set->bad)) return COVER_ERROR_MEMORY;
    struct dicom_bad *bad = &set->bad[set->bad_count];
    *bad = (struct dicom_bad){.number = object->number};
    memcpy(bad->series_uid, object->series_uid, sizeof bad->series_uid);
    text_say(&text, "%s: %s", dicom_object_name(object, name), cover_error_text());
    TRY(text_take(&text, &bad->text));
    set->bad_count++;
    return COVER_OK;
}

static cover_status check_places(const struct cover_dicom *set, struct dicom_object *object) {
    TRY(dicom_check_values(set, object));
    for (int frame = 0; frame < (object->per_frame ? object->frames : 1); frame++) {
        struct dicom_frame place = {.object = object, .frame = frame};
        TRY(dicom_place(&place));
        if (place.placed) continue;
        double spacing[2];
        enum dicom_spacing at;
        TRY(dicom_image_spacing(object, spacing, &at));
    }
    return COVER_OK;
}

/* The object becomes the set's, whatever it is.  *bad: the object is to blame; else the whole call failed. */
static cover_status add_object(struct cover_dicom *set, struct dicom_object *given, bool *bad) {
    cover_context *context = set->context;
    cover_status status;
    *bad = false;
    struct dicom_object *object = memory_zero(context, sizeof *object);
    if (object) *object = *given;
    else dicom_object_free(given);
    if (!object) return COVER_ERROR_MEMORY;
    object->number = (int)++set->counts.objects;
    status = dicom_object_read(object, context);
    if (status == COVER_OK && object->kind == DICOM_IMAGE) status = check_places(set, object);
    if (status == COVER_OK && !array_grow(context, &set->objects, &set->capacity, set->count + 1, sizeof *set->objects))
        status = COVER_ERROR_MEMORY;
    if (status == COVER_OK) {
        set->counts.others += object->kind == DICOM_OTHER;
        set->objects[set->count++] = object;
        return COVER_OK;
    }
    *bad = status != COVER_ERROR_MEMORY && status != COVER_ERROR_CANCELLED;
    if (*bad && note_bad(set, object) != COVER_OK) *bad = false, status = COVER_ERROR_MEMORY;
    dicom_object_free(object);
    memory_free(context, object);
    return status;
}

static cover_status may_add(const struct cover_dicom *set) {
    TRY(context_check_process(set->context));
    if (set->grouped) return fail(COVER_ERROR_ARGUMENT, "volumes were asked for: nothing can be added any more");
    return COVER_OK;
}

/* The error of a single object names it as those of a folder are named. */
static cover_status add_given(struct cover_dicom *set, struct dicom_object *object) {
    bool bad;
    const cover_status status = add_object(set, object, &bad);
    return bad ? fail_text(status, set->bad[set->bad_count - 1].text) : status;
}

cover_status cover_dicom_add_bytes(cover_dicom *set, const void *bytes, size_t count, int borrow) {
    if (!set || !bytes) return fail(COVER_ERROR_ARGUMENT, "set or bytes is NULL");
    TRY(may_add(set));
    struct dicom_object object = {.tree.context = set->context, .source = source_memory("", bytes, count)};
    if (!borrow) {
        object.owned = memory_within(set->context, count ? count : 1);
        if (!object.owned) return COVER_ERROR_MEMORY;
        memcpy(object.owned, bytes, count);
        object.source.memory = object.owned;
    }
    return add_given(set, &object);
}

/* A reader of the caller's, one call at a time. */
struct dicom_reader {
    cover_read_fn *read;
    void *user;
    pthread_mutex_t *lock;
};
static int64_t read_one(void *user, uint64_t offset, void *to, uint64_t bytes) {
    struct dicom_reader *reader = user;
    pthread_mutex_lock(reader->lock);
    const int64_t got = reader->read(reader->user, offset, to, bytes);
    pthread_mutex_unlock(reader->lock);
    return got;
}

cover_status cover_dicom_add_reader(cover_dicom *set, cover_read_fn *read, uint64_t bytes, void *user) {
    if (!set || !read) return fail(COVER_ERROR_ARGUMENT, "set or read is NULL");
    TRY(may_add(set));
    struct dicom_reader *reader = memory_zero(set->context, sizeof *reader);
    if (!reader) return COVER_ERROR_MEMORY;
    *reader = (struct dicom_reader){read, user, &set->reader_lock};
    struct dicom_object object = {.tree.context = set->context, .owned = reader, .source = source_memory("", NULL, bytes)};
    object.source.read = read_one, object.source.user = reader;
    return add_given(set, &object);
}

/* ---- files */

cover_status dicom_is_file(const char *path, bool *is) {
    uint8_t head[HEAD];
    struct source source;
    TRY(source_open(&source, path));
    const size_t bytes = source.bytes < HEAD ? (size_t)source.bytes : HEAD;
    const cover_status status = source_read(&source, 0, head, bytes);
    source_close(&source);
    *is = status == COVER_OK && dicom_is_one(head, bytes);
    return status;
}

static cover_status add_file(struct cover_dicom *set, const char *path, bool *bad) {
    struct dicom_object object = {.tree.context = set->context, .path = memory_text(set->context, path), .source.descriptor = -1};
    *bad = false;
    return object.path ? add_object(set, &object, bad) : COVER_ERROR_MEMORY;
}

struct files {
    struct cover_dicom *set;
    const char **paths; /* relative */
    int64_t count, capacity;
};

static cover_status visit(void *user, const char *relative, const char *path, bool linked, const struct stat *about) {
    struct files *files = user;
    bool is = true; /* what cannot be read may be a slice: it is told with those that are damaged */
    (void)linked;
    if (about && !S_ISREG(about->st_mode)) return COVER_OK;
    if (about && dicom_is_file(path, &is) == COVER_OK && !is) {
        files->set->counts.files++;
        return COVER_OK;
    }
    if (!array_grow(files->set->context, &files->paths, &files->capacity, files->count + 1, sizeof *files->paths))
        return COVER_ERROR_MEMORY;
    files->paths[files->count++] = relative;
    return COVER_OK;
}

static int compare(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static cover_status add_folder(struct cover_dicom *set, const char *folder) {
    struct arena arena = {.context = set->context};
    struct files files = {.set = set};
    const struct walk_visitor visitor = {.visit = visit,
                                         .user = &files,
                                         .progress = set->options.progress,
                                         .progress_user = set->options.user,
                                         .doing = "looking for DICOM"};
    cover_status status;
    GO(walk(set->context, &arena, folder, &visitor));
    if (files.count > 0) qsort(files.paths, (size_t)files.count, sizeof *files.paths, compare);
    for (int64_t i = 0; i < files.count; i++) {
        bool bad;
        char *path = path_join(set->context, folder, files.paths[i]);
        bool directory = false; /* what one lists lies here, too; of what cannot be read add_file() tells */
        if (path && dicomdir_is_one(path, &directory) != COVER_OK) directory = false;
        status = !path ? COVER_ERROR_MEMORY : directory ? COVER_OK : add_file(set, path, &bad);
        set->counts.objects += directory, set->counts.others += directory;
        memory_free(set->context, path);
        if (status != COVER_OK && !bad) goto done;
        if (cancelled(set->context)) GO(fail(COVER_ERROR_CANCELLED, "cancelled while DICOM headers were read"));
        if (i > 0 && i % TELL_EVERY == 0)
            GO(progress_call(set->context, set->options.progress, set->options.user, i, files.count, "DICOM header"));
    }
    status = COVER_OK;
done:
    memory_free(set->context, files.paths);
    arena_free(&arena);
    return status;
}

static cover_status add_listed(void *user, const char *path) {
    bool bad;
    const cover_status status = add_file(user, path, &bad);
    return bad ? COVER_OK : status;
}

cover_status cover_dicom_add_path(cover_dicom *set, const char *path) {
    bool is, bad;
    if (!set || !path) return fail(COVER_ERROR_ARGUMENT, "set or path is NULL");
    TRY(may_add(set));
    if (folder_exists(path)) return add_folder(set, path);
    TRY(dicom_is_file(path, &is));
    if (!is) return fail(COVER_ERROR_FORMAT, "%s: not DICOM", path);
    bool directory;
    TRY(dicomdir_is_one(path, &directory));
    if (directory) return dicomdir_list(set->context, path, add_listed, set);
    const cover_status status = add_file(set, path, &bad);
    return bad ? fail_text(status, set->bad[set->bad_count - 1].text) : status;
}

/* ---- volumes */

static cover_status list_frames(struct cover_dicom *set) {
    int64_t count = 0;
    for (int64_t i = 0; i < set->count; i++)
        if (set->objects[i]->kind == DICOM_IMAGE) count += set->objects[i]->frames;
    int64_t bytes;
    if (!multiply(count + 1, (int64_t)sizeof *set->frames, &bytes)) return fail(COVER_ERROR_MEMORY, "more frames than memory");
    set->frames = memory_within(set->context, (size_t)bytes);
    if (!set->frames) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < set->count; i++) {
        struct dicom_object *object = set->objects[i];
        if (object->kind != DICOM_IMAGE) continue;
        for (int frame = 0; frame < object->frames; frame++) {
            struct dicom_frame *slot = &set->frames[set->frame_count++];
            *slot = (struct dicom_frame){.object = object, .frame = frame};
            TRY(dicom_place(slot));
        }
    }
    return COVER_OK;
}

/* No volume may be shorter than it was sent: those that miss an object which could not be read are refused. */
static cover_status refuse_incomplete(struct cover_dicom *set) {
    for (int i = 0; i < set->volume_count && !set->options.skip_bad; i++) {
        struct dicom_volume *volume = &set->volumes[i];
        const char *series = volume->slices[0]->object->series_uid;
        int64_t lost = 0, first = -1;
        for (int64_t b = 0; b < set->bad_count; b++)
            if (!set->bad[b].series_uid[0] || strcmp(set->bad[b].series_uid, series) == 0) {
                if (first < 0) first = b;
                lost++;
            }
        if (lost == 0 || volume->images) continue;
        struct text text = {.context = set->context};
        text_say(
            &text,
            "%lld of its images, or of no known series, cannot be read (%s); send them again, or set skip_bad to leave them out",
            (long long)lost, set->bad[first].text);
        char *refusal;
        TRY(text_take(&text, &refusal));
        memory_free(set->context, volume->refusal); /* a gap, which it may explain */
        volume->refusal = refusal;
    }
    return COVER_OK;
}

cover_status cover_dicom_volumes(cover_dicom *set, int *count) {
    if (!set || !count) return fail(COVER_ERROR_ARGUMENT, "set or count is NULL");
    TRY(context_check_process(set->context));
    if (!set->grouped) {
        set->grouped = true;
        TRY(list_frames(set));
        TRY(dicom_group(set));
        TRY(refuse_incomplete(set));
    }
    *count = set->volume_count;
    return COVER_OK;
}

cover_status dicom_set_check(const struct cover_dicom *set, int index) {
    if (!set->grouped) return fail(COVER_ERROR_ARGUMENT, "call cover_dicom_volumes() first");
    if (index < 0 || index >= set->volume_count)
        return fail(COVER_ERROR_ARGUMENT, "volume %d: there are %d", index, set->volume_count);
    return COVER_OK;
}

void dicom_size_of(const struct dicom_volume *volume, int64_t size[3]) {
    const struct dicom_frame_shape *shape = &volume->slices[0]->object->shape;
    size[0] = volume->count, size[1] = shape->rows, size[2] = shape->columns;
}

cover_status cover_dicom_volume(const cover_dicom *set, int index, cover_dicom_volume_info *info) {
    if (!set || !info) return fail(COVER_ERROR_ARGUMENT, "set or info is NULL");
    TRY(dicom_set_check(set, index));
    const struct dicom_volume *volume = &set->volumes[index];
    const struct dicom_object *object = volume->slices[0]->object;
    cover_dicom_volume_info known = {.struct_size = sizeof known,
                                     .modality = object->modality,
                                     .refusal = volume->refusal,
                                     .images = volume->objects,
                                     .volume = !volume->images,
                                     .channels = volume->channels,
                                     .transfer_syntax = object->tree.syntax,
                                     .duplicates = volume->duplicates};
    dicom_size_of(volume, known.size);
    memcpy(known.spacing_mm, volume->spacing_mm, sizeof known.spacing_mm);
    memcpy(known.affine, volume->affine, sizeof known.affine);
    report_write(info, &known, sizeof known);
    return COVER_OK;
}

static void release_image(void *user, void *data) { memory_free(user, data); }

cover_status cover_dicom_read(const cover_dicom *set, int index, cover_tensor **image, double spacing_mm[3], double affine[12]) {
    struct image read;
    if (!set || !image) return fail(COVER_ERROR_ARGUMENT, "set or image is NULL");
    TRY(context_check_process(set->context));
    TRY(dicom_set_check(set, index));
    TRY(dicom_volume_image(&read, set, index, -1, false));
    const int64_t shape[4] = {read.size[0], read.size[1], read.size[2], read.channels};
    const cover_status status = cover_tensor_adopt(image, set->context, read.dtype, read.channels > 1 ? 4 : 3, shape, NULL,
                                                   read.data, release_image, set->context);
    if (status != COVER_OK) {
        image_free(&read, set->context);
        return status;
    }
    if (spacing_mm) memcpy(spacing_mm, read.spacing_mm, sizeof read.spacing_mm);
    if (affine) memcpy(affine, read.affine, sizeof read.affine);
    return COVER_OK;
}

cover_status cover_dicom_value(const cover_dicom *set, int index, int image, uint32_t tag, const void **bytes, size_t *count) {
    if (!set || !bytes || !count) return fail(COVER_ERROR_ARGUMENT, "set, bytes or count is NULL");
    TRY(dicom_set_check(set, index));
    const struct dicom_volume *volume = &set->volumes[index];
    if (image < 0 || image >= volume->count)
        return fail(COVER_ERROR_ARGUMENT, "image %d: volume %d has %d slices", image, index, volume->count);
    const struct dicom_tree *tree = &volume->slices[image]->object->tree;
    *bytes = dicom_bytes(tree, dicom_find(tree, NULL, tag), count);
    return COVER_OK;
}
