/* The pickle machine (CPython's pickletools.py describes each opcode): a stack, a memo, no calls.  Work and memory are
 * in proportion to the bytes of the pickle.  See pickle.h. */
#include "pickle.h"

#include <string.h>

struct machine {
    struct arena *arena;
    const char *name;
    const struct pickle_global *globals;
    const uint8_t *data;
    size_t bytes, at;
    struct pickle_value **stack;
    size_t depth, capacity;
    struct pickle_value **memo;
    size_t memo_count, memo_next;
    struct pickle_value *persistent;
    bool stopped;
};

struct opcode {
    cover_status (*run)(struct machine *machine, int argument);
    int argument; /* bytes of a length or number, count of items, or a kind */
};

static cover_status damaged(const struct machine *machine, const char *what) {
    return fail(COVER_ERROR_FORMAT, "%s: damaged pickle: %s at byte %zu", machine->name, what, machine->at);
}

/* ---- bytes */

static cover_status take(struct machine *machine, size_t bytes, const uint8_t **data) {
    if (bytes > machine->bytes - machine->at) return damaged(machine, "it ends too early");
    *data = machine->data + machine->at;
    machine->at += bytes;
    return COVER_OK;
}

static cover_status take_number(struct machine *machine, int bytes, uint64_t *number) {
    const uint8_t *data;
    TRY(take(machine, (size_t)bytes, &data));
    *number = 0;
    for (int i = 0; i < bytes; i++) *number |= (uint64_t)data[i] << 8 * i;
    return COVER_OK;
}

/* A line of text without its newline. */
static cover_status take_line(struct machine *machine, const char **line, size_t *length) {
    const uint8_t *begin = machine->data + machine->at;
    const uint8_t *end = memchr(begin, '\n', machine->bytes - machine->at);
    if (!end) return damaged(machine, "a line without end");
    *line = (const char *)begin, *length = (size_t)(end - begin);
    machine->at += *length + 1;
    return COVER_OK;
}

/* ---- values */

static struct pickle_value *create(struct machine *machine, enum pickle_kind kind) {
    struct pickle_value *value = arena_alloc(machine->arena, sizeof *value);
    if (value) value->kind = kind;
    return value;
}

/* Room for `more` pointers behind `count`. */
static cover_status grow(struct machine *machine, struct pickle_value ***items, size_t count, size_t *capacity, size_t more) {
    if (count + more <= *capacity) return COVER_OK;
    size_t wanted = count + more > 2 * *capacity ? count + more : 2 * *capacity;
    struct pickle_value **fresh = arena_alloc(machine->arena, wanted * sizeof *fresh);
    if (!fresh) return COVER_ERROR_MEMORY;
    if (count) memcpy(fresh, *items, count * sizeof *fresh);
    *items = fresh, *capacity = wanted;
    return COVER_OK;
}

static cover_status push(struct machine *machine, struct pickle_value *value) {
    if (!value) return COVER_ERROR_MEMORY;
    TRY(grow(machine, &machine->stack, machine->depth, &machine->capacity, 1));
    machine->stack[machine->depth++] = value;
    return COVER_OK;
}

static cover_status pop(struct machine *machine, struct pickle_value **value) {
    if (machine->depth == 0 || machine->stack[machine->depth - 1]->kind == PICKLE_MARK)
        return damaged(machine, "nothing on the stack");
    *value = machine->stack[--machine->depth];
    return COVER_OK;
}

/* The items behind the last mark; they and the mark leave the stack, but stay readable until the next push. */
static cover_status pop_to_mark(struct machine *machine, struct pickle_value ***items, size_t *count) {
    size_t at = machine->depth;
    while (at > 0 && machine->stack[at - 1]->kind != PICKLE_MARK) at--;
    if (at == 0) return damaged(machine, "no mark on the stack");
    *items = machine->stack + at, *count = machine->depth - at;
    machine->depth = at - 1;
    return COVER_OK;
}

