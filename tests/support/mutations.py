"""Damage files as disks, editors, spreadsheets and other programs do, each way by its name."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

Damage = Callable[[bytes, random.Random], bytes]


def _line(data: bytes, chance: random.Random, change: Callable[[list[bytes], int], None]) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    change(lines, chance.randrange(len(lines)))
    return b"".join(lines)


def _put(word: bytes) -> Damage:
    """In front of some line."""
    return lambda data, chance: _line(data, chance, lambda lines, at: lines.insert(at, word + b"\n"))


def _instead(word: bytes) -> Damage:
    """In place of what follows some colon, comma or tab."""

    def change(data: bytes, chance: random.Random) -> bytes:
        places = [at for at, byte in enumerate(data) if byte in b":,\t="]
        if not places:
            return word
        at = chance.choice(places) + 1
        ends = [end for end in (data.find(mark, at) for mark in (b"\n", b",", b"}", b"\t")) if end >= 0]
        return data[:at] + b" " + word + data[min(ends, default=len(data)) :]

    return change


def _plainly(change: Callable[[bytes], bytes]) -> Damage:
    return lambda data, _: change(data)


def _flip(data: bytes, chance: random.Random) -> bytes:
    if not data:
        return b"\x80"
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


BYTES: dict[str, Damage] = {
    "cut off": lambda data, chance: data[: chance.randrange(len(data) + 1)],
    "emptied": _plainly(lambda _: b""),
    "a bit flipped": _flip,
    "zeros in the middle": _plainly(lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2)),
    "twice": _plainly(lambda data: data + data),
    "of other bytes": lambda _, chance: chance.randbytes(200),
}
TEXT: dict[str, Damage] = BYTES | {
    "a line lost": lambda data, chance: _line(data, chance, lambda lines, at: lines.__delitem__(at)),
    "a line twice": lambda data, chance: _line(data, chance, lambda lines, at: lines.insert(at, lines[at])),
    "a line moved": lambda data, chance: _line(data, chance, lambda lines, at: lines.insert(0, lines.pop(at))),
    "line ends of Windows": _plainly(lambda data: data.replace(b"\n", b"\r\n")),
    "line ends of old": _plainly(lambda data: data.replace(b"\n", b"\r")),
    "UTF-16": _plainly(lambda data: data.decode(errors="replace").encode("utf-16")),
    "a byte order mark": _plainly(lambda data: b"\xef\xbb\xbf" + data),
    "Latin letters of one byte": _plainly(lambda data: data.replace(b"e", b"\xe9", 1)),
    "tabs for blanks": _plainly(lambda data: data.replace(b"  ", b"\t")),
    "blanks gone": _plainly(lambda data: data.replace(b" ", b"")),
    "a quote": lambda data, chance: _line(data, chance, lambda lines, at: lines.insert(at, b'"')),
    "a bracket": _put(b"{["),
    "an object of Python": _put(b"!!python/object/apply:os.system ['true']"),
    "an alias of itself": _put(b"here: &here [*here]"),
    "a letter of control": _plainly(lambda data: data.replace(b"a", b"\x00", 1)),
    "deep": _plainly(lambda _: b"[" * 5000),
    "a null": _instead(b"null"),
    "a list": _instead(b"[1, [2]]"),
    "a record": _instead(b"{a: {b: 1}}"),
    "a number": _instead(b"-1"),
    "a large number": _instead(b"9" * 400),
    "no number": _instead(b".nan"),
    "a date": _instead(b"2024-02-30"),
    "a truth": _instead(b"yes"),
    "a long word": _instead(b"x" * 70_000),
    "half of a character": _instead(rb'"\ud800"'),
    "a path that leaves": _instead(b"../../../etc/passwd"),
}  # fmt: skip
"""By name: from a file's bytes and chance to other bytes."""


def _instead_of_it(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


PLACES: dict[str, Callable[[Path], None]] = {
    "gone": Path.unlink,
    "a folder": _instead_of_it(Path.mkdir),
    "a link to nowhere": _instead_of_it(lambda path: path.symlink_to("nowhere")),
    "a link to itself": _instead_of_it(lambda path: path.symlink_to(path.name)),
    "a link to a device": _instead_of_it(lambda path: path.symlink_to("/dev/null")),
}
"""By name: what becomes of the file itself."""


def mutate(path: Path, chance: random.Random, ways: dict[str, Damage]) -> str:
    """Damage the file in one way of `ways` or `PLACES`; returns what was done."""
    way = chance.choice([*ways, *PLACES])
    if way in PLACES:
        PLACES[way](path)
    else:
        path.write_bytes(ways[way](path.read_bytes(), chance))
    return f"{path.name} {way}"


def restore(path: Path, data: bytes) -> None:
    """As before `mutate`."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.write_bytes(data)
