/* What a thread or task works for: the tracer's span in its context. Contexts of other threads are read too, for the GIL
   keeps them still; so the tracer need not tell anybody what it activates. No Python code runs here: what is called are
   methods of C types alone. */

#include "_tick.h"
#include <structmember.h>

static struct {
    PyTypeObject *span;
    PyObject *variable, *context_get; /* ContextVar "active", and contextvars.Context.get */
    Py_ssize_t parent, duration_ns, span_id, resource, span_type; /* offsets of slots */
} known;

static int
find_slot(const char *name, Py_ssize_t *offset)
{
    PyObject *found = PyObject_GetAttrString((PyObject *)known.span, name);
    if (found != NULL && Py_IS_TYPE(found, &PyMemberDescr_Type)) {
        *offset = ((PyMemberDescrObject *)found)->d_member->offset;
        Py_DECREF(found);
        return 0;
    }
    Py_XDECREF(found);
    PyErr_Format(PyExc_ImportError, "%s is no slot of %R", name, known.span);
    return -1;
}

int
work_prepare(PyObject *span_type, PyObject *variable)
{
    if (known.span != NULL) {
        return 0;
    }
    known.context_get = PyObject_GetAttrString((PyObject *)&PyContext_Type, "get");
    if (known.context_get == NULL) {
        return -1;
    }
    Py_INCREF(variable);
    known.variable = variable;
    Py_INCREF(span_type);
    known.span = (PyTypeObject *)span_type;
    if (find_slot("_parent", &known.parent) < 0 || find_slot("duration_ns", &known.duration_ns) < 0 ||
        find_slot("span_id", &known.span_id) < 0 || find_slot("resource", &known.resource) < 0 ||
        find_slot("span_type", &known.span_type) < 0) {
        known.span = NULL;
        return -1;
    }
    return 0;
}

static inline PyObject *
slot(PyObject *span, Py_ssize_t offset)
{
    return *(PyObject **)((char *)span + offset);
}

int
span_is_over(PyObject *span)
{
    PyObject *duration = slot(span, known.duration_ns);
    return duration != NULL && duration != Py_None;
}

void
span_names(PyObject *span, PyObject **resource, PyObject **type)
{
    *resource = slot(span, known.resource);
    *type = slot(span, known.span_type);
    Py_XINCREF(*resource);
    Py_XINCREF(*type);
}

static uint64_t
id_of(PyObject *span)
{
    PyObject *id = slot(span, known.span_id);
    return id != NULL && PyLong_CheckExact(id) ? PyLong_AsUnsignedLongLongMask(id) : 0;
}

/* The twin of activity.of, which says why. */
static int
work_of_span(PyObject *span, struct work *work)
{
    while (Py_IS_TYPE(span, known.span) && span_is_over(span)) {
        span = slot(span, known.parent);
        if (span == NULL) {
            return 0;
        }
    }
    if (!Py_IS_TYPE(span, known.span)) {
        return 0;
    }
    PyObject *root = span;
    for (PyObject *parent = root; parent != NULL && Py_IS_TYPE(parent, known.span); parent = slot(parent, known.parent)) {
        root = parent;
    }
    if (span_is_over(root)) {
        return 0;
    }
    work->root = root;
    work->root_id = id_of(root);
    work->span_id = root == span ? work->root_id : id_of(span);
    return work->root_id != 0;
}

int
work_of(PyObject *context, struct work *work)
{
    if (context == NULL || !PyContext_CheckExact(context)) {
        return 0;
    }
    PyObject *arguments[] = {context, known.variable};
    PyObject *span = PyObject_Vectorcall(known.context_get, arguments, 2, NULL);
    if (span == NULL) {
        PyErr_Clear();
        return 0;
    }
    Py_DECREF(span); /* the context holds it */
    return work_of_span(span, work);
}

int
work_here(struct work *work)
{
    PyObject *span = NULL;
    if (known.variable == NULL || PyContextVar_Get(known.variable, Py_None, &span) < 0) {
        PyErr_Clear();
        return 0;
    }
    Py_DECREF(span); /* the context holds it, or it is None */
    return work_of_span(span, work);
}