/* Put items behind those of a value that holds some; an object takes them and forgets them. */
static cover_status extend(struct machine *machine, struct pickle_value *value, enum pickle_kind kind, struct pickle_value **items,
                           size_t count) {
    if (value->kind == PICKLE_OBJECT) return COVER_OK;
    if (value->kind != kind) return damaged(machine, "items for something that holds none");
    TRY(grow(machine, &value->sequence.items, value->sequence.count, &value->sequence.capacity, count));
    if (count) memcpy(value->sequence.items + value->sequence.count, items, count * sizeof *items);
    value->sequence.count += count;
    return COVER_OK;
}

static cover_status push_sequence(struct machine *machine, enum pickle_kind kind, struct pickle_value **items, size_t count) {
    struct pickle_value *value = create(machine, kind);
    if (!value) return COVER_ERROR_MEMORY;
    if (kind == PICKLE_MAPPING && count % 2 != 0) return damaged(machine, "a key without a value");
    TRY(extend(machine, value, kind, items, count));
    return push(machine, value);
}

static cover_status push_text(struct machine *machine, const uint8_t *data, size_t length) {
    struct pickle_value *value = create(machine, PICKLE_TEXT);
    if (!value) return COVER_ERROR_MEMORY;
    value->text.data = arena_text(machine->arena, (const char *)data, length);
    value->text.length = length;
    return value->text.data ? push(machine, value) : COVER_ERROR_MEMORY;
}

static cover_status push_integer(struct machine *machine, enum pickle_kind kind, int64_t integer) {
    struct pickle_value *value = create(machine, kind);
    if (value) value->integer = integer;
    return push(machine, value);
}

/* ---- opcodes: constants, numbers, texts */

static cover_status op_skip(struct machine *machine, int bytes) {
    const uint8_t *unused; /* PROTO: opcodes tell the protocol; FRAME: a hint for readers from a stream */
    return take(machine, (size_t)bytes, &unused);
}

static cover_status op_stop(struct machine *machine, int unused) {
    (void)unused;
    machine->stopped = true;
    return COVER_OK;
}

static cover_status op_mark(struct machine *machine, int unused) {
    (void)unused;
    return push(machine, create(machine, PICKLE_MARK));
}

static cover_status op_none(struct machine *machine, int unused) {
    (void)unused;
    return push(machine, create(machine, PICKLE_NONE));
}

static cover_status op_bool(struct machine *machine, int value) { return push_integer(machine, PICKLE_BOOL, value); }

static cover_status op_integer(struct machine *machine, int bytes) {
    uint64_t number;
    TRY(take_number(machine, bytes, &number));
    return push_integer(machine, PICKLE_INTEGER, bytes == 4 ? (int32_t)number : (int64_t)number);
}

static cover_status op_real(struct machine *machine, int unused) {
    (void)unused;
    const uint8_t *data;
    uint64_t bits = 0;
    TRY(take(machine, 8, &data));
    for (int i = 0; i < 8; i++) bits = bits << 8 | data[i];
    struct pickle_value *value = create(machine, PICKLE_REAL);
    if (value) memcpy(&value->real, &bits, sizeof bits);
    return push(machine, value);
}

/* Two's complement, little-endian, any length; over 64 bits it stays bytes. */
static cover_status op_long(struct machine *machine, int length_bytes) {
    uint64_t length, number;
    const uint8_t *data;
    TRY(take_number(machine, length_bytes, &length));
    if (length > 8) {
        TRY(take(machine, length, &data));
        return push_text(machine, data, length);
    }
    TRY(take_number(machine, (int)length, &number));
    bool negative = length > 0 && length < 8 && number >> (8 * length - 1) & 1;
    return push_integer(machine, PICKLE_INTEGER, (int64_t)(negative ? number | ~0ULL << 8 * length : number));
}

static cover_status op_text(struct machine *machine, int length_bytes) {
    uint64_t length;
    const uint8_t *data;
    TRY(take_number(machine, length_bytes, &length));
    TRY(take(machine, length, &data));
    return push_text(machine, data, length);
}

