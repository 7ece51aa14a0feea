/* What a table holds, as Python's objects: a handle that owns the table, and its samples and stacks in slices. */

#include "_tick.h"

#define HANDLE "ddmiddleware.profiling._tick.table"

static void
free_handle(PyObject *handle)
{
    table_free(PyCapsule_GetPointer(handle, HANDLE));
}

PyObject *
table_handle(struct table *table)
{
    return PyCapsule_New(table, HANDLE, free_handle);
}

static PyObject *
request_tuple(struct table *table, const struct sample_key *key)
{
    if (key->request == NONE) {
        Py_RETURN_NONE;
    }
    struct request *request = request_at(table, key->request);
    PyObject *resource = request->resource, *type = request->type;
    Py_XINCREF(resource);
    Py_XINCREF(type);
    if (request->span != NULL) { /* it runs still */
        span_names(request->span, &resource, &type);
    }
    PyObject *found = Py_BuildValue("(KKOO)", (unsigned long long)key->span_id, (unsigned long long)request->root_id,
                                    resource == NULL ? Py_None : resource, type == NULL ? Py_None : type);
    Py_XDECREF(resource);
    Py_XDECREF(type);
    return found;
}

static PyObject *
row(struct table *table, uint32_t index)
{
    struct sample *sample = sample_at(table, index);
    struct thread_row *thread = pool_item(&table->threads, sample->key.thread);
    struct task *task = pool_item(&table->tasks, sample->key.task);
    PyObject *none = Py_None;
    /* The items at NONE are all zeros, and so are what they say. */
    return Py_BuildValue("(I(kkO)N(KO)iKKKK)", sample->key.stack, thread->ident, thread->native_id,
                         thread->name == NULL ? none : thread->name, request_tuple(table, &sample->key),
                         (unsigned long long)task->id, task->name == NULL ? none : task->name,
                         (int)sample->key.suspended, (unsigned long long)sample->count,
                         (unsigned long long)sample->wall_ns, (unsigned long long)sample->cpu_count,
                         (unsigned long long)sample->cpu_ns);
}

/* rows(handle, first, count): a list of the samples from *first* on, so that no call holds the GIL for long. */
PyObject *
rows(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *handle;
    unsigned int first, count;
    if (!PyArg_ParseTuple(args, "OII", &handle, &first, &count)) {
        return NULL;
    }
    struct table *table = PyCapsule_GetPointer(handle, HANDLE);
    PyObject *found = table == NULL ? NULL : PyList_New(0);
    for (uint32_t index = first + 1; found != NULL && index < table->samples.used && index <= first + count; index++) {
        PyObject *one = row(table, index);
        if (one == NULL || PyList_Append(found, one) < 0) {
            Py_CLEAR(found);
        }
        Py_XDECREF(one);
    }
    return found;
}

/* stack(handle, index): code objects and byte offsets, in turn, leaf first. */
PyObject *
stack(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *handle;
    unsigned int index;
    if (!PyArg_ParseTuple(args, "OI", &handle, &index)) {
        return NULL;
    }
    struct table *table = PyCapsule_GetPointer(handle, HANDLE);
    if (table == NULL) {
        return NULL;
    }
    struct frame *frames;
    uint32_t depth = stack_frames(table, index, &frames);
    PyObject *found = PyTuple_New((Py_ssize_t)depth * 2);
    for (uint32_t place = 0; found != NULL && place < depth; place++) {
        PyObject *offset = PyLong_FromLong(frames[place].offset);
        if (offset == NULL) {
            Py_CLEAR(found);
            break;
        }
        Py_INCREF(frames[place].code);
        PyTuple_SET_ITEM(found, (Py_ssize_t)place * 2, (PyObject *)frames[place].code);
        PyTuple_SET_ITEM(found, (Py_ssize_t)place * 2 + 1, offset);
    }
    return found;
}
