/* The module of the hottest functions in C. The Python function of the same name is the specification of each: those
   of start.py for _start.c, of Span (span.py) for _span.c, of Guard (guard.py) for _guard.c, of Redaction
   (redaction.py) and Secrets (secrets.py) for _redact.c, and EncoderV05._encode (encoding.py) for _encode.c. */

#include "_accelerator.h"
#include <string.h>
#include <structmember.h>

struct ddmiddleware_known ddmiddleware_known;

static int
find_slot(PyObject *type, const char *name, Py_ssize_t *offset)
{
    PyObject *found = PyObject_GetAttrString(type, name);
    if (found != NULL && Py_IS_TYPE(found, &PyMemberDescr_Type)) {
        *offset = ((PyMemberDescrObject *)found)->d_member->offset;
        Py_DECREF(found);
        return 0;
    }
    Py_XDECREF(found);
    PyErr_Format(PyExc_ImportError, "%s is no slot of %R", name, type);
    return -1;
}

static int
find_all_slots(PyObject *type, PyObject *names)
{
    Py_ssize_t count = 0, *offsets = PyMem_New(Py_ssize_t, (size_t)PyTuple_GET_SIZE(names));
    if (offsets == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(names); index++) {
        const char *name = PyUnicode_AsUTF8(PyTuple_GET_ITEM(names, index));
        if (name != NULL && strcmp(name, "__weakref__") == 0) { /* not like the others: Python alone cares for it */
            continue;
        }
        if (name == NULL || find_slot(type, name, &offsets[count++]) < 0) {
            PyMem_Free(offsets);
            return -1;
        }
    }
    ddmiddleware_known.span_slots = offsets;
    ddmiddleware_known.span_slot_count = count;
    return 0;
}

static int
find_slots(PyObject *spans, PyObject *traces)
{
    PyObject *type = spans;
#define FIND(slot)                                                                                                     \
    if (find_slot(type, #slot, &ddmiddleware_known.slot) < 0) {                                                        \
        return -1;                                                                                                     \
    }
    SPAN_SLOTS(FIND)
    type = traces;
    TRACE_SLOTS(FIND)
#undef FIND
    PyObject *names = PyObject_GetAttrString(spans, "__slots__");
    if (names == NULL || !PyTuple_CheckExact(names)) {
        Py_XDECREF(names);
        PyErr_SetString(PyExc_ImportError, "Span.__slots__ is no tuple");
        return -1;
    }
    int failed = find_all_slots(spans, names);
    Py_DECREF(names);
    return failed;
}

int
ddmiddleware_replace_method(PyTypeObject *type, PyMethodDef *definition, const char *signature, PyObject **in_python)
{
    PyObject *function = *in_python = PyObject_GetAttrString((PyObject *)type, definition->ml_name);
    PyObject *doc = function == NULL ? NULL : PyObject_GetAttrString(function, "__doc__");
    if (doc == NULL) {
        return -1;
    }
    PyObject *shown = doc == Py_None ? NULL : doc;
    PyObject *whole = PyUnicode_FromFormat("%s\n--\n\n%V", signature, shown, "");
    Py_DECREF(doc);
    if (whole == NULL || (definition->ml_doc = PyUnicode_AsUTF8(whole)) == NULL) {
        Py_XDECREF(whole); /* kept otherwise: it holds the characters */
        return -1;
    }
    PyObject *replacement = PyDescr_NewMethod(type, definition);
    if (replacement == NULL) {
        return -1;
    }
    int failed = PyObject_SetAttrString((PyObject *)type, definition->ml_name, replacement);
    Py_DECREF(replacement);
    return failed;
}

static PyObject *
prepare(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *spans, *traces, *guards, *start, *special_keys, *active, *random_bits, *monotonic_ns;
    if (!PyArg_ParseTuple(args, "O!O!O!OO!O!OO", &PyType_Type, &spans, &PyType_Type, &traces, &PyType_Type, &guards,
                          &start, &PyFrozenSet_Type, &special_keys, &PyContextVar_Type, &active, &random_bits,
                          &monotonic_ns)) {
        return NULL;
    }
    if (ddmiddleware_known.spans != NULL || PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "there is one accelerator in a process, for the main interpreter");
        return NULL;
    }
    if (find_slots(spans, traces) < 0) {
        return NULL;
    }
    ddmiddleware_known.spans = (PyTypeObject *)Py_NewRef(spans);
    ddmiddleware_known.traces = (PyTypeObject *)Py_NewRef(traces);
    ddmiddleware_known.start_in_python = Py_NewRef(start);
    ddmiddleware_known.special_keys = Py_NewRef(special_keys);
    ddmiddleware_known.active = Py_NewRef(active);
    ddmiddleware_known.random_bits = Py_NewRef(random_bits);
    ddmiddleware_known.monotonic_ns = Py_NewRef(monotonic_ns);
    if (ddmiddleware_replace_methods_of_spans() < 0 ||
        ddmiddleware_replace_methods_of_guards((PyTypeObject *)guards) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"prepare", prepare, METH_VARARGS, "Learn where slots stand; replace methods."},
    {"start", (PyCFunction)(void (*)(void))ddmiddleware_start, METH_FASTCALL, "Make a span that starts now."},
    {"start_inside", (PyCFunction)(void (*)(void))ddmiddleware_start_inside, METH_FASTCALL,
     "Start a span under the active one and make it active, or return None."},
    {"to_redact", (PyCFunction)(void (*)(void))ddmiddleware_to_redact, METH_FASTCALL,
     "Return those spans of a chunk that may hold something to redact."},
    {"holds", (PyCFunction)(void (*)(void))ddmiddleware_holds, METH_FASTCALL, "Say whether a text holds one of words."},
    {"has_digits", (PyCFunction)(void (*)(void))ddmiddleware_has_digits, METH_FASTCALL,
     "Say whether a text may hold so many digits."},
    {"encode", (PyCFunction)(void (*)(void))ddmiddleware_encode, METH_FASTCALL,
     "Return the bytes of a chunk, or None where something in it is unusual."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "ddmiddleware.tracing._accelerator",
    .m_doc = "The hottest functions in C.",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC
PyInit__accelerator(void)
{
    return PyModule_Create(&definition);
}
