"""Reads Python and Cython as text: its functions, its declarations, its code and its prose."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

STRING = (
    r'"""(?:[^\\]|\\.)*?"""|\'\'\'(?:[^\\]|\\.)*?\'\'\''
    r"|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
)
PROSE = re.compile(
    rf"(?P<string>(?P<formatted>\b[fF])?(?:{STRING}))|(?P<comment>#[^\n]*)", re.DOTALL
)
C_CODE = re.compile(r"cdef extern from [^\n]*\n\s*\Z")
IMPORT = re.compile(
    r"^[ \t]*(?:from\s+[\w.]+\s+c?import\s*(?:\([^)]*\)|[^\n]*)|c?import\s+[^\n]+)", re.MULTILINE
)
HEADER = re.compile(
    r"^(?P<indent> *)(?:async )?(?:cdef|cpdef|def) "
    r"(?!class |extern |struct |packed |enum |union |public )"
    r"(?:\([^()]*\) )?(?:[^\n(=]*?[ *])?(?P<name>\w+)\("
)
CLASS = re.compile(r"^(?P<indent> *)(?:cdef )?class (?P<name>\w+)")


@dataclass(frozen=True)
class Function:
    """A function that has a body. Its name begins with that of its class: `Stream.write`."""

    name: str
    line: int
    lines: int


def masked(text: str, keeps_c: bool = False) -> str:
    """Return the code with blanks in place of comments and strings, so that each line keeps its
    number. What a formatted string computes is code. C after `cdef extern from` may be kept."""

    def mask(found: re.Match[str]) -> str:
        before = text[max(0, found.start() - 200) : found.start()]
        if keeps_c and found["string"] and C_CODE.search(before):
            return found.group()
        if found["comment"]:
            return _blank(found.group())
        return _blank_string(found.group(), bool(found["formatted"]))

    return PROSE.sub(mask, text)


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _blank_string(string: str, is_formatted: bool) -> str:
    if not is_formatted:
        return string[0] + _blank(string[1:-1]) + string[-1]
    kept, depth = [], 0
    for character in string.replace("{{", "  ").replace("}}", "  "):
        depth += (character == "{") - (character == "}")
        is_code = depth > 0 and character not in "{}"
        kept.append(character if is_code or character == "\n" else " ")
    return "".join(kept)


def functions_of_python(text: str) -> Iterator[Function]:
    """Find every function, methods and inner functions too. Its decorators count as its lines."""

    def walk(node: ast.AST, prefix: str) -> Iterator[Function]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = min([child.lineno, *(one.lineno for one in child.decorator_list)])
                assert child.end_lineno is not None
                yield Function(prefix + child.name, first, child.end_lineno - first + 1)
            inner = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            yield from walk(child, f"{prefix}{child.name}." if inner else prefix)

    yield from walk(ast.parse(text), "")


def functions_of_cython(text: str) -> Iterator[Function]:
    """Find every function with a body, by its indentation. The lines of an inner function count
    for both, for it and for the outer one."""
    lines = masked(text).splitlines()
    classes: list[tuple[int, str]] = []
    for number, line in enumerate(lines):
        if line.strip():
            indent = len(line) - len(line.lstrip())
            classes = [one for one in classes if one[0] < indent]
        if found := CLASS.match(line):
            classes.append((len(found["indent"]), found["name"]))
        elif (found := HEADER.match(line)) and (body := _body_of(lines, number)):
            name = ".".join([*(name for _, name in classes), found["name"]])
            end = _end_of(lines, body, len(found["indent"]))
            yield Function(name, number + 1, end - number)


def _body_of(lines: list[str], number: int) -> int:
    """Return the line after the header that begins here, or 0 if it is a declaration without a
    body."""
    depth = 0
    for place in range(number, len(lines)):
        depth += sum(map(lines[place].count, "([{")) - sum(map(lines[place].count, ")]}"))
        if depth <= 0:
            is_header = re.search(r":\s*(?:\.\.\.|pass|return\b.*)?$", lines[place].rstrip())
            return place + 1 if is_header else 0
    return 0


def _end_of(lines: list[str], body: int, indent: int) -> int:
    """Return the number of lines up to the last one of the body."""
    end = body
    for place in range(body, len(lines)):
        line = lines[place]
        if not line.strip():
            continue
        if len(line) - len(line.lstrip()) <= indent:
            break
        end = place + 1
    return end


@dataclass(frozen=True)
class Declaration:
    """A name that Cython code declares: a `function`, `method`, `field`, `constant`, `enum`
    or `type`."""

    kind: str
    name: str
    line: int
    owner: str = ""
    """The class, struct or enum in which it stands."""
    is_c: bool = False
    """Whether it stands after `cdef extern from`: a C header defines it."""
    is_visible: bool = False
    """Whether Python code can reach it: it is `public`, `readonly` or `cpdef`."""


BLOCK = re.compile(
    r"(?:cdef |cpdef |ctypedef )?(?:packed )?(?P<kind>struct|union|enum|class)\b ?(?P<name>\w*)"
)
POINTER = re.compile(r"\(\*\s*(\w+)\)\s*\(")
CALLED = re.compile(r"(\w+)\s*(?:\"[^\"]*\")?\s*\(")


def declarations(text: str) -> Iterator[Declaration]:
    """Find what a .pxd or .pyx declares with `cdef`, `cpdef` or `ctypedef`, and values of enums."""
    blocks: list[tuple[int, str, str]] = []
    for number, line in _logical_lines(masked(text)):
        indent = len(line) - len(line.lstrip())
        blocks = [one for one in blocks if one[0] < indent]
        kinds = [kind for _, kind, _ in blocks]
        owner = blocks[-1][2] if blocks else ""
        inside = kinds[-1] if kinds else ""
        code = line.strip()
        is_c = "extern" in kinds
        if "function" in kinds or code.startswith("@") or code == "pass":
            continue
        if code.startswith("cdef extern from"):
            blocks.append((indent, "extern", ""))
        elif (block := BLOCK.match(code)) and code.endswith(":"):
            kind = "struct" if block["kind"] == "union" else block["kind"]
            if block["name"] and kind != "class":
                named = "enum" if kind == "enum" else "type"
                yield Declaration(named, block["name"], number, owner, is_c)
            blocks.append((indent, kind, block["name"]))
        elif inside == "enum":
            for name in re.findall(r"(?:^|,)\s*(\w+)", re.sub(r'"[^"]*"', "", code)):
                yield Declaration("constant", name, number, owner, is_c)
        elif code.startswith("ctypedef "):
            found = POINTER.search(code) or re.search(r"(\w+)\s*(?:\"[^\"]*\")?$", code)
            if found:
                yield Declaration("type", found[1], number, owner, is_c)
            if code.endswith(":"):
                blocks.append((indent, "function", ""))
        elif inside == "struct":
            for name in _names_of(code):
                yield Declaration("field", name, number, owner, is_c)
        elif re.match(r"(?:async )?def ", code):
            blocks.append((indent, "function", ""))
        elif code.startswith(("cdef ", "cpdef ")) or inside == "extern":
            is_visible = bool(re.match(r"cpdef |cdef (public|readonly) ", code))
            head = code.split("=")[0] if not code.endswith(":") else code
            if "(" in head and not POINTER.search(head):
                kind = "method" if inside == "class" else "function"
                name = CALLED.search(head)
                assert name is not None, code
                yield Declaration(kind, name[1], number, owner, is_c, is_visible)
                if code.endswith(":") or re.search(r":\s*(return|pass)\b", code):
                    blocks.append((indent, "function", ""))
            else:
                kind = "field" if inside == "class" else "constant"
                for name in _names_of(code):
                    yield Declaration(kind, name, number, owner, is_c, is_visible)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line that is not blank, joined with the lines over which its brackets go on."""
    whole, depth, first = "", 0, 0
    for number, line in enumerate(text.splitlines(), 1):
        if not whole and not line.strip():
            continue
        first = first if whole else number
        whole = f"{whole} {line.strip()}" if whole else line.rstrip()
        depth += sum(map(line.count, "([{")) - sum(map(line.count, ")]}"))
        if depth <= 0 and not whole.endswith("\\"):
            yield first, whole
            whole, depth = "", 0


def _names_of(code: str) -> list[str]:
    """Return the names that `type a, *b[2] = 3` declares."""
    if found := POINTER.search(code):
        return [found[1]]
    code = re.sub(r'\s*"[^"]*"', "", code.rstrip(":"))
    first, *others = re.split(r",(?![^\[]*\])", re.sub(r"\s*=(?!=)[^,]*", "", code))
    return [
        found[1]
        for part in (first, *others)
        if (found := re.search(r"(\w+)\s*(?:\[[^\]]*\])*$", part.strip()))
    ]


def prose_of(path: str, text: str) -> Iterator[str]:
    """Yield the comments and docstrings of a file, one after the other."""
    if path.endswith((".c", ".h")):
        yield from re.findall(r"/\*.*?\*/|//[^\n]*", text, re.DOTALL)
    elif path.endswith((".py", ".pyi")):
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.string
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Expr(value=ast.Constant(value=str(said))):
                    yield said
    else:
        for found in PROSE.finditer(text):
            before = text[max(0, found.start() - 200) : found.start()]
            is_alone = not before.rpartition("\n")[2].strip()
            if found["comment"] or (is_alone and not C_CODE.search(before)):
                yield found.group()