/* ---- opcodes: stack and memo */

static cover_status op_pop(struct machine *machine, int unused) {
    (void)unused;
    if (machine->depth == 0) return damaged(machine, "nothing on the stack");
    machine->depth--;
    return COVER_OK;
}

static cover_status op_pop_mark(struct machine *machine, int unused) {
    (void)unused;
    struct pickle_value **items;
    size_t count;
    return pop_to_mark(machine, &items, &count);
}

static cover_status op_duplicate(struct machine *machine, int unused) {
    (void)unused;
    struct pickle_value *value;
    TRY(pop(machine, &value));
    TRY(push(machine, value));
    return push(machine, value);
}

/* Picklers number the memo from 0 upwards, so an index beyond the bytes read is a lie. */
static cover_status op_put(struct machine *machine, int index_bytes) {
    uint64_t index = machine->memo_next;
    struct pickle_value *value;
    if (index_bytes) TRY(take_number(machine, index_bytes, &index));
    if (index >= machine->at) return damaged(machine, "a memo index out of range");
    TRY(pop(machine, &value));
    TRY(push(machine, value));
    if (index >= machine->memo_count) {
        size_t capacity = machine->memo_count;
        TRY(grow(machine, &machine->memo, machine->memo_count, &capacity, (size_t)index + 1 - machine->memo_count));
        machine->memo_count = capacity;
    }
    machine->memo[index] = value;
    machine->memo_next++;
    return COVER_OK;
}

static cover_status op_get(struct machine *machine, int index_bytes) {
    uint64_t index;
    TRY(take_number(machine, index_bytes, &index));
    if (index >= machine->memo_count || !machine->memo[index]) return damaged(machine, "an empty place of the memo");
    return push(machine, machine->memo[index]);
}

/* ---- opcodes: sequences and mappings */

static cover_status op_empty(struct machine *machine, int kind) { return push_sequence(machine, (enum pickle_kind)kind, NULL, 0); }

static cover_status op_from_mark(struct machine *machine, int kind) {
    struct pickle_value **items;
    size_t count;
    TRY(pop_to_mark(machine, &items, &count));
    return push_sequence(machine, (enum pickle_kind)kind, items, count);
}

static cover_status op_tuple(struct machine *machine, int count) {
    struct pickle_value *items[3];
    for (int i = count - 1; i >= 0; i--) TRY(pop(machine, &items[i]));
    return push_sequence(machine, PICKLE_TUPLE, items, (size_t)count);
}

static cover_status extend_top(struct machine *machine, enum pickle_kind kind, struct pickle_value **items, size_t count) {
    if (machine->depth == 0) return damaged(machine, "nothing on the stack");
    return extend(machine, machine->stack[machine->depth - 1], kind, items, count);
}

static cover_status op_append(struct machine *machine, int unused) {
    (void)unused;
    struct pickle_value *item;
    TRY(pop(machine, &item));
    return extend_top(machine, PICKLE_TUPLE, &item, 1);
}

static cover_status op_set_item(struct machine *machine, int unused) {
    (void)unused;
    struct pickle_value *pair[2];
    TRY(pop(machine, &pair[1]));
    TRY(pop(machine, &pair[0]));
    return extend_top(machine, PICKLE_MAPPING, pair, 2);
}

static cover_status op_extend(struct machine *machine, int kind) {
    struct pickle_value **items;
    size_t count;
    TRY(pop_to_mark(machine, &items, &count));
    if (kind == PICKLE_MAPPING && count % 2 != 0) return damaged(machine, "a key without a value");
    return extend_top(machine, (enum pickle_kind)kind, items, count);
}

/* ---- opcodes: globals and objects */

/* A text of the file made fit for a message. */
static void printable(char out[96], const char *text, size_t length) {
    size_t shown = length < 95 ? length : 95;
    for (size_t i = 0; i < shown; i++) out[i] = text[i] > 0x20 && text[i] < 0x7F ? text[i] : '?';
    out[shown] = 0;
}

