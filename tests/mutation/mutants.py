"""Owns the mutants of one source file: every single small change of its syntax tree, each with a name that lasts.

It owns no run. Words are left alone (strings, f-strings, docstrings, what stands in for missing words), and so are
annotations, decorators and imports.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

#: the neighbour of each member: a wrong one of the same kind
ENUMS: dict[str, tuple[str, ...]] = {
    "Action": ("HOLD", "DISARM", "TRIP"),
    "Lamp": ("SAFE", "READY", "ARMED", "HELD", "TRIPPED"),
    "Mode": ("SIMULATED", "BENCH", "HUMAN", "LISTEN"),
    "Delivery": ("DELIVERED", "NOT_DELIVERED", "UNCERTAIN"),
    "Outcome": ("FIRED", "REFUSED", "MISSED", "UNCERTAIN"),
    "Fault": (
        "STOP", "UNIT_SILENT", "UNIT_LOST", "UNIT_UNEXPECTED", "PORT_DEAD", "ENGINE_LATE", "UNCERTAIN_PULSE",
        "JOURNAL_FAILED", "BUG",
    ),
    "Ask": ("SET_POWER", "ARM", "FIRE", "STATUS", "ANNOUNCE", "CLOSE"),
}  # fmt: skip
_NAMES = {"_H": "_D", "_D": "_T", "_T": "_H", "min": "max", "max": "min", "any": "all", "all": "any"}
_EDGE = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
_NOT = {
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_SIGN: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
}  # fmt: skip
_SHOWN = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=", ast.Is: "is",
    ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in", ast.Add: "+", ast.Sub: "-", ast.Mult: "*",
    ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%",
}  # fmt: skip

Path = tuple[tuple[str, int | None], ...]  # from the module to a node: field names and places in lists
Change = Callable[[ast.AST], ast.AST]


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One change. Its name (file, function, line of source, operator, which of several) outlives edits elsewhere."""

    file: str
    function: str  # Class.method, or "" at the level of the module
    line: str  # the source line where the changed node begins, stripped
    operator: str  # e.g. "< -> <="
    nth: int  # among mutants with the same four
    lineno: int  # today; not part of the name
    path: Path = field(repr=False, compare=False)
    change: Change = field(repr=False, compare=False)

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        return (self.file, self.function, self.line, self.operator, self.nth)

    def source(self, text: str) -> str:
        """The whole file with this one change."""
        tree = ast.parse(text)
        parent: ast.AST = tree
        for name, place in self.path[:-1]:
            value = getattr(parent, name)
            parent = value if place is None else value[place]
        name, place = self.path[-1]
        if place is None:
            setattr(parent, name, self.change(getattr(parent, name)))
        else:
            getattr(parent, name)[place] = self.change(getattr(parent, name)[place])
        return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def mutants_of(text: str, file: str) -> list[Mutant]:
    """All mutants of a file, in the order of its source; the same text gives the same list."""
    lines, seen, out = text.splitlines(), {}, []  # type: list[str], dict[tuple[str, ...], int], list[Mutant]
    for node, path, function in _walk(ast.parse(text), (), ""):
        for operator, change in _changes(node):
            lineno = getattr(node, "lineno", 0)
            name = (function, lines[lineno - 1].strip(), operator)
            made = Mutant(
                file=file, function=name[0], line=name[1], operator=operator, nth=seen.get(name, 0), lineno=lineno,
                path=path, change=change,
            )  # fmt: skip
            seen[name] = made.nth + 1
            out.append(made)
    return out


def _walk(node: ast.AST, path: Path, function: str) -> Iterator[tuple[ast.AST, Path, str]]:
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_comment"):
            continue
        for place, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or _left_alone(child):
                continue
            here = (*path, (name, place))
            inside = function
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                inside = f"{function}.{child.name}".lstrip(".")
            yield child, here, inside
            yield from _walk(child, here, inside)


def _left_alone(node: ast.AST) -> bool:
    """Words and imports."""
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return docstring or isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom | ast.expr_context)


