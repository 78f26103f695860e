/*
 * PyTorch's files since 1.6: a ZIP archive of stored entries TOP/data.pkl, TOP/data/KEY (the numbers of one storage each)
 * and TOP/byteorder. data.pkl is a pickle, a program for a stack machine that can call any Python function; here a small
 * machine of its own knows the opcodes and the few globals that a state dict is made of, and refuses all others by name.
 * Nothing is ever called. Memory is bounded by the file's size.
 *
 * Source: Python's pickletools.py (what each opcode does), torch/serialization.py 2.x (persistent ids).
 */
#include "tensor/weights_file.h"
#include "tensor/zip.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- values ---- */

typedef enum value_kind {
    MARK,
    NONE,
    BOOLEAN,
    INTEGER,
    REAL,
    TEXT,
    GLOBAL,
    TUPLE,
    LIST,
    DICT,
    STORAGE,
    TENSOR
} value_kind;

typedef struct storage {
    fi_dtype type;
    size_t at, n; /* byte of the file, numbers */
} storage;

typedef struct value {
    value_kind kind;
    uint32_t size; /* of TEXT */
    union {
        int64_t integer;     /* BOOLEAN, INTEGER; GLOBAL: which */
        const char *text;    /* in the program */
        struct items *items; /* TUPLE, LIST, DICT: key, value, key, value */
        const storage *storage;
        const fi_stored *tensor;
    };
} value;

typedef struct items {
    value *v;
    size_t n, room;
} items;

enum { MAKES_DICT, MAKES_TENSOR, MAKES_PARAMETER, IS_STORAGE };