static bool equals(const char *known, const char *text, size_t length) {
    return strlen(known) == length && memcmp(known, text, length) == 0;
}

static cover_status push_global(struct machine *machine, const char *module, size_t module_length, const char *name,
                                size_t name_length) {
    for (const struct pickle_global *row = machine->globals; row->module; row++) {
        if (!equals(row->module, module, module_length) || !equals(row->name, name, name_length)) continue;
        struct pickle_value *value = create(machine, PICKLE_GLOBAL);
        if (value) value->object.global = row;
        return push(machine, value);
    }
    char shown_module[96], shown_name[96];
    printable(shown_module, module, module_length);
    printable(shown_name, name, name_length);
    return fail(COVER_ERROR_UNSUPPORTED,
                "%s: it asks for Python's %s.%s, which is neither known nor run here; load it where you trust it and save "
                "the weights alone: torch.save(model.state_dict(), FILE)",
                machine->name, shown_module, shown_name);
}

static cover_status op_global(struct machine *machine, int unused) {
    (void)unused;
    const char *module, *name;
    size_t module_length, name_length;
    TRY(take_line(machine, &module, &module_length));
    TRY(take_line(machine, &name, &name_length));
    return push_global(machine, module, module_length, name, name_length);
}

static cover_status op_stack_global(struct machine *machine, int unused) {
    (void)unused;
    struct pickle_value *module, *name;
    TRY(pop(machine, &name));
    TRY(pop(machine, &module));
    if (module->kind != PICKLE_TEXT || name->kind != PICKLE_TEXT) return damaged(machine, "a global without a name");
    return push_global(machine, module->text.data, module->text.length, name->text.data, name->text.length);
}

/* REDUCE, NEWOBJ (2 values), NEWOBJ_EX (3): an object, or the empty mapping that the call would give. */
static cover_status op_call(struct machine *machine, int values) {
    struct pickle_value *callee, *arguments, *keywords;
    if (values == 3) TRY(pop(machine, &keywords));
    TRY(pop(machine, &arguments));
    TRY(pop(machine, &callee));
    if (callee->kind != PICKLE_GLOBAL || arguments->kind != PICKLE_TUPLE)
        return damaged(machine, "a call of something that cannot be called");
    struct pickle_value *value = create(machine, callee->object.global->mapping ? PICKLE_MAPPING : PICKLE_OBJECT);
    if (value && value->kind == PICKLE_OBJECT) {
        value->object.global = callee->object.global;
        value->object.argument = arguments;
    }
    return push(machine, value);
}

/* State of an object or attributes of a mapping: nothing that we need. */
static cover_status op_build(struct machine *machine, int unused) {
    (void)unused;
    struct pickle_value *state;
    TRY(pop(machine, &state));
    return machine->depth ? COVER_OK : damaged(machine, "nothing on the stack");
}

static cover_status op_persistent(struct machine *machine, int unused) {
    (void)unused;
    struct pickle_value *reference, *value = create(machine, PICKLE_PERSISTENT);
    if (!value) return COVER_ERROR_MEMORY;
    TRY(pop(machine, &reference));
    value->object.argument = reference;
    value->object.next = machine->persistent;
    machine->persistent = value;
    return push(machine, value);
}

