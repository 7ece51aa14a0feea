/* Locks that tell how long they were waited for: two types that stand for those of threading, each around one of them.

   A lock that is free costs one call of the real lock, which is tried first; only where that fails, a clock is read, and
   Python is told (locks.py). Attributes that are not here are those of the real lock (lock_types.py). */

#include "_tick.h"
#include <structmember.h>
#include <time.h>

typedef struct {
    PyObject_HEAD
    PyObject *real, *real_acquire, *real_release;
    PyCodeObject *code; /* where it was made */
    int offset, recursive;
    uint64_t held_since_ns; /* 0 unless whoever holds it had to wait for it */
    PyObject *weak_references;
} lock_object;

static struct {
    PyObject *report;  /* report(lock, verb, ns), NULL while stopped */
    PyObject *wanted;  /* by the name of the module that makes a lock */
    PyObject *decide;  /* decide(name), for names that are not there yet */
    PyObject *name_key, *real_key, *acquire_key, *release_key;
    PyObject *passed_over; /* a code object that makes locks for its caller */
} locks;

static uint64_t
now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- Making one. ---- */

/* Whether the calling module's locks are watched: 1, 0, or -1 with an exception. */
static int
is_wanted(void)
{
    PyObject *globals = PyEval_GetGlobals(); /* borrowed, of the innermost Python frame */
    PyObject *name = globals == NULL ? NULL : PyDict_GetItemWithError(globals, locks.name_key);
    if (locks.report == NULL || name == NULL || !PyUnicode_CheckExact(name)) {
        return PyErr_Occurred() ? -1 : 0;
    }
    PyObject *found = PyDict_GetItemWithError(locks.wanted, name);
    if (found != NULL) {
        return found == Py_True;
    }
    if (PyErr_Occurred()) {
        return -1;
    }
    found = PyObject_CallOneArg(locks.decide, name);
    if (found == NULL) {
        return -1;
    }
    Py_DECREF(found);
    return found == Py_True;
}

static PyObject *
make(PyTypeObject *type, PyObject *args, PyObject *kwargs, int recursive)
{
    /* The class in lock_types.py says whom it stands for. */
    PyObject *factory = PyObject_GetAttr((PyObject *)type, locks.real_key);
    if (factory == NULL) {
        return NULL;
    }
    int derived = !PyDict_Contains(type->tp_dict, locks.real_key); /* by the program: who asks for one gets one */
    PyObject *real = PyObject_Call(factory, args, kwargs);
    Py_DECREF(factory);
    if (real == NULL) {
        return NULL;
    }
    int wanted = derived ? 1 : is_wanted();
    if (wanted <= 0) {
        if (wanted < 0) {
            Py_CLEAR(real);
        }
        return real;
    }
    lock_object *self = (lock_object *)type->tp_alloc(type, 0);
    if (self == NULL) {
        Py_DECREF(real);
        return NULL;
    }
    struct frame frames[2];
    self->real = real;
    self->recursive = recursive;
    self->real_acquire = PyObject_GetAttr(real, locks.acquire_key);
    self->real_release = PyObject_GetAttr(real, locks.release_key);
    if (self->real_acquire == NULL || self->real_release == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    int count = walk_thread(PyThreadState_Get(), frames, 1);
    if (count > 0 && (PyObject *)frames[0].code == locks.passed_over) {
        count = walk_thread(PyThreadState_Get(), frames, 2);
    }
    if (count > 0) {
        Py_INCREF(frames[count - 1].code);
        self->code = frames[count - 1].code;
        self->offset = frames[count - 1].offset;
    }
    return (PyObject *)self;
}

static PyObject *
lock_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    return make(type, args, kwargs, 0);
}

static PyObject *
rlock_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    return make(type, args, kwargs, 1);
}

