/* Collection files as nnssl uses them (github.com/MIC-DKFZ/nnssl, documentation/dataset_format.md): pretrain_data.json
 * holds datasets, their subjects, their sessions, their images.  Called by pack_sources.c. */
#include "pack.h"

#include "core/base/files.h"
#include "core/base/json.h"

#include <stdlib.h>
#include <string.h>

enum { LARGEST_JSON = 1 << 30 };

/* Where in the file we are, for messages and names. */
struct place {
    struct pack_plan *plan;
    const char *json, *folder, *prefix, *collection;
    const char *dataset, *subject, *session;
};

/* "$NAME/rest" begins with an environment variable, as nnssl writes portable paths; relative paths begin at the file.
 */
static cover_status resolve(const struct place *place, const char *given, const char **path) {
    struct pack_plan *plan = place->plan;
    if (given[0] == '$') {
        const char *slash = strchr(given, '/');
        const char *name = arena_text(&plan->arena, given + 1, slash ? (size_t)(slash - given - 1) : strlen(given + 1));
        const char *value = name ? getenv(name) : NULL;
        if (!name) return COVER_ERROR_MEMORY;
        if (!value)
            return fail(COVER_ERROR_ARGUMENT, "%s: image_path %s: the environment variable %s is not set", place->json, given,
                        name);
        *path = arena_print(&plan->arena, "%s%s", value, slash ? slash : "");
    } else if (given[0] == '/') {
        *path = arena_text(&plan->arena, given, strlen(given));
    } else {
        *path = arena_print(&plan->arena, "%s/%s", place->folder, given);
    }
    return *path ? COVER_OK : COVER_ERROR_MEMORY;
}

static cover_status add_image(const struct place *place, const json_t *image, size_t number) {
    struct pack_plan *plan = place->plan;
    const json_t *path = json_object_get(image, "image_path"), *label = json_object_get(image, "name");
    if (!json_is_string(path) || !*json_string_value(path))
        return fail(COVER_ERROR_FORMAT, "%s: dataset %s, subject %s, session %s, image %zu: no image_path", place->json,
                    place->dataset, place->subject, place->session, number);
    const char *full = NULL;
    TRY(resolve(place, json_string_value(path), &full));
    const char *name = json_is_string(label) && *json_string_value(label) ? json_string_value(label) : path_name(full);
    const char *whole = arena_print(&plan->arena, "%s/%s/%s/%s", place->dataset, place->subject, place->session, name);
    const char *patient = arena_print(&plan->arena, "%s/%s/%s", place->collection, place->dataset, place->subject);
    if (!whole || !patient || !pack_plan_add_file(plan, place->prefix, whole, full)) return COVER_ERROR_MEMORY;
    plan->items[plan->count - 1].patient = patient;
    return COVER_OK;
}

static int compare_names(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Call visit() for each member of object[field], in the order of the names. */
static cover_status each_member(struct place *place, const json_t *object, const char *field, const char *where,
                                cover_status (*visit)(struct place *place, const char *name, const json_t *member)) {
    cover_status status = COVER_OK;
    const json_t *members = json_object_get(object, field);
    if (!json_is_object(members)) return fail(COVER_ERROR_FORMAT, "%s: %s has no \"%s\"", place->json, where, field);
    const size_t count = json_object_size(members);
    const char **names = memory_alloc(place->plan->context, count * sizeof *names), *name;
    json_t *member;
    size_t i = 0;
    if (!names) return COVER_ERROR_MEMORY;
    json_object_foreach((json_t *)members, name, member) names[i++] = name;
    qsort(names, count, sizeof *names, compare_names);
    for (i = 0; i < count && status == COVER_OK; i++) status = visit(place, names[i], json_object_get(members, names[i]));
    memory_free(place->plan->context, names);
    return status;
}

static cover_status visit_session(struct place *place, const char *name, const json_t *session) {
    const json_t *images = json_object_get(session, "images"), *image;
    size_t i;
    place->session = name;
    if (!json_is_array(images))
        return fail(COVER_ERROR_FORMAT, "%s: dataset %s, subject %s, session %s has no \"images\"", place->json, place->dataset,
                    place->subject, name);
    json_array_foreach((json_t *)images, i, image) TRY(add_image(place, image, i));
    return COVER_OK;
}

static cover_status visit_subject(struct place *place, const char *name, const json_t *subject) {
    place->subject = name;
    const char *where = arena_print(&place->plan->arena, "dataset %s, subject %s", place->dataset, name);
    return where ? each_member(place, subject, "sessions", where, visit_session) : COVER_ERROR_MEMORY;
}

static cover_status visit_dataset(struct place *place, const char *name, const json_t *dataset) {
    place->dataset = name;
    const char *where = arena_print(&place->plan->arena, "dataset %s", name);
    return where ? each_member(place, dataset, "subjects", where, visit_subject) : COVER_ERROR_MEMORY;
}

cover_status pack_collection(struct pack_plan *plan, const char *prefix, const char *json) {
    json_t *root;
    const char *slash = strrchr(json, '/');
    struct place place = {.plan = plan, .json = json, .prefix = prefix};
    place.folder = slash ? arena_text(&plan->arena, json, (size_t)(slash - json)) : ".";
    if (!place.folder) return COVER_ERROR_MEMORY;
    TRY(json_file_read(&root, plan->context, json, LARGEST_JSON));
    const char *name = json_string_value(json_object_get(root, "collection_name"));
    place.collection = name ? name : "";
    cover_status status = each_member(&place, root, "datasets", "the collection", visit_dataset);
    json_decref(root);
    return status;
}
