"""The others' command lines: each tool with its best flags, in several settings.

Rule: what costs them time and serves nobody here is off (allocation before the download, progress,
robots.txt, settings of the user); certificates are checked, as by us.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.downloads.corpus import File

_CURL = "curl -q -sS --fail --cacert {ca} --parallel --parallel-immediate -K {pairs}"
_ARIA2 = (
    "aria2c --no-conf -q --ca-certificate={ca} --file-allocation=none --summary-interval=0 "
    "--disk-cache=64M --auto-save-interval=0 -i {urls} -d {out}"
)
_WGET2 = (
    "wget2 --no-config -q --ca-certificate={ca} --no-robots --hsts=off --chunk-size=0 -i {urls} "
    "-P {out}"
)
_RCLONE = (
    "rclone copy :http: {out} --http-url {base} --config /dev/null --ca-cert {ca} "
    "--no-check-dest --no-traverse --ignore-checksum"
)
_OURS = "{python} -m bench.downloads.{kind} {{urls}} {{out}} --ca {{ca}} --downloads 16"

PEERS = {
    "curl-16": f"{_CURL} --parallel-max 16",
    "curl-64": f"{_CURL} --parallel-max 64",
    "aria2-16": f"{_ARIA2} -j16 -x1 -s1",
    "aria2-16x4": f"{_ARIA2} -j16 -x4 -s4 -k1M",
    "wget2-8": f"{_WGET2} --max-threads=8",
    "wget2-16": f"{_WGET2} --max-threads=16",
    "rclone-16": f"{_RCLONE} --transfers 16 --checkers 16",
    "rclone-16-nohead": f"{_RCLONE} --http-no-head --transfers 16 --checkers 16",
}
OURS = {
    kind: _OURS.format(python=shlex.quote(sys.executable), kind=kind)
    for kind in ("bytes_only", "as_in_run")
}
# What a run does besides: made durable, and hashed by a program that is faster than sha256sum.
_AFTERWARDS = (
    "sync -f {{out}} && find {{out}} -type f -print0 "
    "| xargs -0 -P 2 -n {share} openssl dgst -sha256"
)
NEEDED = ("nginx", "openssl")


@dataclass(frozen=True, slots=True)
class Tool:
    """One row of a table.  ``then``: shell commands that belong to the work as well."""

    name: str
    command: str
    is_peer: bool
    then: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """One corpus by one scheme, as the tools are told of it."""

    files: tuple[File, ...]
    base: str  # the address of the folder, with a slash at its end
    ca: Path
    out: Path
    lists: Path  # a folder of our own

    def write(self) -> None:
        """Write the lists of addresses."""
        self.lists.mkdir(parents=True, exist_ok=True)
        addresses = [f"{self.base}{each.name}" for each in self.files]
        pairs = (
            f'url = "{address}"\noutput = "{self.out / file.name}"\n'
            for address, file in zip(addresses, self.files, strict=True)
        )
        (self.lists / "urls").write_text("".join(f"{address}\n" for address in addresses))
        (self.lists / "pairs").write_text("".join(pairs))

    def words(self, tool: Tool) -> list[str]:
        """The command of *tool* for this task, with the paths in their places."""
        known = {
            "{urls}": self.lists / "urls", "{pairs}": self.lists / "pairs", "{out}": self.out,
            "{base}": self.base, "{ca}": self.ca,
        }  # fmt: skip
        line = f"{tool.command} && {tool.then}" if tool.then else tool.command
        for mark, value in known.items():
            line = line.replace(mark, shlex.quote(str(value)))
        return ["sh", "-c", line] if tool.then else shlex.split(line)


def wanted(pattern: str) -> list[Tool]:
    """Every peer, in every setting, whose name the pattern finds."""
    return [Tool(name, each, True) for name, each in PEERS.items() if re.search(pattern, name)]


def ours(kind: str) -> Tool:
    """Our own downloader: ``bytes_only`` or ``as_in_run``."""
    return Tool(f"archiver {kind.replace('_', ' ')}", OURS[kind], False)


def durable(peer: Tool, count: int) -> Tool:
    """*peer*, after which its *count* files are synced, and hashed by two processes at a time."""
    share = max(1, min(500, count // 8))  # of the files, for one openssl
    then = _AFTERWARDS.format(share=share)
    return replace(peer, name=f"{peer.name}, sync, sha256", then=then)


def best_settings(peers: Sequence[Tool], fastest_first: Sequence[str]) -> list[Tool]:
    """Of each program the setting that was the fastest, the first where nobody has measured."""
    places = {name: place for place, name in enumerate(fastest_first)}
    best: dict[str, Tool] = {}
    for peer in sorted(peers, key=lambda peer: places.get(peer.name, len(places))):
        best.setdefault(program(peer), peer)
    return list(best.values())


def program(tool: Tool) -> str:
    """What has to be in PATH."""
    return shlex.split(tool.command)[0]


def missing(programs: Iterable[str]) -> list[str]:
    """Those that are not in PATH, each once."""
    return [each for each in dict.fromkeys(programs) if shutil.which(each) is None]