/* All that a pickle may name. */
static const struct global {
    const char *module, *name;
    int role;
    fi_dtype type;
} globals[] = {
    {"collections", "OrderedDict", MAKES_DICT, 0},
    {"torch._utils", "_rebuild_tensor_v2", MAKES_TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", MAKES_PARAMETER, 0},
    {"torch", "FloatStorage", IS_STORAGE, FI_F32},
    {"torch", "DoubleStorage", IS_STORAGE, FI_F64},
    {"torch", "HalfStorage", IS_STORAGE, FI_F16},
    {"torch", "BFloat16Storage", IS_STORAGE, FI_BF16},
    {"torch", "LongStorage", IS_STORAGE, FI_I64},
    {"torch", "IntStorage", IS_STORAGE, FI_I32},
    {"torch", "CharStorage", IS_STORAGE, FI_I8},
    {"torch", "ByteStorage", IS_STORAGE, FI_U8},
    {"torch", "BoolStorage", IS_STORAGE, FI_BOOL},
};

/* ---- the machine ---- */

enum { MAX_STACK = 1 << 16, CHUNK_BYTES = 1 << 14 };

typedef struct chunk {
    struct chunk *next;
    size_t used, size;
} chunk;

typedef struct machine {
    fi_weight_file *file;
    fi_zip zip;
    const char *top; /* "archive/", in the ZIP directory */
    size_t top_size;
    unsigned char *program;                /* data.pkl */
    const unsigned char *begin, *at, *end; /* of it, and where the machine is */
    value *stack, *memo;
    size_t n_stack, room_stack, n_memo, room_memo;
    chunk *chunks;
    fi_buf entry; /* name of an entry */
    ftl_error *err;
} machine;

static ftl_status FTL_PRINTF(2, 3) refuse(machine *m, const char *format, ...)
{
    char what[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return fi_fail(m->err, FTL_EDATA, "%s: %s", m->file->path, what);
}

static ftl_status confused(machine *m, const char *what)
{
    return refuse(m, "data.pkl is damaged: %s before its byte %zu", what, (size_t)(m->at - m->begin));
}

static ftl_status charge(machine *m, size_t bytes)
{
    return fi_weight_file_charge(m->file, bytes, m->err);
}

/* Memory until the end, cleared. */
static ftl_status take(machine *m, size_t bytes, void **out)
{
    const size_t head = (sizeof(chunk) + 15) / 16 * 16;
    bytes = (bytes + 15) / 16 * 16;
    if (!m->chunks || bytes > m->chunks->size - m->chunks->used) {
        size_t size = head + (bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES);
        ftl_status st = charge(m, size);
        if (st) return st;
        chunk *fresh = fi_calloc(1, size);
        if (!fresh) return fi_fail_memory(m->err);
        *fresh = (chunk){m->chunks, head, size};
        m->chunks = fresh;
    }
    *out = (char *)m->chunks + m->chunks->used;
    m->chunks->used += bytes;
    return FTL_OK;
}

static ftl_status push(machine *m, value v)
{
    const size_t room = m->room_stack;
    if (m->n_stack == MAX_STACK) return confused(m, "the stack runs over");
    if (fi_grow(&m->stack, &m->room_stack, m->n_stack + 1, sizeof v)) return fi_fail_memory(m->err);
    m->stack[m->n_stack++] = v;
    return charge(m, (m->room_stack - room) * sizeof v);
}

/* The topmost value, which must be of a kind. */
static ftl_status pop(machine *m, value_kind wanted, value *v)
{
    if (!m->n_stack || m->stack[m->n_stack - 1].kind != wanted) return confused(m, "an operand is not what it must be");
    *v = m->stack[--m->n_stack];
    return FTL_OK;
}

/* n values from the top of the stack, which a mark may not interrupt. */
static ftl_status operands(machine *m, size_t n)
{
    if (m->n_stack < n) return confused(m, "the stack runs empty");
    for (size_t i = 1; i <= n; i++)
        if (m->stack[m->n_stack - i].kind == MARK) return confused(m, "a mark is in the way");
    return FTL_OK;
}

/* How many values lie above the last mark. */
static ftl_status above_mark(machine *m, size_t *n)
{
    for (*n = 0; *n < m->n_stack; ++*n)
        if (m->stack[m->n_stack - 1 - *n].kind == MARK) return FTL_OK;
    return confused(m, "a mark is missing");
}

static ftl_status append(machine *m, items *to, const value *v, size_t n)
{
    if (to->room - to->n < n) {
        size_t room = to->n + n > 2 * to->room ? to->n + n : 2 * to->room;
        void *grown = NULL;
        ftl_status st = take(m, room * sizeof *v, &grown);
        if (st) return st;
        if (to->n) memcpy(grown, to->v, to->n * sizeof *v);
        to->v = grown;
        to->room = room;
    }
    if (n) memcpy(to->v + to->n, v, n * sizeof *v);
    to->n += n;
    return FTL_OK;
}

static ftl_status push_items(machine *m, value_kind kind, const value *v, size_t n)
{
    void *made = NULL;
    ftl_status st = take(m, sizeof(items), &made);
    if (!st) st = append(m, made, v, n);
    return st ? st : push(m, (value){.kind = kind, .items = made});
}

/* The topmost n <= 3 values become one tuple. */
static ftl_status make_tuple(machine *m, size_t n)
{
    ftl_status st = operands(m, n);
    if (st) return st;
    m->n_stack -= n;
    value kept[3]; /* push writes where they lie */
    if (n) memcpy(kept, m->stack + m->n_stack, n * sizeof *kept);
    return push_items(m, TUPLE, kept, n);
}

static ftl_status make_marked_tuple(machine *m)
{
    size_t n;
    void *made = NULL;
    ftl_status st = above_mark(m, &n);
    if (!st) st = take(m, sizeof(items), &made);
    if (!st) st = append(m, made, m->stack + m->n_stack - n, n);
    if (st) return st;
    m->n_stack -= n + 1;
    return push(m, (value){.kind = TUPLE, .items = made});
}

/* The topmost n values go into the list or dict below them (and below a mark, if there is one). */
static ftl_status put_items(machine *m, value_kind kind, size_t n, size_t marks)
{
    ftl_status st = operands(m, n);
    if (st) return st;
    if (m->n_stack < n + marks + 1 || m->stack[m->n_stack - n - marks - 1].kind != kind || (kind == DICT && n % 2))
        return confused(m, "items have nothing to go into");
    st = append(m, m->stack[m->n_stack - n - marks - 1].items, m->stack + m->n_stack - n, n);
    m->n_stack -= n + marks;
    return st;
}

static ftl_status put_marked(machine *m, value_kind kind)
{
    size_t n;
    ftl_status st = above_mark(m, &n);
    return st ? st : put_items(m, kind, n, 1);
}

/* ---- the program's own data ---- */

static ftl_status fetch(machine *m, size_t n, const unsigned char **out)
{
    if ((size_t)(m->end - m->at) < n) return refuse(m, "data.pkl is cut short");
    *out = m->at;
    m->at += n;
    return FTL_OK;
}

static ftl_status skip(machine *m, size_t n)
{
    const unsigned char *skipped;
    return fetch(m, n, &skipped);
}

/* A little-endian number without sign. */
static ftl_status fetch_number(machine *m, size_t width, uint64_t *out)
{
    const unsigned char *bytes = NULL;
    ftl_status st = fetch(m, width, &bytes);
    *out = 0;
    for (size_t i = width; !st && i-- > 0;) *out = *out << 8 | bytes[i];
    return st;
}

static ftl_status push_integer(machine *m, size_t width, bool is_signed)
{
    uint64_t bits;
    ftl_status st = fetch_number(m, width, &bits);
    if (st) return st;
    if (is_signed && width && width < 8 && bits >> (8 * width - 1)) bits |= ~(uint64_t)0 << (8 * width);
    return push(m, (value){.kind = INTEGER, .integer = (int64_t)bits});
}

/* Nothing asks for its value. */
static ftl_status push_real(machine *m)
{
    ftl_status st = skip(m, 8);
    return st ? st : push(m, (value){.kind = REAL});
}

static ftl_status push_long(machine *m)
{
    uint64_t width;
    ftl_status st = fetch_number(m, 1, &width);
    if (!st && width > 8) return confused(m, "a number has more than 64 bits");
    return st ? st : push_integer(m, (size_t)width, true);
}

static ftl_status push_text(machine *m, size_t width)
{
    uint64_t n;
    const unsigned char *text = NULL;
    ftl_status st = fetch_number(m, width, &n);
    if (!st) st = fetch(m, (size_t)n, &text);
    return st ? st : push(m, (value){.kind = TEXT, .size = (uint32_t)n, .text = (const char *)text});
}

static ftl_status remember(machine *m, uint64_t slot)
{
    ftl_status st = operands(m, 1);
    if (st) return st;
    if (slot >= (uint64_t)(m->end - m->begin)) return confused(m, "a memo number is larger than there can be memos");
    if (slot >= m->room_memo) {
        size_t room = 2 * (size_t)slot + 64;
        st = charge(m, (room - m->room_memo) * sizeof *m->memo);
        if (st) return st;
        value *grown = fi_realloc(m->memo, room, sizeof *grown);
        if (!grown) return fi_fail_memory(m->err);
        memset(grown + m->room_memo, 0, (room - m->room_memo) * sizeof *grown); /* MARK: nothing is remembered */
        m->memo = grown;
        m->room_memo = room;
    }
    m->memo[slot] = m->stack[m->n_stack - 1];
    m->n_memo++;
    return FTL_OK;
}

static ftl_status put_memo(machine *m, size_t width)
{
    uint64_t slot;
    ftl_status st = fetch_number(m, width, &slot);
    return st ? st : remember(m, slot);
}

static ftl_status recall(machine *m, size_t width)
{
    uint64_t slot;
    ftl_status st = fetch_number(m, width, &slot);
    if (st) return st;
    if (slot >= m->room_memo || m->memo[slot].kind == MARK) return confused(m, "a memo is used that was never made");
    return push(m, m->memo[slot]);
}

/* ---- globals ---- */

static bool text_is(const char *text, size_t n, const char *expected)
{
    return n == strlen(expected) && !memcmp(text, expected, n);
}

static ftl_status push_global(machine *m, const char *module, size_t n_module, const char *name, size_t n_name)
{
    char shown[2][FI_EXCERPT_MAX];
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (text_is(module, n_module, globals[i].module) && text_is(name, n_name, globals[i].name))
            return push(m, (value){.kind = GLOBAL, .integer = (int64_t)i});
    return refuse(
        m,
        "data.pkl names the Python object %s.%s, which no plain state dict needs: refused, and nothing was run; "
        "save model.state_dict() with tensors of common types, or safetensors",
        fi_excerpt(module, n_module, shown[0]), fi_excerpt(name, n_name, shown[1]));
}

static ftl_status fetch_line(machine *m, const char **line, size_t *n)
{
    const unsigned char *end = memchr(m->at, '\n', (size_t)(m->end - m->at));
    if (!end) return refuse(m, "data.pkl is cut short");
    *line = (const char *)m->at;
    *n = (size_t)(end - m->at);
    m->at = end + 1;
    return FTL_OK;
}

static ftl_status named_global(machine *m)
{
    const char *module = NULL, *name = NULL;
    size_t n_module = 0, n_name = 0;
    ftl_status st = fetch_line(m, &module, &n_module);
    if (!st) st = fetch_line(m, &name, &n_name);
    return st ? st : push_global(m, module, n_module, name, n_name);
}

static ftl_status stacked_global(machine *m)
{
    value module = {0}, name = {0};
    ftl_status st = pop(m, TEXT, &name);
    if (!st) st = pop(m, TEXT, &module);
    return st ? st : push_global(m, module.text, module.size, name.text, name.size);
}

/* ---- tensors ---- */

static ftl_status find_entry(machine *m, const char *folder, const char *name, size_t n, const fi_zip_entry **out)
{
    char shown[FI_EXCERPT_MAX];
    fi_buf_clear(&m->entry);
    fi_buf_put(&m->entry, m->top, m->top_size);
    fi_buf_text(&m->entry, folder);
    fi_buf_put(&m->entry, name, n);
    if (m->entry.failed) return fi_fail_memory(m->err);
    *out = fi_zip_find(&m->zip, m->entry.data, m->entry.size);
    if (*out && !(*out)->stored)
        return refuse(m,
                      "entry '%s' is compressed or encrypted; unpack the archive and store it, or save it again by "
                      "torch.save",
                      fi_excerpt(m->entry.data, m->entry.size, shown));
    return FTL_OK;
}

/* Persistent id: ('storage', type, key, device, number of elements). */
static ftl_status push_storage(machine *m)
{
    value id = {0};
    char shown[FI_EXCERPT_MAX];
    ftl_status st = pop(m, TUPLE, &id);
    if (st) return st;
    const value *v = id.items->v;
    if (id.items->n != 5 || v[0].kind != TEXT || !text_is(v[0].text, v[0].size, "storage") || v[1].kind != GLOBAL ||
        globals[v[1].integer].role != IS_STORAGE || v[2].kind != TEXT || v[4].kind != INTEGER || v[4].integer < 0)
        return confused(m, "a persistent id is not that of a storage");
    const fi_zip_entry *entry;
    st = find_entry(m, "data/", v[2].text, v[2].size, &entry);
    if (st) return st;
    fi_dtype type = globals[v[1].integer].type;
    size_t n = (size_t)v[4].integer, bytes;
    if (!entry) return refuse(m, "storage '%s' is not in the archive", fi_excerpt(v[2].text, v[2].size, shown));
    if (__builtin_mul_overflow(n, fi_dtype_size(type), &bytes) || bytes != entry->size)
        return refuse(m, "storage '%s' has %zu bytes, which are not %zu numbers of type %s",
                      fi_excerpt(v[2].text, v[2].size, shown), entry->size, n, fi_dtype_name(type));
    void *made = NULL;
    st = take(m, sizeof(storage), &made);
    if (st) return st;
    *(storage *)made = (storage){type, entry->at, n};
    return push(m, (value){.kind = STORAGE, .storage = made});
}

/* Whole numbers that are not negative, at most 8. */
static bool get_sizes(const value *v, size_t *out)
{
    if (v->kind != TUPLE || v->items->n > 8) return false;
    for (size_t i = 0; i < v->items->n; i++) {
        if (v->items->v[i].kind != INTEGER || v->items->v[i].integer < 0) return false;
        out[i] = (size_t)v->items->v[i].integer;
    }
    return true;
}

/* Is every element inside the storage, and no more of them than it has? */
static bool fits(const fi_stored *t, const size_t *stride, size_t offset, const storage *from)
{
    size_t last = offset, step;
    if (t->size > from->n || offset > from->n) return false;
    for (int d = 0; d < t->n_dims && t->size; d++)
        if (__builtin_mul_overflow(t->shape[d] - 1, stride[d], &step) || __builtin_add_overflow(last, step, &last))
            return false;
    return t->size == 0 || last < from->n;
}

/* _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks). */
static ftl_status push_tensor(machine *m, const items *arguments)
{
    const value *v = arguments->v;
    size_t stride[8] = {0}, bytes;
    void *made = NULL;
    ftl_status st = take(m, sizeof(fi_stored), &made);
    if (st) return st;
    fi_stored *t = made;
    if (arguments->n < 4 || v[0].kind != STORAGE || v[1].kind != INTEGER || v[1].integer < 0 ||
        !get_sizes(&v[2], t->shape) || !get_sizes(&v[3], stride) || v[2].items->n != v[3].items->n)
        return confused(m, "a tensor is not described as one");
    t->type = v[0].storage->type;
    t->n_dims = (int)v[2].items->n;
    if (!fi_stored_layout(t, &bytes) || !fits(t, stride, (size_t)v[1].integer, v[0].storage))
        return confused(m, "a tensor leaves its storage, or repeats it (save it contiguous)");
    if (t->size) memcpy(t->stride, stride, sizeof stride);
    t->at = v[0].storage->at + (size_t)v[1].integer * fi_dtype_size(t->type);
    return push(m, (value){.kind = TENSOR, .tensor = t});
}

static ftl_status call(machine *m)
{
    value arguments = {0}, function = {0};
    ftl_status st = pop(m, TUPLE, &arguments);
    if (!st) st = pop(m, GLOBAL, &function);
    if (st) return st;
    const struct global *g = &globals[function.integer];
    const items *given = arguments.items;
    if (g->role == MAKES_DICT && given->n == 0) return push_items(m, DICT, NULL, 0);
    if (g->role == MAKES_TENSOR) return push_tensor(m, given);
    if (g->role == MAKES_PARAMETER && given->n && given->v[0].kind == TENSOR) return push(m, given->v[0]);
    return refuse(m, "data.pkl calls %s.%s in a way that no state dict needs; nothing was run", g->module, g->name);
}

/* obj.__setstate__: state dicts carry _metadata there, which nothing here needs. */
static ftl_status drop_state(machine *m)
{
    ftl_status st = operands(m, 2);
    if (st) return st;
    m->n_stack--;
    return m->stack[m->n_stack - 1].kind == DICT ? FTL_OK : confused(m, "state is given to what is no dict");
}

/* ---- opcodes ---- */

static ftl_status check_protocol(machine *m)
{
    uint64_t version;
    ftl_status st = fetch_number(m, 1, &version);
    if (!st && (version < 2 || version > 5))
        return refuse(m, "data.pkl has pickle protocol %d; 2 to 5 are read", (int)version);
    return st;
}

static ftl_status step(machine *m, unsigned opcode)
{
    switch (opcode) {
    case 0x80: return check_protocol(m);                               /* PROTO */
    case 0x95: return skip(m, 8);                                      /* FRAME */
    case 'c': return named_global(m);                                  /* GLOBAL */
    case 0x93: return stacked_global(m);                               /* STACK_GLOBAL */
    case 'q': return put_memo(m, 1);                                   /* BINPUT */
    case 'r': return put_memo(m, 4);                                   /* LONG_BINPUT */
    case 0x94: return remember(m, m->n_memo);                          /* MEMOIZE */
    case 'h': return recall(m, 1);                                     /* BINGET */
    case 'j': return recall(m, 4);                                     /* LONG_BINGET */
    case '(': return push(m, (value){.kind = MARK});                   /* MARK */
    case ')': return make_tuple(m, 0);                                 /* EMPTY_TUPLE */
    case 0x85: return make_tuple(m, 1);                                /* TUPLE1 */
    case 0x86: return make_tuple(m, 2);                                /* TUPLE2 */
    case 0x87: return make_tuple(m, 3);                                /* TUPLE3 */
    case 't': return make_marked_tuple(m);                             /* TUPLE */
    case ']': return push_items(m, LIST, NULL, 0);                     /* EMPTY_LIST */
    case 'a': return put_items(m, LIST, 1, 0);                         /* APPEND */
    case 'e': return put_marked(m, LIST);                              /* APPENDS */
    case '}': return push_items(m, DICT, NULL, 0);                     /* EMPTY_DICT */
    case 's': return put_items(m, DICT, 2, 0);                         /* SETITEM */
    case 'u': return put_marked(m, DICT);                              /* SETITEMS */
    case 'N': return push(m, (value){.kind = NONE});                   /* NONE */
    case 0x88: return push(m, (value){.kind = BOOLEAN, .integer = 1}); /* NEWTRUE */
    case 0x89: return push(m, (value){.kind = BOOLEAN, .integer = 0}); /* NEWFALSE */
    case 'K': return push_integer(m, 1, false);                        /* BININT1 */
    case 'M': return push_integer(m, 2, false);                        /* BININT2 */
    case 'J': return push_integer(m, 4, true);                         /* BININT */
    case 0x8A: return push_long(m);                                    /* LONG1 */
    case 'G': return push_real(m);                                     /* BINFLOAT */
    case 'X': return push_text(m, 4);                                  /* BINUNICODE */
    case 0x8C: return push_text(m, 1);                                 /* SHORT_BINUNICODE */
    case 'Q': return push_storage(m);                                  /* BINPERSID */
    case 'R': return call(m);                                          /* REDUCE */
    case 'b': return drop_state(m);                                    /* BUILD */
    default:
        return refuse(m,
                      "data.pkl uses pickle opcode 0x%02X at byte %zu, which no state dict needs: refused, and nothing "
                      "was run",
                      opcode, (size_t)(m->at - m->begin) - 1);
    }
}

static ftl_status run(machine *m)
{
    for (;;) {
        const unsigned char *opcode = NULL;
        ftl_status st = fetch(m, 1, &opcode);
        if (!st && *opcode == '.') return FTL_OK; /* STOP */
        if (!st) st = step(m, *opcode);
        if (st) return st;
    }
}

/* ---- from its result to tensors ---- */

static bool has_tensors(const items *dict)
{
    for (size_t i = 0; i + 1 < dict->n; i += 2)
        if (dict->v[i].kind == TEXT && dict->v[i + 1].kind == TENSOR) return true;
    return false;
}

/* Checkpoints keep the state dict beside an epoch and an optimiser, under one of these names. */
static const items *wrapped(const items *dict)
{
    static const char *const names[] = {"state_dict", "model_state_dict", "model",  "net",
                                        "network",    "module",           "weights"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        for (size_t i = 0; i + 1 < dict->n; i += 2)
            if (dict->v[i].kind == TEXT && text_is(dict->v[i].text, dict->v[i].size, names[k]) &&
                dict->v[i + 1].kind == DICT)
                return dict->v[i + 1].items;
    return NULL;
}

static const items *find_state(const items *dict)
{
    for (int depth = 0; depth < 3; depth++) { /* a dict may well contain itself */
        const items *inner = wrapped(dict);
        if (!inner) break;
        dict = inner;
    }
    return has_tensors(dict) ? dict : NULL;
}

static ftl_status collect(machine *m, fi_weights *weights, bool swapped)
{
    value result;
    char shown[FI_EXCERPT_MAX];
    ftl_status st = operands(m, 1);
    if (st) return st;
    result = m->stack[m->n_stack - 1];
    const items *state = result.kind == DICT ? find_state(result.items) : NULL;
    if (!state) return refuse(m, "holds no state dict: no tensors by name; save model.state_dict()");
    for (size_t i = 0; i + 1 < state->n; i += 2) {
        const value *name = &state->v[i];
        if (name->kind != TEXT || state->v[i + 1].kind != TENSOR) continue; /* a step count, a name */
        if (!fi_utf8_valid(name->text, name->size))
            return refuse(m, "the name of tensor '%s' is not UTF-8", fi_excerpt(name->text, name->size, shown));
        st = charge(m, name->size + 1); /* one long name may stand for many tensors */
        if (st) return st;
        st = fi_weights_add(weights, m->file, fi_strndup(name->text, name->size), state->v[i + 1].tensor, swapped,
                            m->err);
        if (st) return st;
    }
    return FTL_OK;
}

/* TOP/data.pkl says what TOP is. */
static ftl_status find_program(machine *m)
{
    const char *ending = "/data.pkl";
    for (size_t i = 0; i < m->zip.n; i++) {
        const fi_zip_entry *entry = &m->zip.entries[i];
        const char *slash = memchr(entry->name, '/', entry->name_size);
        if (!slash || !text_is(slash, entry->name_size - (size_t)(slash - entry->name), ending)) continue;
        m->top = entry->name;
        m->top_size = (size_t)(slash + 1 - entry->name);
        ftl_status st = find_entry(m, "data.pkl", "", 0, &entry);
        if (st) return st;
        st = fi_weight_file_take(m->file, entry->at, entry->size, "data.pkl", &m->program, m->err);
        m->begin = m->at = m->program;
        m->end = st ? m->program : m->program + entry->size;
        return st;
    }
    return refuse(m, "is a ZIP archive, but not one of PyTorch's: it has no data.pkl");
}

static ftl_status find_byte_order(machine *m, bool *swapped)
{
    char order[8]; /* more than "little" has */
    const fi_zip_entry *entry;
    ftl_status st = find_entry(m, "byteorder", "", 0, &entry);
    *swapped = false;
    if (st || !entry) return st;
    const size_t n = entry->size < sizeof order ? entry->size : sizeof order;
    st = fi_weight_file_read(m->file, entry->at, n, order, "byteorder", m->err);
    *swapped = !st && text_is(order, n, "big");
    if (st || *swapped || text_is(order, n, "little")) return st;
    return refuse(m, "its byteorder must be little or big");
}

ftl_status fi_pickle_read(fi_weights *weights, fi_weight_file *file, ftl_error *err)
{
    machine m = {.file = file, .err = err};
    bool swapped = false;
    ftl_status st = fi_zip_read(&m.zip, file, err);
    if (!st) st = find_program(&m);
    if (!st) st = find_byte_order(&m, &swapped);
    if (!st) st = run(&m);
    if (!st) st = collect(&m, weights, swapped);
    while (m.chunks) {
        chunk *next = m.chunks->next;
        fi_free(m.chunks);
        m.chunks = next;
    }
    fi_buf_release(&m.entry);
    fi_free(m.memo);
    fi_free(m.stack);
    fi_free(m.program);
    fi_zip_release(&m.zip);
    return st;
}
