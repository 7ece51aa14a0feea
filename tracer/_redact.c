/* What is known of texts already, for a chunk's spans: the twin of what Redaction._redact (redaction.py) does with it.

   Nothing here runs Python code: of texts that are str and nothing else, hashes and comparisons do not, and what a table
   of texts does not hold is for Python to find out. A span is changed once all of it is known, or left to Python whole. */

#include "_accelerator.h"

typedef struct {
    PyObject *harmless, *quiet, *rules, *statements, *sql;
} Known;

static int
holds(PyObject *texts, PyObject *text)
{
    return text != NULL && PyUnicode_CheckExact(text) && PySet_Contains(texts, text) == 1;
}

/* What *text* becomes by a table, borrowed; NULL where that is not known. */
static PyObject *
look_up(PyObject *table, PyObject *text)
{
    int possible = table != NULL && PyDict_Check(table) && text != NULL && PyUnicode_CheckExact(text);
    return possible ? PyDict_GetItemWithError(table, text) : NULL;
}

static int
are_keys_harmless(const Known *known, PyObject *map)
{
    if (map == NULL || !PyDict_CheckExact(map)) {
        return 0;
    }
    Py_ssize_t position = 0;
    PyObject *key;
    while (PyDict_Next(map, &position, &key, NULL)) {
        if (!holds(known->harmless, key)) {
            return 0;
        }
    }
    return 1;
}

/* Look at every tag, or with *change* give every one its new value; returns how many have another one, or -1. */
static int
look_at_tags(const Known *known, PyObject *tags, int change)
{
    if (tags == NULL || !PyDict_CheckExact(tags)) {
        return -1;
    }
    int others = 0;
    Py_ssize_t position = 0;
    PyObject *key, *value;
    while (PyDict_Next(tags, &position, &key, &value)) {
        if (holds(known->harmless, key)) {
            continue;
        }
        PyObject *changed = look_up(look_up(known->rules, key), value);
        if (changed == NULL) {
            return -1;
        }
        if (changed != value) {
            others++;
            if (change && PyDict_SetItem(tags, key, changed) < 0) { /* the key is there: the table does not move */
                return -1;
            }
        }
    }
    return others;
}

/* Returns whether the span is as it should be now. */
static int
is_redacted(PyObject *span, const Known *known)
{
    static PyObject *system; /* made once */
    if (system == NULL && (system = PyUnicode_InternFromString("db.system")) == NULL) {
        return 0;
    }
    if (!PyObject_TypeCheck(span, ddmiddleware_known.spans) || SLOT(span, _links) != Py_None ||
        SLOT(span, _events) != Py_None || !holds(known->quiet, SLOT(span, name)) ||
        !are_keys_harmless(known, SLOT(span, _metrics))) {
        return 0;
    }
    PyObject *type = SLOT(span, span_type), *tags = SLOT(span, _meta), *resource = SLOT(span, resource);
    if (type == NULL || (type != Py_None && !PyUnicode_CheckExact(type))) {
        return 0;
    }
    int others = look_at_tags(known, tags, 0);
    if (others < 0) {
        return 0;
    }
    if (type != Py_None && holds(known->sql, type)) {
        PyObject *named = PyDict_GetItemWithError(tags, system);
        PyObject *changed = look_up(look_up(known->statements, named == NULL ? type : named), resource);
        if (changed == NULL) {
            return 0;
        }
        Py_INCREF(changed);
        Py_SETREF(SLOT(span, resource), changed);
    }
    else if (!holds(known->quiet, resource)) {
        return 0;
    }
    return others == 0 || look_at_tags(known, tags, 1) >= 0;
}

enum { WORDS_MAX = 64 };

