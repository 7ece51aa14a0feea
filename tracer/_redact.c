/* Which spans of a chunk hold something to redact: the twin of what Redaction._redact (redaction.py) looks at first. */

#include "_accelerator.h"

/* Nothing here runs Python code: of texts that are str and nothing else, hashes and comparisons do not. */
static int
is_known(PyObject *texts, PyObject *text)
{
    return text != NULL && PyUnicode_CheckExact(text) && PySet_Contains(texts, text) == 1;
}

static int
are_keys_known(PyObject *keys, PyObject *map)
{
    if (map == NULL || !PyDict_CheckExact(map)) {
        return 0;
    }
    Py_ssize_t position = 0;
    PyObject *key;
    while (PyDict_Next(map, &position, &key, NULL)) {
        if (!is_known(keys, key)) {
            return 0;
        }
    }
    return 1;
}

static int
is_harmless(PyObject *span, PyObject *harmless, PyObject *quiet, PyObject *statements)
{
    if (!PyObject_TypeCheck(span, ddmiddleware_known.spans) || SLOT(span, _links) != Py_None ||
        SLOT(span, _events) != Py_None) {
        return 0;
    }
    PyObject *type = SLOT(span, span_type);
    return (type == Py_None || (type != NULL && PyUnicode_CheckExact(type) && !is_known(statements, type))) &&
           is_known(quiet, SLOT(span, name)) && is_known(quiet, SLOT(span, resource)) &&
           are_keys_known(harmless, SLOT(span, _meta)) && are_keys_known(harmless, SLOT(span, _metrics));
}

PyObject *
ddmiddleware_to_redact(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    enum { CHUNK, HARMLESS, QUIET, STATEMENTS, ALL };
    if (nargs != ALL || ddmiddleware_known.spans == NULL || !PySet_CheckExact(args[HARMLESS]) ||
        !PySet_CheckExact(args[QUIET]) || !PyFrozenSet_CheckExact(args[STATEMENTS])) {
        PyErr_SetString(PyExc_TypeError, "to_redact() takes a list, two sets and a frozenset");
        return NULL;
    }
    if (!PyList_CheckExact(args[CHUNK])) {
        return Py_NewRef(args[CHUNK]);
    }
    PyObject *found = PyList_New(0);
    if (found == NULL) {
        return NULL;
    }
    for (Py_ssize_t index = 0; index < PyList_GET_SIZE(args[CHUNK]); index++) {
        PyObject *span = PyList_GET_ITEM(args[CHUNK], index);
        if (!is_harmless(span, args[HARMLESS], args[QUIET], args[STATEMENTS])) {
            PyErr_Clear(); /* a text that cannot be hashed for want of memory is one to look at */
            if (PyList_Append(found, span) < 0) {
                Py_DECREF(found);
                return NULL;
            }
        }
    }
    return found;
}
