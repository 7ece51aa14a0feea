/* What a LocalTrace (context.py) counts and tells. */

#ifndef DDMIDDLEWARE_TRACE_H
#define DDMIDDLEWARE_TRACE_H

#include "_accelerator.h"

static inline int
is_number(PyObject *object)
{
    return object != NULL && PyLong_CheckExact(object);
}

static inline int
strange_trace(void)
{
    PyErr_SetString(PyExc_TypeError, "somebody changed the insides of a trace");
    return -1;
}

static inline int
count_open(PyObject *trace, long more)
{
    PyObject *before = SLOT(trace, open), *step = PyLong_FromLong(more);
    PyObject *after = step == NULL || !is_number(before) ? NULL : PyNumber_Add(before, step);
    Py_XDECREF(step);
    if (after == NULL) {
        return PyErr_Occurred() ? -1 : strange_trace();
    }
    SLOT(trace, open) = after;
    Py_DECREF(before);
    return 0;
}

/* The time by the clock of the trace. */
static inline PyObject *
now_ns(PyObject *trace)
{
    PyObject *now = PyObject_CallNoArgs(ddmiddleware_known.monotonic_ns), *offset = SLOT(trace, clock_offset);
    PyObject *sum = !is_number(now) || !is_number(offset) ? NULL : PyNumber_Add(now, offset);
    Py_XDECREF(now);
    if (sum == NULL && !PyErr_Occurred()) {
        strange_trace();
    }
    return sum;
}

/* Whether the slots of a trace hold what we put there; to ask again wherever Python code may have run. */
static inline int
is_plain_trace(PyObject *trace)
{
    return trace != NULL && PyObject_TypeCheck(trace, ddmiddleware_known.traces) && is_number(SLOT(trace, open)) &&
           is_number(SLOT(trace, clock_offset)) && SLOT(trace, finished) != NULL &&
           PyList_CheckExact(SLOT(trace, finished)) && SLOT(trace, flush_at) != NULL &&
           (PyLong_CheckExact(SLOT(trace, flush_at)) || PyFloat_CheckExact(SLOT(trace, flush_at)));
}

#endif
