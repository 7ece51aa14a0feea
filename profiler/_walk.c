/* Stacks, read from CPython's own frames, without making frame objects of them: that would allocate, and run the garbage
   collector of 3.10 and 3.11, in the middle of anything. The GIL is held, so that no frame changes meanwhile. */

#include "_tick.h"

#if PY_VERSION_HEX < 0x030B0000

#include <frameobject.h>

int
walk_frames(PyFrameObject *frame, struct frame *frames, int depth)
{
    int count = 0;
    for (; frame != NULL && count < depth; frame = frame->f_back) {
        frames[count].code = frame->f_code;
        /* f_lasti counts instructions of two bytes here; -1 before the first one. */
        frames[count++].offset = frame->f_lasti < 0 ? 0 : frame->f_lasti * (int)sizeof(_Py_CODEUNIT);
    }
    return count;
}

int
walk_thread(PyThreadState *thread, struct frame *frames, int depth)
{
    return walk_frames(thread->frame, frames, depth);
}

static int
suspended_frame(PyObject *awaitable, struct frame *found)
{
    PyFrameObject *frame = ((PyGenObject *)awaitable)->gi_frame; /* coroutines and async generators begin alike */
    if (frame == NULL || frame->f_state != FRAME_SUSPENDED) {
        return 0; /* it runs, is over, or has not begun */
    }
    found->code = frame->f_code;
    found->offset = frame->f_lasti * (int)sizeof(_Py_CODEUNIT);
    return 1;
}

#else

#include <internal/pycore_frame.h>

static inline PyCodeObject *
code_of(_PyInterpreterFrame *frame)
{
#if PY_VERSION_HEX >= 0x030D0000
    return PyCode_Check(frame->f_executable) ? (PyCodeObject *)frame->f_executable : NULL;
#else
    return frame->f_code;
#endif
}

static int
walk_from(_PyInterpreterFrame *frame, struct frame *frames, int depth)
{
    int count = 0;
    for (; frame != NULL && count < depth; frame = frame->previous) {
#if PY_VERSION_HEX >= 0x030C0000
        if (frame->owner == FRAME_OWNED_BY_CSTACK) { /* stands between Python and C, and has no code of anybody's */
            continue;
        }
#endif
        PyCodeObject *code = code_of(frame);
        if (code == NULL || _PyFrame_IsIncomplete(frame)) { /* not begun: its caller counts */
            continue;
        }
        int offset = (int)(_PyInterpreterFrame_LASTI(frame) * sizeof(_Py_CODEUNIT));
        frames[count].code = code;
        frames[count++].offset = offset < 0 ? 0 : offset;
    }
    return count;
}

int
walk_thread(PyThreadState *thread, struct frame *frames, int depth)
{
#if PY_VERSION_HEX >= 0x030D0000
    return walk_from(thread->current_frame, frames, depth);
#else
    return walk_from(thread->cframe != NULL ? thread->cframe->current_frame : NULL, frames, depth);
#endif
}

int
walk_frames(PyFrameObject *frame, struct frame *frames, int depth)
{
    return walk_from(frame->f_frame, frames, depth);
}

static int
suspended_frame(PyObject *awaitable, struct frame *found)
{
    PyGenObject *generator = (PyGenObject *)awaitable; /* coroutines and async generators begin alike */
    if (generator->gi_frame_state >= FRAME_EXECUTING || generator->gi_frame_state == FRAME_CREATED) {
        return 0; /* it runs, is over, or has not begun */
    }
    _PyInterpreterFrame *frame = (_PyInterpreterFrame *)generator->gi_iframe;
    if (code_of(frame) == NULL || _PyFrame_IsIncomplete(frame)) {
        return 0;
    }
    int offset = (int)(_PyInterpreterFrame_LASTI(frame) * sizeof(_Py_CODEUNIT));
    found->code = code_of(frame);
    found->offset = offset < 0 ? 0 : offset;
    return 1;
}

#endif

int
walk_awaits(PyObject *awaitable, struct frame *frames, int depth)
{
    int count = 0;
    Py_INCREF(awaitable);
    while (count < depth) {
        const char *next = PyCoro_CheckExact(awaitable)       ? "cr_await"
                           : PyGen_CheckExact(awaitable)      ? "gi_yieldfrom"
                           : PyAsyncGen_CheckExact(awaitable) ? "ag_await"
                                                              : NULL;
        if (next == NULL || !suspended_frame(awaitable, &frames[count])) {
            break; /* a future, or something of the application's: the frame that awaits it is the leaf */
        }
        count++;
        PyObject *inner = PyObject_GetAttrString(awaitable, next); /* of these types: no Python code runs */
        Py_DECREF(awaitable);
        awaitable = inner;
        if (awaitable == NULL) {
            PyErr_Clear();
            break;
        }
    }
    Py_XDECREF(awaitable);
    for (int low = 0, high = count - 1; low < high; low++, high--) { /* leaf first, as threads have it */
        struct frame swapped = frames[low];
        frames[low] = frames[high];
        frames[high] = swapped;
    }
    return count;
}
