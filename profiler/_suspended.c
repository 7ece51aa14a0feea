/* Suspended tasks and greenlets: there may be thousands, so few of them are looked at, not in each tick, and each of these
   stands for its share of all. */

#include "_tick.h"
#if PY_VERSION_HEX >= 0x030D0000
#include <internal/pycore_setobject.h>
#endif

#define CHOSEN_MAX 50
#define TICKS_BETWEEN 10
#define MANY 5000 /* above which walking the set of all takes so long that it is done less often */

/* The member of a weak reference, borrowed; NULL where it is gone or of another kind. */
static PyObject *
member_of(struct crowd *crowd, PyObject *reference)
{
    PyObject *member = NULL;
    if (!PyWeakref_CheckRefExact(reference)) {
        return NULL;
    }
#if PY_VERSION_HEX >= 0x030D0000
    PyWeakref_GetRef(reference, &member);
    Py_XDECREF(member); /* the GIL keeps it alive until sample_crowd has a reference */
#else
    member = PyWeakref_GET_OBJECT(reference);
#endif
    return member != NULL && PyObject_TypeCheck(member, crowd->type) ? member : NULL;
}

static PyObject *
references(struct crowd *crowd)
{
    PyObject *found = crowd->members == NULL ? NULL : PyObject_GetAttrString(crowd->members, "data"); /* of a WeakSet */
    if (found == NULL) {
        PyErr_Clear();
    }
    else if (!PySet_Check(found)) {
        Py_CLEAR(found);
    }
    return found;
}

static void
sample_crowd(struct crowd *crowd, struct table *table, int depth, uint64_t tick, uint64_t now_ns, uint64_t period_ns)
{
    PyObject *all = references(crowd), *reference, *chosen[CHOSEN_MAX];
    Py_ssize_t seen = 0, position = 0;
    Py_hash_t hash;
    uint64_t every = all != NULL && PySet_GET_SIZE(all) > MANY ? 10 * TICKS_BETWEEN : TICKS_BETWEEN;
    if (all == NULL || (crowd->last_tick > 0 && tick < crowd->last_tick + every)) {
        Py_XDECREF(all);
        return;
    }
    uint64_t wall_ns = crowd->last_tick > 0 ? now_ns - crowd->last_ns : period_ns;
    crowd->last_ns = now_ns, crowd->last_tick = tick;
    while (_PySet_NextEntry(all, &position, &reference, &hash)) {
        PyObject *member = member_of(crowd, reference);
        if (member == NULL) {
            continue;
        }
        /* Each of those seen so far is among the chosen with the same probability. */
        Py_ssize_t place = seen < CHOSEN_MAX ? seen : (Py_ssize_t)(random_bits32() % (uint64_t)(seen + 1));
        seen++;
        if (place < CHOSEN_MAX) {
            chosen[place] = member;
        }
    }
    Py_ssize_t count = seen < CHOSEN_MAX ? seen : CHOSEN_MAX;
    for (Py_ssize_t index = 0; index < count; index++) {
        Py_INCREF(chosen[index]);
    }
    for (Py_ssize_t index = 0; index < count; index++) {
        crowd->sample(table, chosen[index], depth, wall_ns * (uint64_t)seen / (uint64_t)count);
        Py_DECREF(chosen[index]);
    }
    Py_DECREF(all);
}

void
sample_suspended(struct table *table, int depth, uint64_t tick, uint64_t now_ns, uint64_t period_ns)
{
    if (tick == 1) { /* the sampler was not there since the last look, or this is a child */
        all_tasks.last_tick = all_greenlets.last_tick = 0;
    }
    sample_crowd(&all_tasks, table, depth, tick, now_ns, period_ns);
    sample_crowd(&all_greenlets, table, depth, tick, now_ns, period_ns);
}

void
add_suspended(struct table *table, uint32_t stack, uint32_t task, PyObject *context, uint64_t wall_ns)
{
    struct sample_key key = {.stack = stack, .task = task, .suspended = 1};
    struct work work;
    if (work_of(context, &work)) {
        key.request = table_request(table, work.root_id, work.root);
        key.span_id = work.span_id;
    }
    uint32_t index = table_sample(table, &key);
    if (index != NONE) {
        sample_at(table, index)->count++;
        sample_at(table, index)->wall_ns += wall_ns;
    }
}

PyObject *
loaded(const char *module, const char *name)
{
    PyObject *found = PyDict_GetItemString(PyImport_GetModuleDict(), module);
    found = found != NULL && PyModule_CheckExact(found) ? PyObject_GetAttrString(found, name) : NULL;
    PyErr_Clear();
    return found;
}

void
work_look_around(void)
{
    look_for_tasks();
    look_for_greenlets();
}
