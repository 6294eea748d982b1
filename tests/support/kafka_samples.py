#!/usr/bin/env python3
"""Writes random valid messages of every API at every version, one a line:

    API-KEY request|response VERSION HEX

    kafka_samples.py TOOLS-FOLDER OUT SCHEMA...

The encoder here shares the schema with tools/gen_kafka.py but no encoding code, so that a codec
which reads these bytes and writes them back alike is right, or wrong twice in the same way.
"""

import random
import struct
import sys

INTS = {'int8': '>b', 'int16': '>h', 'uint16': '>H', 'int32': '>i', 'int64': '>q'}
PER_VERSION = 4


def uvarint(value):
    out = b''
    while value >= 0x80:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def within(span, version):
    return span[0] <= version <= span[1]


class Encoder:
    def __init__(self, version, first_flexible, rng):
        self.version, self.flexible, self.rng = version, version >= first_flexible, rng

    def length(self, size, code):  # size -1: null
        return uvarint(size + 1) if self.flexible else struct.pack(code, size)

    def scalar(self, kind, default):
        rng = self.rng
        if kind in INTS:
            return struct.pack(INTS[kind], rng.randint(2, 100))
        if kind == 'bool':  # Never the default, so that a tagged one is written.
            return b'\0' if default == 'true' else b'\1'
        if kind == 'float64':
            return struct.pack('>d', rng.randint(1, 9) * 0.5)
        if kind == 'uuid':
            return bytes(rng.randint(1, 255) for _ in range(16))
        if kind == 'string':
            text = ''.join(rng.choice('abcxyz.-_') for _ in range(rng.choice((1, 3, 130))))
            return self.length(len(text), '>h') + text.encode()
        body = bytes(rng.randint(0, 255) for _ in range(rng.choice((1, 5, 200))))
        return self.length(len(body), '>i') + body  # bytes and records

    def field(self, field):
        if field.is_nullable_struct:
            return b'\xff' if self.rng.random() < 0.3 else b'\1' + self.element(field)
        nullable = field.null and within(field.null, self.version) and field.tag is None
        if nullable and self.rng.random() < 0.3:
            return self.length(-1, '>h' if field.type == 'string' else '>i')
        if not field.is_array:
            return self.element(field)
        low = 0 if field.tag is None else 1  # An empty tagged array is the default: not written.
        count = self.rng.randint(low, 3)
        return self.length(count, '>i') + b''.join(self.element(field) for _ in range(count))

    def element(self, field):
        if field.is_struct:
            return self.struct(field.fields)
        return self.scalar(field.element, field.default)

    def struct(self, fields):
        mine = [f for f in fields if within(f.versions, self.version)]
        out = b''.join(self.field(f) for f in mine if f.tag is None)
        if not self.flexible:
            return out
        tagged = sorted((f for f in mine if f.tag is not None), key=lambda f: f.tag)
        tagged = [f for f in tagged if self.rng.random() < 0.6]
        out += uvarint(len(tagged))
        for field in tagged:
            body = self.field(field)
            out += uvarint(field.tag) + uvarint(len(body)) + body
        return out


def main():
    tools, out, schemas = sys.argv[1], sys.argv[2], sys.argv[3:]
    sys.dont_write_bytecode = True
    sys.path.insert(0, tools)
    import gen_kafka
    rng = random.Random(20)
    with open(out, 'w', encoding='ascii') as file:
        for schema in schemas:
            (key, _, first, last, flexible), messages = gen_kafka.parse(schema)
            for direction, fields in messages.items():
                for version in range(int(first), int(last) + 1):
                    for _ in range(PER_VERSION):
                        encoded = Encoder(version, int(flexible), rng).struct(fields)
                        file.write(f'{key} {direction} {version} {encoded.hex()}\n')


main()
