"""The history of files: what ledger and verifications leave, and PREMIS made of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from archiver import archive
from archiver.adapters.check_log import checks, note_check
from archiver.cli import app
from archiver.core.events import Damaged
from archiver.core.model import Instant, Video, VideoId
from archiver.errors import ArchiverError
from archiver.records.history import Happening
from tests.ports.disk_world import NOW, opened
from tests.ports.test_records import FILM, archived, ledger_in

V3 = "{http://www.loc.gov/premis/v3}"
# What the schema allows, in its order; * any number, + at least one, ? at most one.
SCHEMA = {
    "premis": "object+ event* agent* rights*",
    "object": "objectIdentifier+ preservationLevel* significantProperties* "
    "objectCharacteristics+ originalName? storage* signatureInformation* relationship* "
    "linkingEventIdentifier* linkingRightsStatementIdentifier*",
    "objectCharacteristics": "compositionLevel? fixity* size? format+ creatingApplication* "
    "inhibitors* objectCharacteristicsExtension*",
    "fixity": "messageDigestAlgorithm messageDigest messageDigestOriginator?",
    "format": "formatDesignation? formatRegistry? formatNote*",
    "formatDesignation": "formatName formatVersion?",
    "storage": "contentLocation? storageMedium?",
    "contentLocation": "contentLocationType contentLocationValue",
    "event": "eventIdentifier eventType eventDateTime eventDetailInformation* "
    "eventOutcomeInformation* linkingAgentIdentifier* linkingObjectIdentifier*",
    "eventDetailInformation": "eventDetail? eventDetailExtension*",
    "eventOutcomeInformation": "eventOutcome? eventOutcomeDetail*",
    "agent": "agentIdentifier+ agentName* agentType? agentVersion? agentNote* agentExtension* "
    "linkingEventIdentifier* linkingRightsStatementIdentifier*",
    **{
        f"{name}Identifier": f"{name}IdentifierType {name}IdentifierValue"
        for name in ("object", "event", "agent", "linkingEvent", "linkingAgent", "linkingObject")
    },
}
VOCABULARY = {
    "capture", "message digest calculation", "ingestion", "fixity check", "recovery",
    "metadata modification", "deaccession",
}  # fmt: skip


def valid(element: ET.Element) -> None:
    """Judge an element and all below it by SCHEMA."""
    name = element.tag.removeprefix(V3)
    children = [child.tag.removeprefix(V3) for child in element]
    assert not children or not (element.text or "").strip()
    assert bool(children) or element.text
    rest = list(children)
    for word in SCHEMA.get(name, "").split():
        wanted, count = word.rstrip("*+?"), 0
        while rest and rest[0] == wanted:
            rest.pop(0)
            count += 1
        assert count >= (word[-1] not in "*?"), f"{name} without {wanted}"
        assert count <= 1 or word[-1] in "*+", f"{name} with {count} {wanted}"
    assert not rest, f"{name} has {rest}"
    for child in element:
        valid(child)


def texts(of: ET.Element, path: str) -> list[str]:
    """The texts of some elements below."""
    return [found.text or "" for found in of.iterfind("/".join(V3 + p for p in path.split("/")))]


async def all_of(stream: AsyncIterator[Any]) -> list[Any]:
    return [each async for each in stream]


def film_and_check(tmp_path: Path) -> str:
    """An archive with one film, whose verification found it damaged."""

    async def run() -> None:
        with opened(tmp_path) as vault:
            async with await ledger_in(tmp_path) as ledger:
                await archived(vault, ledger, Video(VideoId(8), "Good"))
                job = await archived(vault, ledger, FILM)
                await ledger.record(job, Damaged("bad \x00 \ufffe <bytes>"), Instant(NOW + 5))

    asyncio.run(run())
    return str(tmp_path / "archive")


def test_a_verification_leaves_its_line_and_the_history_has_it_in_order(tmp_path: Path) -> None:
    """Asked for, fetched, stored, damaged, verified; each as one object for programs."""
    dest = film_and_check(tmp_path)
    report = asyncio.run(archive.verify(dest, sample=0.5))
    (noted,) = checks(dest)
    assert (noted["checked"], noted["ok"]) == (report.verdict.checked, report.verdict.ok)
    assert (noted["slices"], noted["findings"]) == (2, [])
    found: list[Happening] = asyncio.run(all_of(archive.history(dest)))
    assert [e.name for e in found if e.key.video_id == 7] == [
        "Available", "Fetched", "Stored", "Damaged",
    ]  # fmt: skip
    assert found[-1].as_json()["event"] == "verified"
    assert found[-1].as_json()["premis"] == ["fixity check"]
    assert [each.at for each in found] == sorted(each.at for each in found)
    for each in found:
        told = json.loads(json.dumps(each.as_json()))
        assert set(told) == {
            "schema", "at", "event", "premis", "id", "kind", "format", "version", "detail",
        }  # fmt: skip
    later = asyncio.run(all_of(archive.history(dest, since=Instant(NOW + 1))))
    assert [each.name for each in later] == ["Damaged", "Verified"]


def test_the_history_is_premis(tmp_path: Path) -> None:
    """In the order of the schema, with the vocabulary's words, about the files that are there."""
    dest = film_and_check(tmp_path)
    asyncio.run(archive.verify(dest))
    path = next(Path(dest).rglob("*Good*.mp4"))
    path.write_bytes(b"?" + path.read_bytes()[1:])
    asyncio.run(archive.verify(dest))
    root = ET.fromstring("".join(asyncio.run(all_of(archive.premis(dest)))))
    assert (root.tag, root.get("version")) == (f"{V3}premis", "3.0")
    valid(root)
    files = [file for file in (Path(dest) / "data").rglob("*") if file.is_file()]
    digests = {hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file != path}
    told = texts(root, "object/objectCharacteristics/fixity/messageDigest")
    assert len(told) == 4
    assert digests <= set(told)
    assert set(texts(root, "event/eventType")) <= VOCABULARY
    named = texts(root, "event/eventIdentifier/eventIdentifierValue")
    assert len(named) == len(set(named))
    link = "object/linkingEventIdentifier/linkingEventIdentifierValue"
    assert set(texts(root, link)) == {named[-1]}  # the last check read all of them
    outcome = "eventOutcomeInformation/eventOutcome"
    checked = [e for e in root.iterfind(f"{V3}event") if texts(e, outcome)]
    assert [texts(event, outcome)[0] for event in checked] == ["fail", "pass", "fail"]
    about = "linkingObjectIdentifier/linkingObjectIdentifierValue"
    assert texts(checked[-1], about) == [path.relative_to(dest).as_posix()]
    assert texts(checked[0], about)[0].endswith("[7].mp4")
    captured = [e for e in root.iterfind(f"{V3}event") if texts(e, "eventType") == ["capture"]]
    assert texts(captured[0], about) == [path.relative_to(dest).as_posix()]


