"""The others' command lines: each tool with its best flags, in several settings.

Rule: what costs them time and serves nobody here is off (allocation before the download, progress,
robots.txt, settings of the user); certificates are checked, as by us.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
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
_OURS = f"{sys.executable} -m bench.downloads.ours {{kind}} {{urls}} {{out}} --ca {{ca}}"

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
OURS = {"archiver-bytes": f"{_OURS.replace('{kind}', 'bytes')} --downloads 16"}
NEEDED = ("nginx", "openssl")


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
        (self.lists / "urls").write_text(
            "".join(f"{self.base}{each.name}\n" for each in self.files)
        )
        pairs = (
            f'url = "{self.base}{each.name}"\noutput = "{self.out / each.name}"\n'
            for each in self.files
        )
        (self.lists / "pairs").write_text("".join(pairs))

    def command(self, template: str) -> list[str]:
        """The words of a command; a path with a space in it stays one."""
        known = {
            "{urls}": self.lists / "urls", "{pairs}": self.lists / "pairs", "{out}": self.out,
            "{base}": self.base, "{ca}": self.ca,
        }  # fmt: skip
        words = shlex.split(template)
        for mark, value in known.items():
            words = [word.replace(mark, str(value)) for word in words]
        return words


def missing(commands: Sequence[str]) -> list[str]:
    """The programs that are not in PATH, each once."""
    programs = dict.fromkeys(shlex.split(each)[0] for each in commands)
    return [program for program in programs if shutil.which(program) is None]
