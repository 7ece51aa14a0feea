/* The memory sampler's module: what Python calls to start it, and to fetch what was seen. See _memory_hook.c. */

#include "_memory.h"

static PyObject *
prepare(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *span_type, *variable;
    if (!PyArg_ParseTuple(args, "O!O!", &PyType_Type, &span_type, &PyContextVar_Type, &variable)) {
        return NULL;
    }
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "only the main interpreter is sampled");
        return NULL;
    }
    if (work_prepare(span_type, variable) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
start(PyObject *Py_UNUSED(module), PyObject *args)
{
    double mean;
    int depth, heap;
    if (!PyArg_ParseTuple(args, "dip", &mean, &depth, &heap)) {
        return NULL;
    }
    if (hook_start(mean, depth, heap) < 0) {
        return PyErr_NoMemory();
    }
    Py_RETURN_NONE;
}

static PyObject *
stop(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    hook_stop();
    Py_RETURN_NONE;
}

static PyObject *
forget(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    hook_forget();
    Py_RETURN_NONE;
}

static PyObject *
swap(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    struct table *full = hook_swap();
    if (full == NULL) {
        return PyErr_NoMemory();
    }
    PyObject *handle = table_handle(full);
    if (handle == NULL) {
        table_free(full);
    }
    return handle;
}

static PyObject *
counts(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    struct hook_counts now = hook_counts();
    return Py_BuildValue("{sKsKsKsKsK}", "samples", now.samples, "live", now.live, "lost", now.lost, "skipped",
                         now.skipped, "installed", now.installed);
}

static PyMethodDef methods[] = {
    {"prepare", prepare, METH_VARARGS, PyDoc_STR("prepare(Span, active): learn the tracer's spans.")},
    {"start", start, METH_VARARGS, PyDoc_STR("start(mean, depth, heap): sample one allocation per *mean* bytes.")},
    {"stop", stop, METH_NOARGS, PyDoc_STR("stop(): what was seen is kept.")},
    {"forget", forget, METH_NOARGS, PyDoc_STR("forget(): drop what was seen, and be stopped.")},
    {"swap", swap, METH_NOARGS, PyDoc_STR("swap(): return a handle to what was seen, and begin anew.")},
    {"rows", rows, METH_VARARGS, PyDoc_STR("rows(handle, first, count): samples of a handle.")},
    {"stack", stack, METH_VARARGS, PyDoc_STR("stack(handle, index): code objects and offsets, in turn.")},
    {"counts", counts, METH_NOARGS, PyDoc_STR("counts(): what the hook did.")},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "ddmiddleware.profiling._memory", "The memory sampler; see _memory_hook.c.", -1, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit__memory(void)
{
    return PyModule_Create(&definition);
}
