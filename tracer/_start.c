/* How a span begins: the twins of start and start_inside (start.py). */

#include "_accelerator.h"
#include "_trace.h"

enum { NAME, SERVICE, RESOURCE, SPAN_TYPE, TRACE, TRACE_ID, PARENT_ID, PARENT, PREVIOUS, ALL };

static int
fill(PyObject *span, PyObject *trace)
{
    PyObject *bits = PyLong_FromLong(64);
    SLOT(span, span_id) = bits == NULL ? NULL : PyObject_CallOneArg(ddmiddleware_known.random_bits, bits);
    Py_XDECREF(bits);
    SLOT(span, error) = PyLong_FromLong(0);
    SLOT(span, _meta) = PyDict_New();
    SLOT(span, _metrics) = PyDict_New();
    if (!SLOT(span, span_id) || !SLOT(span, error) || !SLOT(span, _meta) || !SLOT(span, _metrics)) {
        return -1;
    }
    if (!PyObject_IsTrue(SLOT(span, span_id))) {
        Py_SETREF(SLOT(span, span_id), PyLong_FromLong(1));
    }
    if (count_open(trace, 1) < 0 || (SLOT(span, start_ns) = now_ns(trace)) == NULL) {
        return -1;
    }
    for (Py_ssize_t index = 0; index < ddmiddleware_known.span_slot_count; index++) {
        PyObject **slot = (PyObject **)((char *)span + ddmiddleware_known.span_slots[index]);
        if (*slot == NULL) {
            *slot = Py_NewRef(Py_None);
        }
    }
    return 0;
}

/* Make a span of a plain trace; the references are taken first, for the garbage collector may run code. */
static PyObject *
make(PyObject *const *given)
{
    for (int index = 0; index < ALL; index++) {
        Py_INCREF(given[index]);
    }
    PyObject *span = ddmiddleware_known.spans->tp_alloc(ddmiddleware_known.spans, 0);
    if (span == NULL) {
        for (int index = 0; index < ALL; index++) {
            Py_DECREF(given[index]);
        }
        return NULL;
    }
    SLOT(span, name) = given[NAME];
    SLOT(span, service) = given[SERVICE];
    SLOT(span, resource) = given[RESOURCE];
    SLOT(span, span_type) = given[SPAN_TYPE];
    SLOT(span, trace_id) = given[TRACE_ID];
    SLOT(span, parent_id) = given[PARENT_ID];
    SLOT(span, _trace) = given[TRACE];
    SLOT(span, _parent) = given[PARENT];
    SLOT(span, _previous) = given[PREVIOUS];
    if (fill(span, given[TRACE]) < 0) {
        Py_CLEAR(span);
    }
    return span;
}

static int
is_prepared(void)
{
    if (ddmiddleware_known.spans == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "prepare() was not called");
        return 0;
    }
    return 1;
}

/* A trace that holds something unusual is for the Python function. */
PyObject *
ddmiddleware_start(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    if (!is_prepared()) {
        return NULL;
    }
    if (nargs != ALL || !is_plain_trace(args[TRACE])) {
        return PyObject_Vectorcall(ddmiddleware_known.start_in_python, args, (size_t)nargs, NULL);
    }
    int has_resource = PyObject_IsTrue(args[RESOURCE]);
    if (has_resource < 0) {
        return NULL;
    }
    PyObject *given[ALL];
    memcpy(given, args, sizeof given);
    given[RESOURCE] = args[has_resource ? RESOURCE : NAME];
    return make(given);
}

/* Whether the active span may be a parent: open, plain, and of a trace with less than *open_max* open spans. */
static int
is_parent(PyObject *active, PyObject *open_max)
{
    if (!Py_IS_TYPE(active, ddmiddleware_known.spans) || SLOT(active, duration_ns) != Py_None ||
        SLOT(active, service) == NULL || SLOT(active, trace_id) == NULL || SLOT(active, span_id) == NULL ||
        !is_plain_trace(SLOT(active, _trace)) || !is_number(open_max)) {
        return 0;
    }
    return PyObject_RichCompareBool(SLOT(SLOT(active, _trace), open), open_max, Py_LT);
}

static PyObject *
make_inside(PyObject *active, PyObject *name, PyObject *resource, PyObject *span_type)
{
    PyObject *given[ALL] = {
        [NAME] = name,
        [SERVICE] = SLOT(active, service),
        [RESOURCE] = resource,
        [SPAN_TYPE] = span_type,
        [TRACE] = SLOT(active, _trace),
        [TRACE_ID] = SLOT(active, trace_id),
        [PARENT_ID] = SLOT(active, span_id),
        [PARENT] = active,
        [PREVIOUS] = active,
    };
    PyObject *span = make(given);
    PyObject *token = span == NULL ? NULL : PyContextVar_Set(ddmiddleware_known.active, span);
    if (token == NULL) {
        Py_CLEAR(span);
    }
    Py_XDECREF(token);
    return span;
}

PyObject *
ddmiddleware_start_inside(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    if (!is_prepared()) {
        return NULL;
    }
    if (nargs != 4) {
        PyErr_SetString(PyExc_TypeError, "start_inside() takes name, resource, span_type and open_max");
        return NULL;
    }
    PyObject *active;
    int has_resource = PyObject_IsTrue(args[1]);
    if (has_resource < 0 || PyContextVar_Get(ddmiddleware_known.active, Py_None, &active) < 0) {
        return NULL;
    }
    int fits = is_parent(active, args[3]);
    PyObject *span = NULL;
    if (fits > 0) {
        span = make_inside(active, args[0], args[has_resource ? 1 : 0], args[2]);
    }
    else if (fits == 0) {
        span = Py_NewRef(Py_None);
    }
    Py_DECREF(active);
    return span;
}
