"""The benchmark of downloads counts, tells and checks rightly.  Nothing is timed here."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from archiver.core import container
from bench.downloads import corpus, peers, processes, rounds, table
from bench.downloads.as_in_run import as_in_run
from bench.downloads.bytes_only import bytes_only
from bench.downloads.corpus import Corpus, File
from bench.downloads.ours import Work
from bench.downloads.peers import Task, Tool
from bench.downloads.places import needed
from bench.downloads.table import GIB, Measured
from tests.wire.download_bench import LOCAL
from tests.wire.raw_server import RawServer, Reply, Request, reply

TINY = Corpus("T", 5, corpus.MIB + 1000)


def piece(content: bytes, offset: int, count: int) -> bytes:
    return content[offset : offset + count]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[File]]:
    root = tmp_path_factory.mktemp("corpora")
    return root / "T", corpus.make(TINY, root)


def test_a_corpus_is_sound_and_no_two_files_or_mebibytes_are_alike(
    made: tuple[Path, list[File]],
) -> None:
    folder, files = made
    contents = [(folder / each.name).read_bytes() for each in files]
    for content in contents:
        walk = container.walk("mp4", TINY.size, open_end=False)
        assert container.drive(walk, partial(piece, content)) is None
    assert {len(content) for content in contents} == {TINY.size}
    assert len({each.sha256 for each in files}) == TINY.count
    assert rounds.wrong_files(folder, files, deep=True) == 0


def test_a_corpus_is_made_once_and_anew_where_another_was_wanted(tmp_path: Path) -> None:
    first = corpus.make(Corpus("T", 1, 1000), tmp_path)
    assert corpus.make(Corpus("T", 1, 1000), tmp_path) == first
    assert len(corpus.make(Corpus("T", 2, 1000), tmp_path)) == 2
    assert needed([Corpus("T", 2, 1000), Corpus("U", 1, 50)], tmp_path) == 50 + 2000 + (2 << 30)


@pytest.mark.parametrize("harm", ["missing", "one too many", "altered", "cut"])
def test_a_wrong_file_is_seen(made: tuple[Path, list[File]], tmp_path: Path, harm: str) -> None:
    folder, files = made
    contents = {each.name: (folder / each.name).read_bytes() for each in files}
    first = files[0].name
    if harm == "missing":
        del contents[first]
    elif harm == "one too many":
        contents["more.mp4"] = contents[first]
    elif harm == "altered":
        contents[first] = contents[first][:-1] + b"?"
    else:
        contents[first] = contents[first][:-1]
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    assert rounds.wrong_files(tmp_path, files, deep=True) == 1
    assert rounds.wrong_files(tmp_path, files, deep=False) == (harm != "altered")


def run(tool: str, wall_s: float, cpu_s: float, *, peer: bool = True) -> Measured:
    return Measured(tool, peer, wall_s, cpu_s, 0.0, 0.5, 30.0)


def test_a_row_has_medians_and_is_compared_with_the_best_peer_of_each_figure() -> None:
    found = table.rows(
        [
            run("quick", 2.0, 8.0), run("thrifty", 5.0, 1.0), run("ours", 9.0, 3.0, peer=False),
            run("quick", 3.0, 9.0), run("thrifty", 4.0, 3.0), run("ours", 1.0, 1.0, peer=False),
            run("quick", 99.0, 8.0), run("thrifty", 4.5, 2.0), run("ours", 1.5, 1.0, peer=False),
        ],
        2 * GIB,
    )  # fmt: skip
    assert [row.tool for row in found] == ["ours", "quick", "thrifty"]
    ours = found[0]
    assert (ours.wall_s, ours.least_s, ours.most_s, ours.ratio) == (1.5, 1.0, 9.0, 0.5)
    assert (ours.cpu_s_gib, ours.cpu_ratio) == (0.5, 0.5)
    assert (found[1].ratio, found[1].cpu_ratio) == (1.0, 4.0)


def test_without_a_peer_there_is_no_ratio_and_who_failed_is_named() -> None:
    found = table.rows([run("ours", 1.0, 1.0, peer=False)], GIB)
    assert (found[0].ratio, found[0].cpu_ratio) == (None, None)
    lines = table.shown("T", found, {"other": "exit code 1"}).splitlines()
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    assert "- other failed: exit code 1" in lines


def test_the_order_alternates() -> None:
    tools = [Tool(name, "true", True) for name in "abc"]
    assert [tool.name for n in range(3) for tool in rounds.order(tools, n)] == list("abccbaabc")


def task_in(folder: Path) -> Task:
    task = Task(
        (File("a.mp4", 1, ""), File("b.mp4", 1, "")), "http://h/T/", folder / "ca.pem",
        folder / "out put", folder / "lists",
    )  # fmt: skip
    task.write()
    return task


@pytest.mark.parametrize(
    "tool", [*peers.wanted(""), peers.ours("bytes_only")], ids=lambda t: t.name
)
def test_a_command_knows_what_to_fetch_from_whom_and_where_to(tmp_path: Path, tool: Tool) -> None:
    task = task_in(tmp_path)
    words = task.words(tool)
    line = " ".join(words)
    assert "{" not in line
    assert str(task.ca) in line
    assert any(str(path) in line for path in (task.out, task.lists / "pairs"))
    assert any(place in line for place in (task.base, str(task.lists)))
    assert (task.lists / "urls").read_text().split() == ["http://h/T/a.mp4", "http://h/T/b.mp4"]
    assert f'output = "{task.out / "b.mp4"}"' in (task.lists / "pairs").read_text()


def test_a_peer_as_in_a_run_is_synced_and_hashes_every_file(
    tmp_path: Path, made: tuple[Path, list[File]]
) -> None:
    folder, files = made
    task = task_in(tmp_path)
    task.out.mkdir()
    copy = Tool("copy", f"cp -r {folder}/. {{out}}", True)
    log = tmp_path / "said"
    cost = processes.run(task.words(peers.durable(copy, TINY.count)), log, 30.0)
    hashes = [line.rpartition(" ")[2] for line in log.read_text().splitlines()]
    assert cost.code == 0
    assert sorted(hashes) == sorted(each.sha256 for each in files)


def test_of_each_peer_the_fastest_setting_is_taken() -> None:
    fastest = ["wget2-16", "archiver bytes only", "curl-64", "wget2-8", "curl-16"]
    best = peers.best_settings(peers.wanted("wget2|curl|rclone"), fastest)
    assert [tool.name for tool in best] == ["wget2-16", "curl-64", "rclone-16"]
    assert peers.missing(["sh", "no-such-program", "no-such-program"]) == ["no-such-program"]


def test_the_memory_of_children_counts() -> None:
    eater = "x = b'x' * (60 << 20); print(1, flush=True); input()"
    command = ["sh", "-c", f'{sys.executable} -c "{eater}"; true']
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = processes.descendants(process.pid)
        assert len(found) == 2
        assert 60 << 10 < sum(map(processes.peak_kib, found)) < 120 << 10
        process.communicate(b"\n")
    assert processes.peak_kib(process.pid) == processes.cpu_s(process.pid) == 0


def test_the_cpu_of_children_counts(tmp_path: Path) -> None:
    log, worker = tmp_path / "log", "sum(range(3_000_000)); import time; print(time.process_time())"
    cost = processes.run(["sh", "-c", f"{sys.executable} -c '{worker}'; exit 3"], log, 30.0)
    assert cost.code == 3
    assert cost.cpu_s >= float(log.read_text())


def test_who_takes_too_long_is_killed(tmp_path: Path) -> None:
    cost = processes.run(["sh", "-c", "sleep 600 & sleep 600"], tmp_path / "log", 0.1)
    assert cost.code == -9


@pytest.mark.parametrize("work", [bytes_only, as_in_run])
def test_our_own_rows_fetch_everything(
    tmp_path: Path, made: tuple[Path, list[File]], work: Work
) -> None:
    folder, files = made

    def serve(request: Request) -> Reply:
        return reply(200, (folder / request.target.rpartition("/")[2]).read_bytes())

    async def main() -> None:
        async with RawServer(serve) as server:
            base = server.url.rpartition("/")[0]
            await work([f"{base}/{each.name}" for each in files], tmp_path / "out", LOCAL, 3)

    (tmp_path / "out").mkdir()
    asyncio.run(main())
    assert rounds.wrong_files(tmp_path / "out", files, deep=True) == 0
