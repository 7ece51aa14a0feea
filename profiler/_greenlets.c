/* gevent's greenlets: which one a thread runs, and where the suspended ones wait. greenlets.py keeps a set of those that
   are spawned. No Python code runs here: what is called are functions and getters in C alone, those of greenlet's own
   class. */

#include "_tick.h"
#include <frameobject.h>

static struct {
    PyObject *current;         /* greenlet.getcurrent, once gevent is loaded */
    PyObject *parent, *frame, *context; /* getters: parent, gr_frame and gr_context */
} known;

static PyObject *
get(PyObject *getter, PyObject *greenlet)
{
    PyObject *found = Py_TYPE(getter)->tp_descr_get(getter, greenlet, (PyObject *)Py_TYPE(greenlet));
    if (found == NULL) {
        PyErr_Clear();
    }
    return found;
}

/* The name that the program gave it, else its class: "Greenlet-7" is made by Python code. */
static PyObject *
name_of(PyObject *greenlet)
{
    PyObject **attributes = _PyObject_GetDictPtr(greenlet);
    PyObject *name = attributes == NULL || *attributes == NULL ? NULL : PyDict_GetItemString(*attributes, "name");
    if (name != NULL && PyUnicode_CheckExact(name)) {
        Py_INCREF(name);
        return name;
    }
    name = PyUnicode_FromString(Py_TYPE(greenlet)->tp_name);
    if (name != NULL) {
        PyUnicode_InternInPlace(&name); /* for a table compares names as objects */
    }
    return name;
}

static uint32_t
task_of(struct table *table, PyObject *greenlet)
{
    PyObject *name = name_of(greenlet);
    uint32_t index = name == NULL ? NONE : table_task(table, (uint64_t)(uintptr_t)greenlet, name);
    PyErr_Clear();
    Py_XDECREF(name);
    return index;
}

uint32_t
running_greenlet(struct table *table, PyThreadState *thread)
{
    if (known.current == NULL || thread != PyThreadState_Get()) { /* only the thread itself knows */
        return NONE;
    }
    PyObject *greenlet = PyObject_CallNoArgs(known.current);
    PyObject *parent = greenlet == NULL ? NULL : get(known.parent, greenlet);
    /* The one without a parent is the thread itself. */
    uint32_t index = parent == NULL || parent == Py_None ? NONE : task_of(table, greenlet);
    PyErr_Clear();
    Py_XDECREF(parent);
    Py_XDECREF(greenlet);
    return index;
}

static void
sample_greenlet(struct table *table, PyObject *greenlet, int depth, uint64_t wall_ns)
{
    static struct frame frames[DEPTH_MAX];
    PyObject *top = get(known.frame, greenlet), *context = NULL; /* None: it is over, it runs, or it has not begun */
    int count = top != NULL && PyFrame_Check(top) ? walk_frames((PyFrameObject *)top, frames, depth) : 0;
    if (count > 0) {
        uint32_t stack = table_stack(table, frames, count);
        context = get(known.context, greenlet);
        add_suspended(table, stack, task_of(table, greenlet), context, wall_ns);
    }
    Py_XDECREF(context);
    Py_XDECREF(top);
}

struct crowd all_greenlets;

static PyObject *
getter_of(PyObject *type, const char *name)
{
    PyObject *found = PyObject_GetAttrString(type, name);
    PyErr_Clear();
    if (found != NULL && !Py_IS_TYPE(found, &PyGetSetDescr_Type)) {
        Py_CLEAR(found);
    }
    return found;
}

void
look_for_greenlets(void)
{
    if (known.current != NULL || PyDict_GetItemString(PyImport_GetModuleDict(), "gevent") == NULL) {
        return;
    }
    PyObject *current = loaded("greenlet", "getcurrent"), *type = loaded("greenlet", "greenlet");
    PyObject *spawned = loaded("ddmiddleware.profiling.greenlets", "spawned");
    if (current != NULL && PyCFunction_Check(current) && type != NULL && PyType_Check(type)) {
        PyObject *parent = getter_of(type, "parent");
        PyObject *frame = getter_of(type, "gr_frame"), *context = getter_of(type, "gr_context");
        if (spawned != NULL && parent != NULL && frame != NULL && context != NULL) {
            known.parent = parent, known.frame = frame, known.context = context;
            known.current = current;
            all_greenlets = (struct crowd){(PyTypeObject *)type, spawned, sample_greenlet, 0, 0};
            return;
        }
        Py_XDECREF(parent);
        Py_XDECREF(frame);
        Py_XDECREF(context);
    }
    Py_XDECREF(current);
    Py_XDECREF(type);
    Py_XDECREF(spawned);
}
