/* The twin of EncoderV05._encode (encoding.py): the same bytes, and the same strings in the same order.

   Whatever is unusual (a subclass of str, a number that does not fit, a dictionary that changes meanwhile) ends in
   None, and the Python method encodes the chunk; the strings found so far are the first ones that it would find. */

#include "_accelerator.h"
#include "_strings.h"

enum { SPAN_FIELDS = 12, SPAN_BYTES = 128, SPANS_PER_BREATH = 256 };

static int
put_unsigned(Writer *out, PyObject *number)
{
    if (number == NULL || !PyLong_CheckExact(number)) {
        return unusual("no plain number");
    }
    unsigned long long value = PyLong_AsUnsignedLongLong(number);
    if (value == (unsigned long long)-1 && PyErr_Occurred()) {
        return -1;
    }
    return put_number(out, UINT64, value, 8);
}

static int
put_signed(Writer *out, PyObject *number)
{
    if (number == NULL || !PyLong_CheckExact(number)) {
        return unusual("no plain number");
    }
    long long value = PyLong_AsLongLong(number);
    if (value == -1 && PyErr_Occurred()) {
        return -1;
    }
    return put_number(out, INT64, (uint64_t)value, 8);
}

static int
put_metric(Writer *out, PyObject *number)
{
    if (PyFloat_CheckExact(number)) {
        double value = PyFloat_AS_DOUBLE(number);
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        return put_number(out, FLOAT64, bits, 8);
    }
    if (!PyLong_CheckExact(number)) {
        return unusual("no plain number");
    }
    long long value = PyLong_AsLongLong(number);
    return value == -1 && PyErr_Occurred() ? -1 : put_small(out, value);
}

static int
put_text(Writer *out, Strings *strings, PyObject *text)
{
    const Index *index = index_of(strings, text);
    return index == NULL ? -1 : put_bytes(out, index->bytes, index->size);
}

/* The pairs of a dictionary: texts of *_meta*, or numbers of *_metrics*. */
static int
put_map(Writer *out, Strings *strings, PyObject *map, int of_numbers)
{
    Py_ssize_t count = PyDict_GET_SIZE(map), left = count, position = 0;
    if (put_header(out, FIX_MAP, MAP16, count) < 0) {
        return -1;
    }
    PyObject *key, *value;
    while (PyDict_Next(map, &position, &key, &value)) {
        if (!is_text(key) || !(of_numbers || is_text(value))) { /* of a tag that Python may refuse, no text is added */
            return unusual("no plain text");
        }
        Py_INCREF(value); /* the key's index may be found by Python code */
        int failed = put_text(out, strings, key) < 0;
        if (!failed) {
            failed = (of_numbers ? put_metric(out, value) : put_text(out, strings, value)) < 0;
        }
        Py_DECREF(value);
        if (failed) {
            return -1;
        }
        left--;
    }
    return left || count != PyDict_GET_SIZE(map) ? unusual("a tag was set meanwhile") : 0;
}

static int
put_error(Writer *out, PyObject *error)
{
    if (error == NULL || !(PyLong_CheckExact(error) || PyBool_Check(error))) {
        return unusual("no plain number");
    }
    return put_number(out, PyObject_IsTrue(error), 0, 0);
}

static int
put_fields(Writer *out, PyObject *span, uint64_t trace_id, PyObject *meta, PyObject *metrics, Strings *strings)
{
    if (!is_text(SLOT(span, service)) || !is_text(SLOT(span, name)) || !is_text(SLOT(span, resource)) ||
        !is_text(SLOT(span, span_type))) { /* as with tags */
        return unusual("no plain text");
    }
    if (put_number(out, FIX_ARRAY | SPAN_FIELDS, 0, 0) < 0 ||
        put_text(out, strings, SLOT(span, service)) < 0 ||
        put_text(out, strings, SLOT(span, name)) < 0 ||
        put_text(out, strings, SLOT(span, resource)) < 0) {
        return -1;
    }
    const Index *found = index_of(strings, SLOT(span, span_type));
    if (found == NULL) {
        return -1;
    }
    Index span_type = *found; /* put last */
    PyObject *parent_id = SLOT(span, parent_id);
    int failed = put_number(out, UINT64, trace_id, 8) < 0 || put_unsigned(out, SLOT(span, span_id)) < 0 ||
                 (parent_id == Py_None ? put_number(out, UINT64, 0, 8) : put_unsigned(out, parent_id)) < 0 ||
                 put_signed(out, SLOT(span, start_ns)) < 0 || put_signed(out, SLOT(span, duration_ns)) < 0 ||
                 put_error(out, SLOT(span, error)) < 0 || put_map(out, strings, meta, 0) < 0 ||
                 put_map(out, strings, metrics, 1) < 0;
    return failed ? -1 : put_bytes(out, span_type.bytes, span_type.size);
}

