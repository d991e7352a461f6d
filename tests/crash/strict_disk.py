"""A disk that remembers what a power cut would leave: as little as the file systems promise.

The calls are real, on a folder in memory; beside them stands a model of what is durable:
- bytes of a file: what fsync or fdatasync of that file made so.  Later writes may be lost, kept,
  torn at a sector or at any byte, reordered among each other; a file may have grown without them,
  and then holds zeros or what lay there before (ext4 data=writeback);
- names: what a sync of their folder made so, for new folders too.  Later changes of names may be
  kept in order up to any point (ext4's journal), or each by itself (btrfs, a share).  A rename is
  one change to most; here it may also come half: both names, since the target's folder is all that
  the program syncs.  Neither name is what no file system with a journal leaves;
- after an fsync that failed, what it should have written is gone for good, though it can be read.
A ledger's bytes are SQLite's: the last commit, never newer, never older, and its name stands from
the first one on; renaming it is a change of names like every other.
"""

from __future__ import annotations

import errno
import os
import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from archiver.adapters.disk import FILE_MODE, Os

SECTOR = 512
GARBAGE = b"\xa5 what lay here before "
LEDGER = "archive/.archiver/ledger.sqlite3"
LOGS = ("-wal", "-shm", "-journal")

Tree: TypeAlias = dict[str, "tuple[int, bytes] | None"]  # path: mode and bytes; None: a folder


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at an offset, not yet durable."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """A new length, not yet durable."""

    size: int


@dataclass(eq=False, slots=True)
class File:
    """What of a file is durable, and what came since."""

    content: bytes = b""
    mode: int = 0o600
    pending: list[Write | Cut] = field(default_factory=list)
    wanted_mode: int = 0o600
    is_doubtful: bool = False  # an fsync failed: what can be read is not what is on the disk

    def live(self) -> bytes:
        """What can be read."""
        return _with(self.content, self.pending)

    def synced(self) -> None:
        """All that came is durable now."""
        self.content, self.pending = self.live(), []

    def left(self, chance: random.Random) -> tuple[int, bytes]:
        """What a power cut leaves: mode and bytes."""
        mode = self.wanted_mode if chance.random() < 0.5 else self.mode
        match chance.choice(("none", "all", "prefix", "sectors", "size")) if self.pending else "":
            case "all":
                return mode, self.live()
            case "prefix":
                count = chance.randrange(len(self.pending))
                torn = self.pending[count]
                if isinstance(torn, Write):
                    torn = Write(torn.offset, torn.data[: chance.randrange(len(torn.data) + 1)])
                return mode, _with(self.content, [*self.pending[:count], torn])
            case "sectors":
                kept = [part for change in self.pending for part in _sectors(change, chance)]
                return mode, _grown(_with(self.content, kept), self.live(), chance)
            case "size":
                return mode, _grown(self.content, self.live(), chance)
            case _:
                return mode, self.content


def _with(content: bytes, changes: list[Write | Cut]) -> bytes:
    bytes_ = bytearray(content)
    for change in changes:
        if isinstance(change, Cut):
            del bytes_[change.size :]
            bytes_.extend(bytes(change.size - len(bytes_)))
        else:
            bytes_.extend(bytes(max(0, change.offset - len(bytes_))))
            bytes_[change.offset : change.offset + len(change.data)] = change.data
    return bytes(bytes_)


def _sectors(change: Write | Cut, chance: random.Random) -> list[Write | Cut]:
    if isinstance(change, Cut):
        return [change] if chance.random() < 0.5 else []
    pieces: list[Write | Cut] = []
    start, end = change.offset, change.offset + len(change.data)
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        if chance.random() < 0.5:
            pieces.append(Write(start, change.data[start - change.offset : stop - change.offset]))
        start = stop
    return pieces


def _grown(content: bytes, live: bytes, chance: random.Random) -> bytes:
    missing = len(live) - len(content)
    if missing <= 0 or chance.random() < 0.2:
        return content
    filler = bytes(missing) if chance.random() < 0.7 else GARBAGE * (missing // len(GARBAGE) + 1)
    return content + filler[:missing]


@dataclass(eq=False, slots=True)
class Folder:
    """Names that are durable, and names as they can be seen."""

    durable: dict[str, Node] = field(default_factory=dict)
    seen: dict[str, Node] = field(default_factory=dict)


Node: TypeAlias = File | Folder


@dataclass(frozen=True, slots=True)
class Named:
    """One change of a name, not yet durable; those of one ``turn`` are one call's."""

    turn: int
    folder: Folder
    name: str
    node: Node | None  # None: the name goes


