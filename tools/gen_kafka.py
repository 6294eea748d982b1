#!/usr/bin/env python3
"""Makes C++ codecs from the schema of an API.

    gen_kafka.py SCHEMA HEADER SOURCE

The schema language, one field a line, indented below the struct that holds it:

    api KEY Name FIRST-LAST flexible N
    request
      Field type [VERSIONS] [null VERSIONS] [tag N] [default VALUE]
    response
      ...

VERSIONS is "3+", "3-5" or "3"; left out, it is every version. Types: bool int8 int16 uint16 int32
int64 float64 string bytes records uuid, Name{} for a struct and Name[] or type[] for an array
(the fields of a struct Name follow, deeper indented).
"""

import re
import sys

SCALARS = {
    'bool': ('bool', 'boolean'), 'int8': ('std::int8_t', 'integer'),
    'int16': ('std::int16_t', 'integer'), 'uint16': ('std::uint16_t', 'integer'),
    'int32': ('std::int32_t', 'integer'), 'int64': ('std::int64_t', 'integer'),
    'float64': ('double', 'float64'), 'uuid': ('Uuid', 'uuid'),
    'string': ('std::string_view', 'string'), 'bytes': ('Bytes', 'bytes'),
    'records': ('NullableBytes', 'records'),
}
SIZED = {'string', 'bytes', 'records'}
LAST = 32767


def snake(name):
    return re.sub(r'(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])', '_', name).lower()


def versions(text):
    if text.endswith('+'):
        return int(text[:-1]), LAST
    low, _, high = text.partition('-')
    return int(low), int(high or low)


class Field:
    def __init__(self, line, where):
        words = line.split()
        self.name, self.type = snake(words[0]), words[1]
        self.versions, self.null, self.tag, self.default = (0, LAST), None, None, None
        self.fields = []
        words = words[2:]
        while words:
            word = words.pop(0)
            if word == 'null':
                self.null = versions(words.pop(0))
            elif word == 'tag':
                self.tag = int(words.pop(0))
            elif word == 'default':
                self.default = words.pop(0)
            elif re.fullmatch(r'\d+(\+|-\d+)?', word):
                self.versions = versions(word)
            else:
                sys.exit(f'{where}: found "{word}", allowed: versions, null, tag, default')
        self.is_array = self.type.endswith('[]')
        self.element = self.type[:-2] if self.type.endswith(('[]', '{}')) else self.type
        self.is_struct = self.element not in SCALARS
        self.is_nullable_struct = self.is_struct and not self.is_array and self.null is not None

    def cpp_type(self):
        element = self.element if self.is_struct else SCALARS[self.element][0]
        if self.is_array:
            return f'NullableArray<{element}>' if self.null else f'std::span<{element}>'
        if self.null and self.type in ('string', 'bytes'):
            return 'NullableString' if self.type == 'string' else 'NullableBytes'
        return f'std::optional<{element}>' if self.is_nullable_struct else element

    def declaration(self):
        default = self.default
        if default is None and not self.is_array and self.element in SCALARS:
            kind = SCALARS[self.element][0]
            default = {'bool': 'false', 'double': '0'}.get(kind, '0' if 'int' in kind else None)
        if default is not None and self.type == 'string':
            default = 'nullptr' if default == 'null' else f'"{default}"'
        return f'{self.cpp_type()} {self.name}' + (f' = {default};' if default else ';')

    def at_default(self):
        if self.is_array:
            return f'{self.name}.null' if self.null else f'{self.name}.empty()'
        if self.is_struct:
            return f'{self.name} == {self.element}{{}}'
        if self.null:
            return f'{self.name}.null'
        if self.type == 'uuid':
            return f'{self.name}.is_zero()'
        if self.type in SIZED:
            return f'{self.name}.empty()'
        return f'{self.name} == {self.default or ("false" if self.type == "bool" else "0")}'


def condition(span):
    low, high = span
    parts = ([f'v >= {low}'] if low > 0 else []) + ([f'v <= {high}'] if high < LAST else [])
    return ' && '.join(parts)


def guarded(span, lines):
    test = condition(span)
    if not test:
        return lines
    return [f'if ({test}) {{'] + ['  ' + line for line in lines] + ['}']


def read_element(field, target):
    if field.is_struct:
        return f'{target}.read(in, v, arena);'
    method = SCALARS[field.element][1]
    if field.element == 'records':
        return f'{target} = in.nullable_bytes(flexible);'
    if field.element in SIZED:
        return f'{target} = in.{method}(flexible);'
    if method == 'integer':
        return f'{target} = in.integer<{SCALARS[field.element][0]}>();'
    return f'{target} = in.{method}();'


