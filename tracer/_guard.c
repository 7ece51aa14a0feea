/* How the guard (guard.py) is entered and left: the twins of methods of Guard, for where nothing went wrong. */

#include "_accelerator.h"

static PyObject *leave_in_python, *enter_in_python;

static PyObject *
enter(PyObject *Py_UNUSED(guard), PyObject *Py_UNUSED(nothing))
{
    Py_RETURN_NONE;
}

/* Without an error; one is for the Python method. */
static PyObject *
leave(PyObject *guard, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    if (nargs == 3 && names == NULL && args[1] == Py_None) {
        Py_RETURN_FALSE;
    }
    PyObject *bound = PyMethod_New(leave_in_python, guard);
    if (bound == NULL) {
        return NULL;
    }
    PyObject *result = PyObject_Vectorcall(bound, args, (size_t)nargs, names);
    Py_DECREF(bound);
    return result;
}

static PyMethodDef enter_method = METHOD("__enter__", enter, METH_NOARGS);
static PyMethodDef leave_method = METHOD("__exit__", leave, METH_FASTCALL | METH_KEYWORDS);

int
ddmiddleware_replace_methods_of_guards(PyTypeObject *guards)
{
    if (ddmiddleware_replace_method(guards, &enter_method, "__enter__($self)", &enter_in_python) < 0) {
        return -1;
    }
    return ddmiddleware_replace_method(guards, &leave_method, "__exit__($self, kind, error, tb)", &leave_in_python);
}
