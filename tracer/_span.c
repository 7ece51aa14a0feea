/* How a span takes a tag and ends: the twins of methods of Span (span.py).

   What is unusual, each hands to its Python method. No Python code runs, and no other thread, between the steps that
   the Python methods take without a call in between. */

#include "_accelerator.h"
#include "_trace.h"

static PyObject *set_tag(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
static PyObject *finish(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
static PyObject *finish_active(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
static PyObject *enter(PyObject *, PyObject *);
static PyObject *leave(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);

/* The methods that replace those of Span, and what they replace. */
enum { SET_TAG, FINISH, FINISH_ACTIVE, ENTER, EXIT, METHODS };
static struct {
    PyMethodDef definition;
    const char *signature;
    PyObject *in_python;
} methods[METHODS] = {
    {METHOD("set_tag", set_tag, METH_FASTCALL | METH_KEYWORDS), "set_tag($self, key, value=None)", NULL},
    {METHOD("finish", finish, METH_FASTCALL | METH_KEYWORDS), "finish($self, finish_time=None)", NULL},
    {METHOD("_finish_active", finish_active, METH_FASTCALL | METH_KEYWORDS), "_finish_active($self, finish_time=None)", NULL},
    {METHOD("__enter__", enter, METH_NOARGS), "__enter__($self)", NULL},
    {METHOD("__exit__", leave, METH_FASTCALL | METH_KEYWORDS), "__exit__($self, kind, error, tb)", NULL},
};

static PyObject *finish_name;

static PyObject *
call_in_python(int method, PyObject *span, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    PyObject *bound = PyMethod_New(methods[method].in_python, span);
    if (bound == NULL) {
        return NULL;
    }
    PyObject *result = PyObject_Vectorcall(bound, args, (size_t)nargs, names);
    Py_DECREF(bound);
    return result;
}

/* A text under a key that is not special. */
static PyObject *
set_tag(PyObject *span, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    if (nargs != 2 || names != NULL || !PyUnicode_CheckExact(args[0]) || !PyUnicode_CheckExact(args[1])) {
        return call_in_python(SET_TAG, span, args, nargs, names);
    }
    PyObject *key = args[0], *meta = SLOT(span, _meta), *metrics = SLOT(span, _metrics);
    int special = PySet_Contains(ddmiddleware_known.special_keys, key);
    if (special < 0) {
        return NULL;
    }
    if (special || meta == NULL || !PyDict_CheckExact(meta) || metrics == NULL || !PyDict_CheckExact(metrics)) {
        return call_in_python(SET_TAG, span, args, nargs, names);
    }
    Py_INCREF(meta); /* what the tag replaces may run code when it goes */
    Py_INCREF(metrics);
    int failed = PyDict_SetItem(meta, key, args[1]);
    if (!failed && PyDict_GET_SIZE(metrics)) {
        int found = PyDict_Contains(metrics, key);
        failed = found < 0 || (found && PyDict_DelItem(metrics, key));
    }
    Py_DECREF(meta);
    Py_DECREF(metrics);
    if (failed) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Make what was active before *span* active again, unless it *stays* active. */
static int
restore(PyObject *span, int stays)
{
    PyObject *current, *previous = Py_XNewRef(SLOT(span, _previous)), *done = NULL;
    if (previous == NULL) {
        return strange_trace();
    }
    if (PyContextVar_Get(ddmiddleware_known.active, Py_None, &current) == 0) {
        if (current == span && stays) {
            done = Py_NewRef(Py_None);
        }
        else if (current == span) {
            done = PyContextVar_Set(ddmiddleware_known.active, previous);
        }
        else {
            done = current == Py_None ? Py_NewRef(Py_None) : PyObject_CallMethod(span, "_leave", "O", current);
        }
        Py_DECREF(current);
    }
    Py_DECREF(previous);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Hand the finished spans over; two threads never take the same list. */
static int
export_chunk(PyObject *trace)
{
    PyObject *fresh = PyList_New(0); /* before reading the slot: the garbage collector may run code */
    if (fresh == NULL) {
        return -1;
    }
    if (!is_plain_trace(trace)) {
        Py_DECREF(fresh);
        return strange_trace();
    }
    PyObject *chunk = SLOT(trace, finished);
    SLOT(trace, finished) = fresh;
    PyObject *done = PyList_GET_SIZE(chunk)
                         ? PyObject_CallMethod(SLOT(trace, tracer), "export", "OO", chunk, trace)
                         : Py_NewRef(Py_None);
    Py_DECREF(chunk);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Whether nothing above *span* is open; where only whole traces are sent, flush_at is a float. */
static int
is_orphaned(PyObject *trace, PyObject *span)
{
    PyObject *parent = SLOT(span, _parent);
    int above = parent != NULL && PyObject_TypeCheck(parent, ddmiddleware_known.spans) &&
                SLOT(parent, duration_ns) == Py_None;
    return !above && PyLong_CheckExact(SLOT(trace, flush_at));
}

static int
join_finished(PyObject *trace, PyObject *span)
{
    if (!is_plain_trace(trace)) {
        return strange_trace();
    }
    PyObject *finished = SLOT(trace, finished);
    if (PyList_Append(finished, span) < 0 || count_open(trace, -1) < 0) {
        return -1;
    }
    int open = PyObject_IsTrue(SLOT(trace, open)), full = 0;
    if (open && is_orphaned(trace, span)) {
        full = 1;
    }
    else if (open) {
        PyObject *count = PyLong_FromSsize_t(PyList_GET_SIZE(finished));
        full = count == NULL ? -1 : PyObject_RichCompareBool(count, SLOT(trace, flush_at), Py_GE);
        Py_XDECREF(count);
    }
    return open && full <= 0 ? full : export_chunk(trace);
}

/* Now; a time that is given is for the Python method. */
static PyObject *
finish_as(int method, PyObject *span, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    PyObject *trace = SLOT(span, _trace), *start_ns = SLOT(span, start_ns);
    if (nargs || names != NULL || SLOT(span, duration_ns) != Py_None || !is_number(start_ns) ||
        SLOT(span, _previous) == NULL || !is_plain_trace(trace) ||
        (method == FINISH_ACTIVE && !Py_IS_TYPE(span, (PyTypeObject *)ddmiddleware_known.spans))) {
        return call_in_python(method, span, args, nargs, names);
    }
    Py_INCREF(trace);
    Py_INCREF(start_ns);
    PyObject *now = now_ns(trace), *duration = now == NULL ? NULL : PyNumber_Subtract(now, start_ns);
    Py_XDECREF(now);
    Py_DECREF(start_ns);
    int failed = duration == NULL;
    if (!failed) {
        Py_SETREF(SLOT(span, duration_ns), duration);
        failed = restore(span, method == FINISH_ACTIVE) < 0 || join_finished(trace, span) < 0;
    }
    Py_DECREF(trace);
    if (failed) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
finish(PyObject *span, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    return finish_as(FINISH, span, args, nargs, names);
}

static PyObject *
finish_active(PyObject *span, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    return finish_as(FINISH_ACTIVE, span, args, nargs, names);
}

static PyObject *
enter(PyObject *span, PyObject *Py_UNUSED(nothing))
{
    return Py_NewRef(span);
}

/* Without an error; one is for the Python method. */
static PyObject *
leave(PyObject *span, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    if (nargs != 3 || names != NULL || args[1] != Py_None) {
        return call_in_python(EXIT, span, args, nargs, names);
    }
    PyObject *done = PyObject_CallMethodNoArgs(span, finish_name);
    if (done == NULL) {
        return NULL;
    }
    Py_DECREF(done);
    Py_RETURN_NONE;
}

int
ddmiddleware_replace_methods_of_spans(void)
{
    finish_name = PyUnicode_InternFromString("finish");
    for (int method = 0; method < METHODS; method++) {
        if (finish_name == NULL ||
            ddmiddleware_replace_method(ddmiddleware_known.spans, &methods[method].definition,
                                        methods[method].signature, &methods[method].in_python) < 0) {
            return -1;
        }
    }
    return 0;
}