/* Whether a word is in *text*, by one pass over it; -1 where it is not of single bytes, or a word is not. */
static int
holds_bytes(PyObject *text, PyObject *words)
{
    Py_ssize_t count = PyTuple_GET_SIZE(words);
    unsigned char first[256] = {0}, next[WORDS_MAX + 1]; /* the last word that begins with a byte, and the one before: from 1 */
    if (!PyUnicode_CheckExact(text) || PyUnicode_KIND(text) != PyUnicode_1BYTE_KIND || count > WORDS_MAX) {
        return -1;
    }
    for (Py_ssize_t index = 0; index < count; index++) {
        PyObject *word = PyTuple_GET_ITEM(words, index);
        if (!PyUnicode_CheckExact(word) || !PyUnicode_IS_ASCII(word) || PyUnicode_GET_LENGTH(word) == 0) {
            return -1;
        }
        Py_UCS1 begins = PyUnicode_1BYTE_DATA(word)[0];
        next[index + 1] = first[begins];
        first[begins] = (unsigned char)(index + 1);
    }
    const Py_UCS1 *at = PyUnicode_1BYTE_DATA(text), *end = at + PyUnicode_GET_LENGTH(text);
    for (; at < end; at++) {
        for (int index = first[*at]; index != 0; index = next[index]) {
            PyObject *word = PyTuple_GET_ITEM(words, index - 1);
            Py_ssize_t length = PyUnicode_GET_LENGTH(word);
            if (length <= end - at && memcmp(at, PyUnicode_1BYTE_DATA(word), (size_t)length) == 0) {
                return 1;
            }
        }
    }
    return 0;
}

/* Whether one of *words*, a tuple, is in *text*: the twin of holds (secrets.py). */
PyObject *
ddmiddleware_holds(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2 || !PyTuple_CheckExact(args[1])) {
        PyErr_SetString(PyExc_TypeError, "holds() takes a text and a tuple of words");
        return NULL;
    }
    int found = holds_bytes(args[0], args[1]);
    if (found >= 0) {
        return PyBool_FromLong(found);
    }
    found = 0;
    for (Py_ssize_t index = 0; found == 0 && index < PyTuple_GET_SIZE(args[1]); index++) {
        found = PySequence_Contains(args[0], PyTuple_GET_ITEM(args[1], index));
    }
    return found < 0 ? NULL : PyBool_FromLong(found);
}

PyObject *
ddmiddleware_to_redact(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    enum { CHUNK, HARMLESS, QUIET, RULES, STATEMENTS, SQL, ALL };
    if (nargs != ALL || ddmiddleware_known.spans == NULL || !PySet_CheckExact(args[HARMLESS]) ||
        !PySet_CheckExact(args[QUIET]) || !PyFrozenSet_CheckExact(args[SQL])) {
        PyErr_SetString(PyExc_TypeError, "to_redact() takes a list, two sets, two dicts and a frozenset");
        return NULL;
    }
    if (!PyList_CheckExact(args[CHUNK])) {
        return Py_NewRef(args[CHUNK]);
    }
    const Known known = {args[HARMLESS], args[QUIET], args[RULES], args[STATEMENTS], args[SQL]};
    PyObject *left = PyList_New(0);
    if (left == NULL) {
        return NULL;
    }
    for (Py_ssize_t index = 0; index < PyList_GET_SIZE(args[CHUNK]); index++) {
        PyObject *span = PyList_GET_ITEM(args[CHUNK], index);
        if (!is_redacted(span, &known)) {
            PyErr_Clear(); /* a text that cannot be hashed for want of memory is one to look at */
            if (PyList_Append(left, span) < 0) {
                Py_DECREF(left);
                return NULL;
            }
        }
    }
    return left;
}

/* Whether *text* may hold *count* digits: the twin of has_digits (secrets.py), which may always say so. */
PyObject *
ddmiddleware_has_digits(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "has_digits() takes a text and a count");
        return NULL;
    }
    if (!PyUnicode_CheckExact(args[0]) || PyUnicode_KIND(args[0]) != PyUnicode_1BYTE_KIND) {
        Py_RETURN_TRUE; /* others' digits are digits as well */
    }
    Py_ssize_t left = PyLong_AsSsize_t(args[1]);
    if (left < 0 && PyErr_Occurred()) {
        return NULL;
    }
    const Py_UCS1 *at = PyUnicode_1BYTE_DATA(args[0]), *end = at + PyUnicode_GET_LENGTH(args[0]);
    for (; at < end && left > 0; at++) {
        left -= *at >= '0' && *at <= '9';
    }
    return PyBool_FromLong(left == 0);
}