def test_the_official_schema_takes_it(tmp_path: Path) -> None:
    """The Library of Congress's own, from a package that carries it: `make judges`."""
    etree = pytest.importorskip("lxml.etree")
    package = Path(pytest.importorskip("gams_xml_catalog").__file__).parent
    schema = etree.XMLSchema(
        etree.parse(package / "catalog" / "loc" / "premis" / "v3" / "premis-v3-0.xsd")
    )
    dest = film_and_check(tmp_path)
    asyncio.run(archive.verify(dest))
    document = "".join(asyncio.run(all_of(archive.premis(dest)))).encode()
    schema.assertValid(etree.fromstring(document))
    bare = document.replace(b"<eventType>capture</eventType>", b"")
    assert bare != document
    assert not schema.validate(etree.fromstring(bare)), "it takes anything"


def test_premis_goes_to_standard_output_as_to_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``-`` is no file of that name; the bytes are the same, in UTF-8."""
    dest, other = film_and_check(tmp_path), tmp_path / "elsewhere"
    other.mkdir()
    monkeypatch.chdir(other)
    told = CliRunner(charset="latin-1").invoke(app, ["events", dest, "--premis", "-"])
    assert told.exit_code == 0, told.output
    assert not list(other.iterdir())
    kept = CliRunner().invoke(app, ["events", dest, "--premis", "events.xml"])
    assert (kept.exit_code, kept.output) == (0, "")
    assert told.stdout_bytes == (other / "events.xml").read_bytes()
    ET.fromstring(told.stdout_bytes)


def test_an_empty_archive_is_no_premis_document(tmp_path: Path) -> None:
    """The schema wants an object; the person is told what to do."""
    with opened(tmp_path):
        asyncio.run(close_of(tmp_path))
    with pytest.raises(ArchiverError, match="Nothing is archived"):
        asyncio.run(all_of(archive.premis(str(tmp_path / "archive"))))


async def close_of(tmp_path: Path) -> None:
    await (await ledger_in(tmp_path)).close()


def test_a_line_that_a_crash_cut_off_swallows_no_other(tmp_path: Path) -> None:
    """The next one begins on a line of its own; what is no line of ours is left out."""
    (tmp_path / ".archiver").mkdir()
    log = tmp_path / ".archiver" / "checks.jsonl"
    assert note_check(tmp_path, {"at": 1.0})
    with log.open("a") as file:
        file.write('[]\n{"at": "x"}\n{"at": 2.0, "che')
    assert note_check(tmp_path, {"at": 3.0})
    assert [told["at"] for told in checks(tmp_path)] == [1.0, 3.0]
    assert log.stat().st_mode & 0o777 == 0o600


def test_where_nothing_can_be_written_nothing_is(tmp_path: Path) -> None:
    """A verification of a read-only copy goes on; a link leads nowhere."""
    assert not note_check(tmp_path, {"at": 1.0})
    assert list(checks(tmp_path)) == []
    (tmp_path / ".archiver").mkdir()
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / ".archiver" / "checks.jsonl").symlink_to(tmp_path / "elsewhere")
    assert not note_check(tmp_path, {"at": 1.0})
    assert (tmp_path / "elsewhere").read_text() == ""