static const struct opcode opcodes[256] = {
    ['.'] = {op_stop, 0},
    ['('] = {op_mark, 0},
    ['0'] = {op_pop, 0},
    ['1'] = {op_pop_mark, 0},
    ['2'] = {op_duplicate, 0},
    [0x80] = {op_skip, 1}, /* PROTO */
    [0x95] = {op_skip, 8}, /* FRAME */
    ['N'] = {op_none, 0},
    [0x88] = {op_bool, 1}, /* NEWTRUE */
    [0x89] = {op_bool, 0}, /* NEWFALSE */
    ['K'] = {op_integer, 1},
    ['M'] = {op_integer, 2},
    ['J'] = {op_integer, 4},
    ['G'] = {op_real, 0},
    [0x8A] = {op_long, 1},
    [0x8B] = {op_long, 4},
    ['U'] = {op_text, 1}, /* SHORT_BINSTRING */
    ['T'] = {op_text, 4},
    [0x8C] = {op_text, 1}, /* SHORT_BINUNICODE */
    ['X'] = {op_text, 4},
    [0x8D] = {op_text, 8},
    ['C'] = {op_text, 1}, /* SHORT_BINBYTES */
    ['B'] = {op_text, 4},
    [0x8E] = {op_text, 8},
    [0x96] = {op_text, 8}, /* BYTEARRAY8 */
    ['q'] = {op_put, 1},
    ['r'] = {op_put, 4},
    [0x94] = {op_put, 0}, /* MEMOIZE */
    ['h'] = {op_get, 1},
    ['j'] = {op_get, 4},
    [')'] = {op_empty, PICKLE_TUPLE},
    [']'] = {op_empty, PICKLE_TUPLE},  /* a list */
    [0x8F] = {op_empty, PICKLE_TUPLE}, /* a set */
    ['}'] = {op_empty, PICKLE_MAPPING},
    ['t'] = {op_from_mark, PICKLE_TUPLE},
    ['l'] = {op_from_mark, PICKLE_TUPLE},
    [0x91] = {op_from_mark, PICKLE_TUPLE}, /* FROZENSET */
    ['d'] = {op_from_mark, PICKLE_MAPPING},
    [0x85] = {op_tuple, 1},
    [0x86] = {op_tuple, 2},
    [0x87] = {op_tuple, 3},
    ['a'] = {op_append, 0},
    ['e'] = {op_extend, PICKLE_TUPLE},
    [0x90] = {op_extend, PICKLE_TUPLE}, /* ADDITEMS */
    ['s'] = {op_set_item, 0},
    ['u'] = {op_extend, PICKLE_MAPPING},
    ['c'] = {op_global, 0},
    [0x93] = {op_stack_global, 0},
    ['R'] = {op_call, 2},
    [0x81] = {op_call, 2}, /* NEWOBJ */
    [0x92] = {op_call, 3}, /* NEWOBJ_EX */
    ['b'] = {op_build, 0},
    ['Q'] = {op_persistent, 0},
};

cover_status pickle_read(struct pickle *pickle, struct arena *arena, const char *name, const struct pickle_global *globals,
                         const uint8_t *data, size_t bytes) {
    struct machine machine = {.arena = arena, .name = name, .globals = globals, .data = data, .bytes = bytes};
    struct pickle_value *result;
    while (!machine.stopped) {
        const uint8_t *code;
        TRY(take(&machine, 1, &code));
        const struct opcode *row = &opcodes[*code];
        if (!row->run)
            return fail(COVER_ERROR_UNSUPPORTED, "%s: pickle opcode 0x%02X at byte %zu is not read here", name, *code,
                        machine.at - 1);
        TRY(row->run(&machine, row->argument));
    }
    TRY(pop(&machine, &result));
    if (machine.depth != 0) return damaged(&machine, "values left over");
    *pickle = (struct pickle){.value = result, .persistent = machine.persistent, .used = machine.at};
    return COVER_OK;
}

struct pickle_value *pickle_item(const struct pickle_value *tuple, size_t index) {
    if (!tuple || tuple->kind != PICKLE_TUPLE || index >= tuple->sequence.count) return NULL;
    return tuple->sequence.items[index];
}

bool pickle_is_text(const struct pickle_value *value, const char *text) {
    return value && value->kind == PICKLE_TEXT && equals(text, value->text.data, value->text.length);
}

struct pickle_value *pickle_get(const struct pickle_value *mapping, const char *key) {
    struct pickle_value *found = NULL; /* the last one counts, as in Python */
    if (!mapping || mapping->kind != PICKLE_MAPPING) return NULL;
    for (size_t i = 0; i + 1 < mapping->sequence.count; i += 2)
        if (pickle_is_text(mapping->sequence.items[i], key)) found = mapping->sequence.items[i + 1];
    return found;
}
