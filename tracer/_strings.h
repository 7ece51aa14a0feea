/* The texts of a payload and their packed indices, as _Strings (encoding.py) gives them to texts that need no cleaning. */

#ifndef DDMIDDLEWARE_STRINGS_H
#define DDMIDDLEWARE_STRINGS_H

#include "_msgpack.h"

enum { PLAIN_CHARACTERS = 10000, INDEX_BYTES = 9, SEEN = 64 };

typedef struct {
    unsigned char size, bytes[INDEX_BYTES];
} Index;

/* The _Strings with its list, and the texts seen last, by where they stand: spans of a chunk share most of theirs. */
typedef struct {
    PyObject *indices, *ordered;
    Py_ssize_t added; /* to strings.size */
    struct {
        PyObject *text;
        Index index;
    } seen[SEEN];
} Strings;

static inline int
unusual(const char *what)
{
    PyErr_SetString(PyExc_TypeError, what);
    return -1;
}

static inline int
is_text(PyObject *object)
{
    return object != NULL && (PyUnicode_CheckExact(object) || object == Py_None);
}

/* Give a new text the next index. */
static inline PyObject *
add_text(Strings *strings, PyObject *text)
{
    Writer index = {PyBytes_FromStringAndSize(NULL, INDEX_BYTES), 0};
    if (index.bytes == NULL || put_small(&index, PyList_GET_SIZE(strings->ordered)) < 0 ||
        _PyBytes_Resize(&index.bytes, index.used) < 0 || PyList_Append(strings->ordered, text) < 0 ||
        PyDict_SetItem(strings->indices, text, index.bytes) < 0) {
        Py_CLEAR(index.bytes);
        return NULL;
    }
    strings->added += PyUnicode_GET_LENGTH(text) + 3;
    return index.bytes;
}

static inline PyObject *
look_up(Strings *strings, PyObject *text)
{
    PyObject *index = PyDict_GetItemWithError(strings->indices, text);
    if (index != NULL || PyErr_Occurred()) {
        return Py_XNewRef(index);
    }
    int plain = PyUnicode_IS_COMPACT_ASCII(text) && PyUnicode_GET_LENGTH(text) <= PLAIN_CHARACTERS;
    return plain ? add_text(strings, text) : PyObject_GetItem(strings->indices, text);
}

/* The index of a text, good until the next call; None has that of the empty text. */
static inline const Index *
index_of(Strings *strings, PyObject *text)
{
    size_t place = ((size_t)text >> 4 ^ (size_t)text >> 10) % SEEN;
    if (text != NULL && strings->seen[place].text == text) {
        return &strings->seen[place].index;
    }
    if (!is_text(text)) {
        unusual("no plain text");
        return NULL;
    }
    Py_INCREF(text); /* another thread may take it from its span meanwhile */
    PyObject *packed = look_up(strings, text);
    if (packed == NULL || !PyBytes_CheckExact(packed) || PyBytes_GET_SIZE(packed) > INDEX_BYTES) {
        if (packed != NULL) {
            unusual("no packed index");
        }
        Py_XDECREF(packed);
        Py_DECREF(text);
        return NULL;
    }
    Index *index = &strings->seen[place].index;
    index->size = (unsigned char)PyBytes_GET_SIZE(packed);
    memcpy(index->bytes, PyBytes_AS_STRING(packed), index->size);
    Py_XSETREF(strings->seen[place].text, text);
    Py_DECREF(packed);
    return index;
}

static inline void
forget(Strings *strings)
{
    for (int place = 0; place < SEEN; place++) {
        Py_CLEAR(strings->seen[place].text);
    }
}

/* Add to strings.size what was added here. */
static inline int
count_added(Strings *strings)
{
    PyObject *before = PyObject_GetAttrString(strings->indices, "size");
    if (before == NULL) {
        return -1;
    }
    Py_ssize_t size = PyLong_AsSsize_t(before);
    Py_DECREF(before);
    PyObject *after = size < 0 ? NULL : PyLong_FromSsize_t(size + strings->added);
    if (after == NULL) {
        return -1;
    }
    int failed = PyObject_SetAttrString(strings->indices, "size", after);
    Py_DECREF(after);
    return failed;
}

#endif