def _pass(node: ast.AST) -> ast.AST:
    return ast.copy_location(ast.Pass(), node)


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            for table in (_EDGE, _NOT):
                if type(op) in table:
                    new = table[type(op)]
                    yield f"{_SHOWN[type(op)]} -> {_SHOWN[new]}", _compared(i, new)
    elif isinstance(node, ast.BoolOp) and not any(_says(value) for value in node.values):
        other: type[ast.boolop] = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield ("and -> or" if other is ast.Or else "or -> and"), lambda n: ast.BoolOp(other(), n.values)  # type: ignore[attr-defined]
        for i in range(len(node.values)):
            yield f"drop operand {i + 1}", _dropped(i)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        sign = "not" if isinstance(node.op, ast.Not) else "-"
        yield f"drop {sign}", lambda n: n.operand  # type: ignore[attr-defined]
    elif isinstance(node, ast.Constant):
        yield from _constants(node.value)
    elif (
        isinstance(node, ast.BinOp | ast.AugAssign)
        and type(node.op) in _SIGN
        and not any(_says(n) for n in ast.walk(node))
    ):
        sign_op = _SIGN[type(node.op)]
        yield f"{_SHOWN[type(node.op)]} -> {_SHOWN[sign_op]}", _signed(sign_op)
    if isinstance(node, ast.Name) and node.id in _NAMES:
        yield f"{node.id} -> {_NAMES[node.id]}", lambda n: ast.Name(_NAMES[n.id], ast.Load())  # type: ignore[attr-defined]
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ENUMS:
        members = ENUMS[node.value.id]
        if node.attr.isupper():
            at = members.index(node.attr) if node.attr in members else -1
            new_name = members[(at + 1) % len(members)]
            yield f"{node.attr} -> {new_name}", lambda n: ast.Attribute(n.value, new_name, ast.Load())  # type: ignore[attr-defined]
    words_only = isinstance(node, ast.IfExp) and _says(node.body) and _says(node.orelse)
    plain = isinstance(node, ast.If | ast.While | ast.IfExp) and isinstance(
        node.test, ast.Name | ast.Attribute | ast.Call
    )
    if plain and not words_only:
        yield "negate condition", _negated
    if isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield "return None", lambda n: ast.Return(ast.Constant(None))
    gone = isinstance(node, ast.Raise | ast.AugAssign | ast.Continue | ast.Break)
    gone = gone or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
    if isinstance(node, ast.Assign):
        gone = not any(isinstance(target, ast.Name) for target in node.targets)
    if isinstance(node, ast.Return) and node.value is None:
        gone = True
    if gone:
        yield "remove statement", _pass


def _compared(i: int, new: type[ast.cmpop]) -> Change:
    def change(node: ast.AST) -> ast.AST:
        node = copy.copy(node)
        assert isinstance(node, ast.Compare)
        node.ops = [new() if j == i else op for j, op in enumerate(node.ops)]
        return node

    return change


def _dropped(i: int) -> Change:
    def change(node: ast.AST) -> ast.AST:
        assert isinstance(node, ast.BoolOp)
        left = [value for j, value in enumerate(node.values) if j != i]
        return left[0] if len(left) == 1 else ast.BoolOp(node.op, left)

    return change


def _signed(new: type[ast.operator]) -> Change:
    def change(node: ast.AST) -> ast.AST:
        node = copy.copy(node)
        assert isinstance(node, ast.BinOp | ast.AugAssign)
        node.op = new()
        return node

    return change


def _negated(node: ast.AST) -> ast.AST:
    node = copy.copy(node)
    assert isinstance(node, ast.If | ast.While | ast.IfExp)
    node.test = ast.UnaryOp(ast.Not(), node.test)
    return node


def _constants(value: object) -> Iterator[tuple[str, Change]]:
    if isinstance(value, bool):
        yield f"{value} -> {not value}", lambda n: ast.Constant(not value)
    elif isinstance(value, int):
        for new in (value + 1, value - 1):
            yield f"{value} -> {new}", _constant(new)
    elif isinstance(value, float):
        for near in (value * 2, value / 2) if value else (1.0, -1.0):
            yield f"{value} -> {near}", _constant(near)


def _constant(new: float) -> Change:
    return lambda node: ast.Constant(new)


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _says(node: ast.AST) -> bool:
    """Words for a person, such as the default of ``found or "unknown"``."""
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