static int
put_span(Writer *out, PyObject *span, Strings *strings, PyObject *add_links_and_events)
{
    if (!PyObject_TypeCheck(span, ddmiddleware_known.spans)) {
        return unusual("no span");
    }
    PyObject *id = SLOT(span, trace_id), *links = SLOT(span, _links), *events = SLOT(span, _events);
    if (id == NULL || !PyLong_CheckExact(id) || links == NULL || events == NULL) {
        return unusual("no plain span");
    }
    uint64_t trace_id = PyLong_AsUnsignedLongLongMask(id);
    if (links != Py_None || events != Py_None) {
        PyObject *done = PyObject_CallOneArg(add_links_and_events, span);
        if (done == NULL) {
            return -1;
        }
        Py_DECREF(done);
    }
    PyObject *meta = SLOT(span, _meta), *metrics = SLOT(span, _metrics);
    if (meta == NULL || !PyDict_CheckExact(meta) || metrics == NULL || !PyDict_CheckExact(metrics)) {
        return unusual("no plain dictionary");
    }
    Py_INCREF(meta);
    Py_INCREF(metrics);
    int failed = put_fields(out, span, trace_id, meta, metrics, strings);
    Py_DECREF(meta);
    Py_DECREF(metrics);
    return failed;
}

static int
put_chunk(Writer *out, PyObject *chunk, Strings *strings, PyObject *add_links_and_events)
{
    Py_ssize_t count = PyList_GET_SIZE(chunk);
    if (put_header(out, FIX_ARRAY, ARRAY16, count) < 0) {
        return -1;
    }
    for (Py_ssize_t index = 0; index < count; index++) {
        if (count != PyList_GET_SIZE(chunk)) {
            return unusual("a chunk that changes");
        }
        PyObject *span = Py_NewRef(PyList_GET_ITEM(chunk, index));
        int failed = put_span(out, span, strings, add_links_and_events);
        Py_DECREF(span);
        if (failed) {
            return -1;
        }
        if (index % SPANS_PER_BREATH == SPANS_PER_BREATH - 1) {
            Py_BEGIN_ALLOW_THREADS /* a request must not wait for a large chunk */
            Py_END_ALLOW_THREADS
        }
    }
    return 0;
}

PyObject *
ddmiddleware_encode(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    enum { CHUNK, STRINGS, ORDERED, ADD_LINKS_AND_EVENTS, ALL };
    if (nargs != ALL || ddmiddleware_known.spans == NULL || !PyList_CheckExact(args[CHUNK]) ||
        !PyDict_Check(args[STRINGS]) || !PyList_CheckExact(args[ORDERED])) {
        Py_RETURN_NONE;
    }
    Strings strings = {.indices = args[STRINGS], .ordered = args[ORDERED]};
    Writer out = {PyBytes_FromStringAndSize(NULL, 16 + SPAN_BYTES * PyList_GET_SIZE(args[CHUNK])), 0};
    if (out.bytes != NULL && put_chunk(&out, args[CHUNK], &strings, args[ADD_LINKS_AND_EVENTS]) == 0) {
        _PyBytes_Resize(&out.bytes, out.used); /* to NULL where that fails */
    }
    else {
        Py_CLEAR(out.bytes);
    }
    forget(&strings);
    if (out.bytes == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            return NULL;
        }
        PyErr_Clear();
    }
    if (strings.added && count_added(&strings) < 0) {
        Py_CLEAR(out.bytes);
        return NULL;
    }
    if (out.bytes == NULL) {
        Py_RETURN_NONE;
    }
    return out.bytes;
}