def write_element(field, source):
    if field.is_struct:
        return f'{source}.write(out, v);'
    if field.name.endswith('error_code'):
        return f'out.error_code({source});'
    method = SCALARS[field.element][1]
    if field.element in SIZED:
        return f'out.{method}({source}, flexible);'
    return f'out.{method}({source});'


def read_field(field):
    if not field.is_array:
        if field.null and field.type in ('string', 'bytes'):
            line = f'{field.name} = in.nullable_{field.type}(flexible);'
            if condition(field.null):
                return [line, f'if (!({condition(field.null)})) in.not_null({field.name});']
            return [line]
        if field.is_nullable_struct:
            return ['if (in.integer<std::int8_t>() >= 0) {', f'  {field.name}.emplace();',
                    f'  {field.name}->read(in, v, arena);', '}']
        return [read_element(field, field.name)]
    items = f'{field.name}.items' if field.null else field.name
    element = field.element if field.is_struct else SCALARS[field.element][0]
    lines = ['{', '  const std::int64_t item_count = in.array_count(flexible);']
    allowed = condition(field.null) if field.null else 'false'
    if allowed:
        lines.append(f'  if (item_count < 0 && !({allowed})) in.fail_with(Errc::malformed);')
    lines.append(f'  {items} = in.allocate<{element}>(arena, item_count);')
    if field.null:
        lines.append(f'  {field.name}.null = item_count < 0;')
    lines += [f'  for (auto& item : {items}) {{', '    if (in.failed()) break;',
              '    ' + read_element(field, 'item'), '  }', '}']
    return lines


def write_field(field):
    if not field.is_array:
        if field.null and field.type in ('string', 'bytes'):
            return [f'out.nullable_{field.type}({field.name}, flexible);']
        if field.is_nullable_struct:
            return [f'out.integer(static_cast<std::int8_t>({field.name} ? 1 : -1));',
                    f'if ({field.name}) {field.name}->write(out, v);']
        return [write_element(field, field.name)]
    items = f'{field.name}.items' if field.null else field.name
    count = f'static_cast<std::int64_t>({items}.size())'
    if field.null:
        count = f'{field.name}.null ? -1 : {count}'
    return [f'out.array_count({count}, flexible);',
            f'for (const auto& item : {items}) {write_element(field, "item")}']


def read_body(fields, first_flexible):
    lines = [f'const bool flexible = v >= {first_flexible};' if first_flexible
             else 'constexpr bool flexible = true;']
    for field in fields:
        if field.tag is None:
            lines += guarded(field.versions, read_field(field))
    tagged = [f for f in fields if f.tag is not None]
    lines.append('if (!flexible) return;')
    if not tagged:
        return lines + ['in.skip_tags();']
    lines += ['for (std::uint64_t tags = in.uvarint(); tags > 0 && !in.failed(); --tags) {',
              '  const std::uint64_t tag = in.uvarint();',
              '  [[maybe_unused]] const Bytes content = in.take(in.uvarint());']
    for field in tagged:
        test = ' && '.join(filter(None, [f'tag == {field.tag}', condition(field.versions)]))
        lines += [f'  if ({test}) {{', '    Reader inner(content);']
        lines += ['    ' + re.sub(r'\bin\b', 'inner', line) for line in read_field(field)]
        lines += ['    if (inner.failed()) in.fail_with(inner.error().code);', '  }']
    return lines + ['}']


def write_body(fields, first_flexible):
    lines = [f'const bool flexible = v >= {first_flexible};' if first_flexible
             else 'constexpr bool flexible = true;']
    for field in fields:
        if field.tag is None:
            lines += guarded(field.versions, write_field(field))
    lines.append('if (!flexible) return;')
    tagged = sorted((f for f in fields if f.tag is not None), key=lambda f: f.tag)
    if not tagged:
        return lines + ['out.uvarint(0);']
    lines.append('std::uint64_t tags = 0;')

    def written(field):
        return ' && '.join(filter(None, [condition(field.versions), f'!({field.at_default()})']))
    for field in tagged:
        lines.append(f'if ({written(field)}) ++tags;')
    lines.append('out.uvarint(tags);')
    for field in tagged:
        put = write_field(field)
        lines += [f'if ({written(field)}) {{', '  Writer size = Writer::counter();']
        lines += ['  ' + re.sub(r'\bout\b', 'size', line) for line in put]
        lines += [f'  out.uvarint({field.tag});', '  out.uvarint(size.size());']
        lines += ['  ' + line for line in put] + ['}']
    return lines