@dataclass(frozen=True, slots=True)
class Remains:
    """What a crash left: files and folders below the working folder, and the ledger."""

    tree: Tree
    ledger: bytes | None

    def put(self, root: Path) -> None:
        """Make it real below *root*, which is empty."""
        for path in sorted(self.tree):
            made, held = root / path, self.tree[path]
            if held is None:
                made.mkdir(mode=0o700, parents=True, exist_ok=True)
            else:
                made.write_bytes(held[1])
                made.chmod(held[0])
        if self.ledger is not None and (root / LEDGER).parent.is_dir():
            (root / LEDGER).write_bytes(self.ledger)
            (root / LEDGER).chmod(0o600)


class StrictDisk(Os):
    """``Os`` on *root*, with a model of what is durable.

    Args:
        point: told before every change, and after commits, what comes or came.
    """

    def __init__(self, root: Path, point: Callable[[str], None] = lambda _name: None) -> None:
        super().__init__()
        self.root, self.point = root, point
        self.home = Folder()
        self.pending: list[Named] = []
        self.points = self.turn = 0
        self._last = "nothing"
        self.replaced: list[tuple[str, bytes]] = []  # names and texts of tag files, in order
        self._nodes: dict[int, Node] = {}
        self._adopt(root, self.home)

    def _adopt(self, path: Path, folder: Folder) -> None:
        """What stands there at the beginning is durable."""
        self._nodes[path.stat().st_ino] = folder
        for each in path.iterdir():
            if each.name.endswith(LOGS) or each.name == "lock":
                continue
            node: Node
            if each.is_dir():
                self._adopt(each, node := Folder())
            else:
                mode = each.stat().st_mode & 0o777
                node = File(each.read_bytes(), mode, wanted_mode=mode)
                self._nodes[each.stat().st_ino] = node
            folder.durable[each.name] = folder.seen[each.name] = node

    def spoil(self, path: str, content: bytes | None) -> None:
        """Another hand writes a file anew, or removes it (None), durably at once."""
        above, _, name = path.rpartition("/")
        folder: Any = self.home
        for step in above.split("/"):
            folder = folder.seen[step]
        if content is None:
            del folder.durable[name], folder.seen[name]
            (self.root / path).unlink()
        else:
            folder.seen[name].content = content
            (self.root / path).write_bytes(content)

    def put(self, path: str, content: bytes) -> None:
        """Another hand puts a file there, as ``cp`` does: nothing of it is durable."""
        root = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        above, _, name = path.rpartition("/")
        folder = self.open_folder(root, above)
        fd = self.create(name, folder)
        self.write_all(fd, memoryview(content), 0)
        self.chmod(fd, FILE_MODE)
        for each in (fd, folder, root):
            os.close(each)

    def unsettle(self, path: str) -> None:
        """The name of *path* came a moment ago, and is not durable yet."""
        above, _, name = path.rpartition("/")
        folder: Any = self.home
        for step in above.split("/"):
            folder = folder.seen[step]
        del folder.durable[name]
        self._change((folder, name, folder.seen[name]))

    # What a crash leaves.

    def after_power_cut(self, chance: random.Random) -> Remains:
        """Draw what a power cut at this moment would leave."""
        names = self._names(chance)
        tree: Tree = {}
        self._draw(self.home, "", names, chance, tree)
        return self._remains(tree, begun=chance.random() < 0.5)

    def after_kill(self) -> Remains:
        """All as it can be seen: the process ended, the system did not."""
        tree: Tree = {}
        self._see(self.home, "", tree)
        return self._remains(tree, begun=True)

    def _remains(self, tree: Tree, *, begun: bool) -> Remains:
        """With the ledger for itself; one *begun* and without a commit is an empty file."""
        held = tree.pop(LEDGER, None)
        if held is not None:
            return Remains(tree, held[1])
        is_new = (self.root / LEDGER).exists() and not self._is_known_ledger()
        return Remains(tree, b"" if begun and is_new else None)

    def killed_into(self, root: Path) -> StrictDisk:
        """Go on in *root* after a kill: what was not durable still is not."""
        self.after_kill().put(root)
        twin = type(self)(root)
        twin.turn, twin.replaced = self.turn, list(self.replaced)
        copies: dict[int, Node] = {}
        twin.home = self._copied(self.home, copies)
        twin.pending = [
            Named(p.turn, self._copied(p.folder, copies), p.name,
                  p.node and self._copied(p.node, copies))
            for p in self.pending
        ]  # fmt: skip
        twin._nodes.clear()
        twin._find(root, twin.home)
        return twin

    def _copied(self, node: Node, copies: dict[int, Node]) -> Any:
        if id(node) not in copies:
            if isinstance(node, File):
                copies[id(node)] = replace(node, pending=list(node.pending))
            else:
                copies[id(node)] = made = Folder()
                for name, each in node.durable.items():
                    made.durable[name] = self._copied(each, copies)
                for name, each in node.seen.items():
                    made.seen[name] = self._copied(each, copies)
        return copies[id(node)]

    def _find(self, path: Path, folder: Folder) -> None:
        self._nodes[path.stat().st_ino] = folder
        for name, node in folder.seen.items():
            if isinstance(node, Folder):
                self._find(path / name, node)
            else:
                self._nodes[(path / name).stat().st_ino] = node

    def _is_known_ledger(self) -> bool:
        private = self._nodes.get((self.root / LEDGER).parent.stat().st_ino)
        return isinstance(private, Folder) and Path(LEDGER).name in private.seen

    def _names(self, chance: random.Random) -> dict[Folder, dict[str, Node]]:
        """Which changes of names came to the disk."""
        turns = sorted({change.turn for change in self.pending})
        match chance.choice(("none", "all", "prefix", "each", "halves")) if turns else "none":
            case "none":
                kept: list[Named] = []
            case "all":
                kept = self.pending
            case "prefix":
                last = chance.choice(turns)
                kept = [change for change in self.pending if change.turn <= last]
            case "each":
                coins = {turn: chance.random() < 0.5 for turn in turns}
                kept = [change for change in self.pending if coins[change.turn]]
            case _:
                kept = self._halves(chance)
        names: dict[Folder, dict[str, Node]] = {}
        for change in kept:
            held = names.setdefault(change.folder, dict(change.folder.durable))
            _rename(held, change)
        return names

    def _halves(self, chance: random.Random) -> list[Named]:
        """A name that goes in a rename may stay beside the new one, never go without it."""
        kept = []
        came: dict[int, bool] = {}
        for change in self.pending:
            if change.node is not None:
                came[change.turn] = chance.random() < 0.5
                if came[change.turn]:
                    kept.append(change)
            elif came.get(change.turn, True) and chance.random() < 0.5:
                kept.append(change)
        return kept

    def _draw(
        self, folder: Folder, path: str, names: dict[Folder, dict[str, Node]],
        chance: random.Random, tree: Tree,
    ) -> None:  # fmt: skip
        for name, node in names.get(folder, folder.durable).items():
            if isinstance(node, File):
                tree[path + name] = node.left(chance)
            else:
                tree[path + name] = None
                self._draw(node, f"{path}{name}/", names, chance, tree)

    def _see(self, folder: Folder, path: str, tree: Tree) -> None:
        for name, node in folder.seen.items():
            if isinstance(node, File):
                tree[path + name] = (node.wanted_mode, node.live())
            else:
                tree[path + name] = None
                self._see(node, f"{path}{name}/", tree)

    # The calls.

    def before(self, name: str) -> None:
        """A change named *name* comes: a point to crash at."""
        self.points += 1
        last, self._last = self._last, name
        self.point(f"{name} after {last}")

    def committed(self, db: sqlite3.Connection) -> None:
        """A ledger made something durable."""
        # Past a connection that a test makes fail: this is no call of the program's.
        look = sqlite3.Connection.execute(db, "PRAGMA database_list")
        path = Path(look.fetchone()[2])
        folder = self._nodes.get(path.parent.stat().st_ino)
        assert isinstance(folder, Folder), "a ledger in a folder that this disk did not see"
        file = folder.seen.get(path.name)
        if not isinstance(file, File):
            # Its journal's first sync is one of the folder.  What is pending of other names stays
            # so: this promises less than that.
            mine = [p for p in self.pending if p.folder is not folder or p.name != path.name]
            file, self.pending = File(), mine
            folder.durable[path.name] = folder.seen[path.name] = file
            self._nodes[path.stat().st_ino] = file
        file.content = db.serialize()
        self.before("what follows the commit")

    def _node(self, fd: int) -> Node | None:
        return self._nodes.get(os.fstat(fd).st_ino)

    def _file(self, fd: int) -> File:
        node = self._node(fd)
        assert isinstance(node, File), "a file that this disk did not see being made"
        return node

    def _folder(self, fd: int) -> Folder:
        node = self._node(fd)
        assert isinstance(node, Folder), "a folder that this disk did not see being made"
        return node

    def _change(self, *changes: tuple[Folder, str, Node | None]) -> None:
        self.turn += 1
        for folder, name, node in changes:
            change = Named(self.turn, folder, name, node)
            self.pending.append(change)
            _rename(folder.seen, change)

    def create(self, name: str, folder: int) -> int:
        self.before("create")
        fd = super().create(name, folder)
        self._nodes[os.fstat(fd).st_ino] = made = File()
        self._change((self._folder(folder), name, made))
        return fd

    def pwrite(self, fd: int, data: memoryview, offset: int) -> int:
        self.before("pwrite")
        count = super().pwrite(fd, data, offset)
        self._file(fd).pending.append(Write(offset, bytes(data[:count])))
        return count

    def truncate(self, fd: int, size: int) -> None:
        self.before("truncate")
        super().truncate(fd, size)
        self._file(fd).pending.append(Cut(size))

    def chmod(self, fd: int, mode: int) -> None:
        self.before("chmod")
        super().chmod(fd, mode)
        self._file(fd).wanted_mode = mode

    def fdatasync(self, fd: int) -> None:
        self.before("fdatasync")
        self._sync(self._file(fd), fd)

    def fsync(self, fd: int) -> None:
        node = self._node(fd)
        if node is None:
            return  # the folder around the working folder
        self.before("fsync")
        if isinstance(node, Folder):
            mine = [change for change in self.pending if change.folder is node]
            self.pending = [change for change in self.pending if change.folder is not node]
            for change in mine:
                _rename(node.durable, change)
        else:
            self._sync(node, fd)
            node.mode = node.wanted_mode

    def sync_all(self, fd: int) -> None:
        self.before("sync_all")
        for change in self.pending:
            _rename(change.folder.durable, change)
        self.pending = []
        for node in self._nodes.values():
            if isinstance(node, File):
                node.synced()
                node.mode = node.wanted_mode

    def _sync(self, node: File, fd: int) -> None:
        node.synced()
        held = os.pread(fd, os.fstat(fd).st_size, 0)
        assert node.is_doubtful or node.content == held, "written past this disk"

    def fail_sync(self, fd: int, code: int = errno.EIO) -> None:
        """An fsync fails: the kernel forgets what it could not write, and calls it written."""
        node = self._file(fd)
        node.pending, node.is_doubtful = [], True
        raise OSError(code, os.strerror(code))

    def rename_noreplace(self, name: str, folder: int, new_name: str, new_folder: int) -> None:
        self.before("rename_noreplace")
        super().rename_noreplace(name, folder, new_name, new_folder)
        self._moved(name, folder, new_name, new_folder)

    def replace(self, name: str, folder: int, new_name: str, new_folder: int) -> None:
        self.before("replace")
        super().replace(name, folder, new_name, new_folder)
        self._moved(name, folder, new_name, new_folder)
        made = self._folder(new_folder).seen[new_name]
        if isinstance(made, File):
            self.replaced.append((new_name, made.live()))

    def _moved(self, name: str, folder: int, new_name: str, new_folder: int) -> None:
        old, new = self._folder(folder), self._folder(new_folder)
        self._change((new, new_name, self._called(name, old)), (old, name, None))

    def _called(self, name: str, folder: Folder) -> Node:
        if name not in folder.seen:  # SQLite's own: beside a ledger, or one without a commit yet
            folder.durable[name] = folder.seen[name] = File()
        return folder.seen[name]

    def link(self, name: str, folder: int, new_name: str, new_folder: int) -> None:
        self.before("link")
        super().link(name, folder, new_name, new_folder)
        node = self._called(name, self._folder(folder))
        self._change((self._folder(new_folder), new_name, node))

    def unlink(self, name: str, folder: int) -> None:
        self.before("unlink")
        super().unlink(name, folder)
        self._change((self._folder(folder), name, None))

    def mkdir(self, name: str, mode: int, folder: int) -> None:
        self.before("mkdir")
        super().mkdir(name, mode, folder)
        self._nodes[os.stat(name, dir_fd=folder).st_ino] = made = Folder()
        self._change((self._folder(folder), name, made))


def _rename(names: dict[str, Node], change: Named) -> None:
    if change.node is None:
        names.pop(change.name, None)
    else:
        names[change.name] = change.node
