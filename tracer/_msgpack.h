/* A growing bytes object, and what of msgpack is put into it. */

#ifndef DDMIDDLEWARE_MSGPACK_H
#define DDMIDDLEWARE_MSGPACK_H

#include <Python.h>
#include <stdint.h>
#include <string.h>

/* https://github.com/msgpack/msgpack/blob/master/spec.md */
enum { FIX_MAP = 0x80, FIX_ARRAY = 0x90, ARRAY16 = 0xdc, MAP16 = 0xde };
enum { FLOAT64 = 0xcb, UINT8 = 0xcc, UINT64 = 0xcf, INT8 = 0xd0, INT64 = 0xd3 };

typedef struct {
    PyObject *bytes;
    Py_ssize_t used;
} Writer;

/* Make room for some bytes more, and return where they go; NULL where memory is short. */
static inline unsigned char *
take(Writer *out, Py_ssize_t more)
{
    Py_ssize_t size = PyBytes_GET_SIZE(out->bytes);
    if (size - out->used < more) {
        if (more > PY_SSIZE_T_MAX / 2 - size) {
            PyErr_NoMemory();
            return NULL;
        }
        if (_PyBytes_Resize(&out->bytes, size * 2 + more) < 0) {
            return NULL;
        }
    }
    unsigned char *place = (unsigned char *)PyBytes_AS_STRING(out->bytes) + out->used;
    out->used += more;
    return place;
}

static inline int
put_bytes(Writer *out, const unsigned char *bytes, Py_ssize_t size)
{
    unsigned char *place = take(out, size);
    if (place == NULL) {
        return -1;
    }
    memcpy(place, bytes, (size_t)size);
    return 0;
}

/* A first byte, and *width* bytes of a number after it, the highest first. */
static inline int
put_number(Writer *out, int first, uint64_t number, int width)
{
    unsigned char *place = take(out, 1 + width);
    if (place == NULL) {
        return -1;
    }
    *place++ = (unsigned char)first;
    for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) {
        *place++ = (unsigned char)(number >> shift);
    }
    return 0;
}

static inline int
put_header(Writer *out, int fix, int wide16, Py_ssize_t count)
{
    if (count < 16) {
        return put_number(out, fix | (int)count, 0, 0);
    }
    int wide = count >= 1 << 16;
    return put_number(out, wide16 + wide, (uint64_t)count, wide ? 4 : 2);
}

/* A number in as few bytes as msgpack allows. */
static inline int
put_small(Writer *out, long long value)
{
    if (value >= -32 && value < 128) {
        return put_number(out, (int)(value & 0xff), 0, 0);
    }
    int size = 0; /* the power of two of the width */
    if (value >= 0) {
        while (size < 3 && value >> (8 << size)) {
            size++;
        }
        return put_number(out, UINT8 + size, (uint64_t)value, 1 << size);
    }
    while (size < 3 && value < -(1LL << ((8 << size) - 1))) {
        size++;
    }
    return put_number(out, INT8 + size, (uint64_t)value, 1 << size);
}

#endif