def struct_lines(name, fields, indent):
    lines = [f'struct {name} {{']
    for field in fields:
        if field.is_struct and field.fields:
            lines += struct_lines(field.element, field.fields, '  ') + ['']
    lines += ['  ' + field.declaration() for field in fields]
    lines += ['', '  void read(Reader& in, std::int16_t v, Arena& arena);',
              '  void write(Writer& out, std::int16_t v) const;']
    plain = all(not f.is_array and not f.is_nullable_struct and f.type not in ('bytes', 'records')
                for f in fields)
    if plain:
        lines.append(f'  friend bool operator==(const {name}&, const {name}&) = default;')
    lines.append('};')
    return [indent + line if line else '' for line in lines]


def function_lines(scope, fields, first_flexible):
    lines = []
    for field in fields:
        if field.is_struct and field.fields:
            lines += function_lines(f'{scope}::{field.element}', field.fields, first_flexible)
    body = read_body(fields, first_flexible)
    lines += [f'void {scope}::read([[maybe_unused]] Reader& in, [[maybe_unused]] std::int16_t v,',
              '    [[maybe_unused]] Arena& arena) {'] + ['  ' + line for line in body] + ['}', '']
    body = write_body(fields, first_flexible)
    lines += [f'void {scope}::write(Writer& out, [[maybe_unused]] std::int16_t v) const {{']
    return lines + ['  ' + line for line in body] + ['}', '']


def parse(path):
    api, messages, stack = None, {}, []
    with open(path, encoding='utf-8') as file:
        for number, line in enumerate(file, 1):
            line = line.split('#')[0].rstrip()
            if not line:
                continue
            where = f'{path}:{number}'
            if line.startswith('api '):
                api = re.fullmatch(r'api (\d+) (\w+) (\d+)-(\d+) flexible (\d+)', line)
                if not api:
                    sys.exit(f'{where}: allowed: api KEY Name FIRST-LAST flexible N')
            elif line in ('request', 'response'):
                messages[line] = []
                stack = [(0, messages[line])]
            else:
                indent = len(line) - len(line.lstrip())
                while stack[-1][0] >= indent:
                    stack.pop()
                field = Field(line, where)
                stack[-1][1].append(field)
                stack.append((indent, field.fields))
    return api.groups(), messages


def main():
    schema, header, source = sys.argv[1:4]
    (key, name, first, last, flexible), messages = parse(schema)
    declarations, definitions = [], []
    for direction, fields in messages.items():
        message = name + direction.capitalize()
        lines = struct_lines(message, fields, '')
        lines[-1:] = [
            f'  static constexpr std::int16_t api_key = {key};',
            f'  static constexpr std::int16_t version_min = {first};',
            f'  static constexpr std::int16_t version_max = {last};',
            f'  static constexpr std::int16_t first_flexible = {flexible};',
            f'  static Result<{message}> decode(Reader& in, std::int16_t version, Arena& arena);',
            '  void encode(Writer& out, std::int16_t version) const { write(out, version); }',
            '};', '']
        declarations += lines
        definitions += function_lines(message, fields, int(flexible))
        definitions += [
            f'Result<{message}> {message}::decode(Reader& in, std::int16_t version, Arena& arena)'
            ' {', f'  {message} message;', '  message.read(in, version, arena);',
            '  if (in.failed()) return fail(in.error());', '  return message;', '}', '']
    note = f'// Made by tools/gen_kafka.py from the schema of {name}; not to be edited.\n'
    with open(header, 'w', encoding='utf-8') as file:
        optional = any('std::optional' in line for line in declarations)
        file.write(note + '#pragma once\n\n' + ('#include <optional>\n\n' if optional else '')
                   + '#include "kafka/wire.h"\n\n'
                   + 'namespace tailrace::kafka {\n\n'
                   + '\n'.join(declarations) + '\n}  // namespace tailrace::kafka\n')
    with open(source, 'w', encoding='utf-8') as file:
        file.write(note + f'#include "kafka/gen/{snake(name)}.h"\n\n'
                   + 'namespace tailrace::kafka {\n\n'
                   + '\n'.join(definitions) + '\n}  // namespace tailrace::kafka\n')


if __name__ == '__main__':
    main()