static void
lock_dealloc(lock_object *self)
{
    if (self->weak_references != NULL) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    Py_XDECREF(self->real_acquire);
    Py_XDECREF(self->real_release);
    Py_XDECREF(self->real);
    Py_XDECREF(self->code);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* ---- Acquire and release. ---- */

static int
report(lock_object *self, const char *verb, uint64_t ns)
{
    PyObject *callback = locks.report;
    if (callback == NULL) {
        return 0;
    }
    Py_INCREF(callback);
    PyObject *done = PyObject_CallFunction(callback, "OsK", self, verb, (unsigned long long)ns);
    Py_DECREF(callback);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static PyObject *
wait_for(lock_object *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    uint64_t begun_ns = now_ns();
    PyObject *done = PyObject_Vectorcall(self->real_acquire, args, (size_t)count, names);
    if (done == NULL || locks.report == NULL) {
        return done;
    }
    uint64_t ended_ns = now_ns();
    if (done == Py_True) {
        self->held_since_ns = ended_ns;
    }
    if (report(self, "acquire", ended_ns - begun_ns) < 0) {
        /* What a signal handler raised, as KeyboardInterrupt: the lock is not taken then. */
        if (done == Py_True) {
            PyObject *kind, *value, *traceback;
            PyErr_Fetch(&kind, &value, &traceback);
            self->held_since_ns = 0;
            PyObject *released = PyObject_CallNoArgs(self->real_release);
            Py_XDECREF(released);
            PyErr_Restore(kind, value, traceback);
        }
        Py_CLEAR(done);
    }
    return done;
}

/* Whether these arguments ask to wait, and would raise nothing: the real lock judges all others. */
static int
is_waiting(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Py_ssize_t named = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    PyObject *blocking = count > 0 ? args[0] : Py_True, *timeout = count > 1 ? args[1] : NULL;
    if (count > 2) {
        return 0;
    }
    for (Py_ssize_t index = 0; index < named; index++) {
        PyObject *name = PyTuple_GET_ITEM(names, index);
        if (PyUnicode_CompareWithASCIIString(name, "blocking") == 0 && count < 1) {
            blocking = args[count + index];
        }
        else if (PyUnicode_CompareWithASCIIString(name, "timeout") == 0 && count < 2) {
            timeout = args[count + index];
        }
        else {
            return 0;
        }
    }
    if (blocking != Py_True && !(PyLong_CheckExact(blocking) && PyObject_IsTrue(blocking))) {
        return 0;
    }
    if (timeout == NULL) {
        return 1;
    }
    double seconds = PyFloat_CheckExact(timeout)  ? PyFloat_AS_DOUBLE(timeout)
                     : PyLong_CheckExact(timeout) ? PyLong_AsDouble(timeout)
                                                  : -2;
    PyErr_Clear();
    return seconds == -1 || (seconds >= 0 && seconds < 1e9);
}

static PyObject *
lock_acquire(lock_object *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if ((count > 0 || names != NULL) && !is_waiting(args, count, names)) {
        return PyObject_Vectorcall(self->real_acquire, args, (size_t)count, names);
    }
    PyObject *no = Py_False;
    PyObject *done = PyObject_Vectorcall(self->real_acquire, &no, 1, NULL);
    if (done != Py_False) { /* it is taken now, or this is an error */
        return done;
    }
    Py_DECREF(done);
    return wait_for(self, args, count, names);
}

static PyObject *
lock_enter(lock_object *self, PyObject *Py_UNUSED(args))
{
    return lock_acquire(self, NULL, 0, NULL);
}

/* Whether a recursive lock is held still, after one of several releases. */
static int
is_owned(lock_object *self)
{
    PyObject *owned = self->recursive ? PyObject_CallMethod(self->real, "_is_owned", NULL) : NULL;
    PyErr_Clear();
    Py_XDECREF(owned);
    return owned == Py_True;
}

static PyObject *
lock_release(lock_object *self, PyObject *Py_UNUSED(args))
{
    uint64_t since_ns = self->held_since_ns;
    if (since_ns == 0) {
        return PyObject_CallNoArgs(self->real_release);
    }
    self->held_since_ns = 0; /* before another thread may have it */
    uint64_t held_ns = now_ns() - since_ns;
    PyObject *done = PyObject_CallNoArgs(self->real_release);
    if (done != NULL && is_owned(self)) {
        self->held_since_ns = since_ns;
    }
    else if (done != NULL && report(self, "release", held_ns) < 0) {
        Py_CLEAR(done);
    }
    return done;
}

static PyObject *
lock_exit(lock_object *self, PyObject *const *Py_UNUSED(args), Py_ssize_t Py_UNUSED(count))
{
    return lock_release(self, NULL);
}

/* What Condition.wait, and a forked child, release it with: nobody measures how long it was held. */
static PyObject *
lock_release_save(lock_object *self, PyObject *Py_UNUSED(args))
{
    self->held_since_ns = 0;
    return PyObject_CallMethod(self->real, "_release_save", NULL);
}

static PyObject *
lock_at_fork_reinit(lock_object *self, PyObject *Py_UNUSED(args))
{
    self->held_since_ns = 0;
    return PyObject_CallMethod(self->real, "_at_fork_reinit", NULL);
}

/* ---- What it looks like. ---- */

static PyObject *
lock_repr(lock_object *self)
{
    return PyObject_Repr(self->real);
}

static PyObject *
lock_class(lock_object *self, void *Py_UNUSED(closure))
{
    PyObject *type = (PyObject *)Py_TYPE(self->real);
    Py_INCREF(type);
    return type;
}

/* pickle and copy say of the real lock that it cannot be. */
static PyObject *
lock_reduce(lock_object *self, PyObject *protocol)
{
    return PyObject_CallMethod(self->real, "__reduce_ex__", "O", protocol);
}

static PyMemberDef members[] = {
    {"_lock", T_OBJECT, offsetof(lock_object, real), READONLY, NULL},
    {"_code", T_OBJECT, offsetof(lock_object, code), READONLY, NULL},
    {"_offset", T_INT, offsetof(lock_object, offset), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef getters[] = {
    {"__class__", (getter)lock_class, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

#define FUNCTION(function) ((PyCFunction)(void (*)(void))(function))

#define METHODS                                                                                                        \
    {"acquire", FUNCTION(lock_acquire), METH_FASTCALL | METH_KEYWORDS, NULL},                                          \
    {"acquire_lock", FUNCTION(lock_acquire), METH_FASTCALL | METH_KEYWORDS, NULL},                                     \
    {"release", FUNCTION(lock_release), METH_NOARGS, NULL},                                                            \
    {"release_lock", FUNCTION(lock_release), METH_NOARGS, NULL},                                                       \
    {"__enter__", FUNCTION(lock_enter), METH_NOARGS, NULL},                                                            \
    {"__exit__", FUNCTION(lock_exit), METH_FASTCALL, NULL},                                                            \
    {"_at_fork_reinit", FUNCTION(lock_at_fork_reinit), METH_NOARGS, NULL},                                             \
    {"__reduce_ex__", FUNCTION(lock_reduce), METH_O, NULL}

static PyMethodDef lock_methods[] = {METHODS, {NULL, NULL, 0, NULL}};
static PyMethodDef rlock_methods[] = {
    METHODS,
    {"_release_save", FUNCTION(lock_release_save), METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

#define TYPE(name, methods, new)                                                                                       \
    {                                                                                                                  \
        PyVarObject_HEAD_INIT(NULL, 0).tp_name = "ddmiddleware.profiling._locks." name,                                \
        .tp_basicsize = sizeof(lock_object), .tp_dealloc = (destructor)lock_dealloc, .tp_repr = (reprfunc)lock_repr,   \
        .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,                                                          \
        .tp_weaklistoffset = offsetof(lock_object, weak_references), .tp_methods = methods, .tp_members = members,     \
        .tp_getset = getters, .tp_new = new,                                                                           \
    }

static PyTypeObject lock_type = TYPE("Lock", lock_methods, lock_new);
static PyTypeObject rlock_type = TYPE("RLock", rlock_methods, rlock_new);

/* ---- The module. ---- */

static PyObject *
start(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *report, *wanted, *decide, *passed_over;
    if (!PyArg_ParseTuple(args, "OO!OO", &report, &PyDict_Type, &wanted, &decide, &passed_over)) {
        return NULL;
    }
    Py_INCREF(passed_over);
    Py_XSETREF(locks.passed_over, passed_over);
    Py_INCREF(wanted);
    Py_XSETREF(locks.wanted, wanted);
    Py_INCREF(decide);
    Py_XSETREF(locks.decide, decide);
    Py_INCREF(report);
    Py_XSETREF(locks.report, report);
    Py_RETURN_NONE;
}

static PyObject *
stop(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    Py_CLEAR(locks.report);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"start", start, METH_VARARGS, PyDoc_STR("start(report, wanted, decide, passed_over): tell of waits.")},
    {"stop", stop, METH_NOARGS, PyDoc_STR("stop(): the locks do as the real ones.")},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "ddmiddleware.profiling._locks", "Locks that tell of waits; see locks.py.", -1, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit__locks(void)
{
    PyObject *module = NULL;
    locks.name_key = PyUnicode_InternFromString("__name__");
    locks.real_key = PyUnicode_InternFromString("_real");
    locks.acquire_key = PyUnicode_InternFromString("acquire");
    locks.release_key = PyUnicode_InternFromString("release");
    if (locks.name_key == NULL || locks.real_key == NULL || locks.acquire_key == NULL || locks.release_key == NULL ||
        PyType_Ready(&lock_type) < 0 || PyType_Ready(&rlock_type) < 0 ||
        (module = PyModule_Create(&definition)) == NULL) {
        return NULL;
    }
    Py_INCREF(&lock_type);
    Py_INCREF(&rlock_type);
    if (PyModule_AddObject(module, "Lock", (PyObject *)&lock_type) < 0 ||
        PyModule_AddObject(module, "RLock", (PyObject *)&rlock_type) < 0) {
        Py_CLEAR(module);
    }
    return module;
}
