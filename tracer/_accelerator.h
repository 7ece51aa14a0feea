/* What the files of the accelerator share: the classes and functions that it was given, and where their slots stand. */

#ifndef DDMIDDLEWARE_ACCELERATOR_H
#define DDMIDDLEWARE_ACCELERATOR_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#ifdef Py_GIL_DISABLED
#error "Every step here relies on the GIL; without one the pure Python runs."
#endif

#define SPAN_SLOTS(EACH)                                                                                               \
    EACH(_events) EACH(_links) EACH(_meta) EACH(_metrics) EACH(_parent) EACH(_previous) EACH(_trace) EACH(duration_ns) \
    EACH(error) EACH(name) EACH(parent_id) EACH(resource) EACH(service) EACH(span_id) EACH(span_type) EACH(start_ns)   \
    EACH(trace_id)
#define TRACE_SLOTS(EACH) EACH(clock_offset) EACH(finished) EACH(flush_at) EACH(open) EACH(tracer)

/* Set by prepare() and kept until the process ends; spans is NULL until then. */
struct ddmiddleware_known {
    PyTypeObject *spans, *traces;
    PyObject *start_in_python, *special_keys, *active, *random_bits, *monotonic_ns;
    Py_ssize_t *span_slots, span_slot_count; /* all of them, those that no file here knows too */
#define OFFSET(slot) Py_ssize_t slot;
    SPAN_SLOTS(OFFSET) TRACE_SLOTS(OFFSET)
#undef OFFSET
};

extern struct ddmiddleware_known ddmiddleware_known;

/* The slot of an object whose class was checked, as its member descriptor finds it; NULL where it was deleted. */
#define SLOT(object, slot) (*(PyObject **)((char *)(object) + ddmiddleware_known.slot))

/* _accelerator.c: replace a method of a class, keep its signature and its documentation, and tell what it was. */
int ddmiddleware_replace_method(PyTypeObject *type, PyMethodDef *definition, const char *signature,
                                PyObject **in_python);

#define METHOD(name, function, flags) {name, (PyCFunction)(void (*)(void))function, flags, NULL}

/* _start.c */
PyObject *ddmiddleware_start(PyObject *module, PyObject *const *args, Py_ssize_t nargs);
PyObject *ddmiddleware_start_inside(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

/* _span.c */
int ddmiddleware_replace_methods_of_spans(void);

/* _guard.c */
int ddmiddleware_replace_methods_of_guards(PyTypeObject *guards);

/* _redact.c */
PyObject *ddmiddleware_holds(PyObject *module, PyObject *const *args, Py_ssize_t nargs);
PyObject *ddmiddleware_has_digits(PyObject *module, PyObject *const *args, Py_ssize_t nargs);
PyObject *ddmiddleware_to_redact(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

/* _encode.c */
PyObject *ddmiddleware_encode(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
