"""The service, the cron line, the container and the CronJob: run as written, as far as can be.

What stands in for a machine: paths of the examples lead into the test's folder, and the account's
addresses to an emulator.  Every other word is theirs.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from archiver import settings
from archiver.commands import run, status
from tests.cli.processes import SMALL, ended, vendor
from tests.faults.process import command

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
PROGRAM = shlex.join(command())
# What a machine has, beside what the example sets.
AROUND = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}


def unit(name: str) -> Iterator[tuple[str, str]]:
    """Each setting of a unit file, in order; some stand there more than once."""
    for line in (EXAMPLES / name).read_text().splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            yield key, value


def variables(text: str) -> dict[str, str]:
    """What an environment file, or the head of a crontab, sets."""
    lines = (line for line in text.splitlines() if re.match(r"[A-Z_]+=", line))
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


async def night(words: str, env: dict[str, str], cwd: Path) -> tuple[int | None, str, str]:
    """Let a shell run a line, as cron does, with nothing else around it."""
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", words, env={**AROUND, **env}, cwd=cwd,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    return await ended(process)


def account(told: dict[str, str], theirs: dict[str, str], secret: Path) -> dict[str, str]:
    """The example's variables, with an account that exists, whose secret lies in a file."""
    assert told["ARCHIVER_CLIENT_ID"] == "your-client-id"
    secret.write_text(f"{theirs['ARCHIVER_CLIENT_SECRET']}\n")
    secret.chmod(0o600)
    theirs = {name: value for name, value in theirs.items() if name != "ARCHIVER_CLIENT_SECRET"}
    return {**told, **theirs, "ARCHIVER_CLIENT_SECRET_FILE": str(secret)}


def videos(archive: Path) -> int:
    return len(list(archive.glob("data/**/*.mp4")))


def test_the_service_runs_as_written(tmp_path: Path) -> None:
    """With the settings from its file, and the secret from where systemd hands it over."""
    told = dict(unit("nightly.service"))
    assert told["EnvironmentFile"] == "/etc/archiver/archiver.env"
    assert told["LoadCredential"] == "secret:/etc/archiver/client-secret"
    assert told["Environment"] == "ARCHIVER_CLIENT_SECRET_FILE=%d/secret"
    assert (told["SuccessExitStatus"], told["ReadWritePaths"]) == ("5", "/srv/videos")
    line = told["ExecStart"].replace("/opt/archiver/bin/archiver", PROGRAM, 1)
    line = line.replace("/srv/videos", str(tmp_path / "archive"))
    line = line.replace("/var/lib/archiver", str(tmp_path))

    async def story() -> None:
        async with vendor(SMALL) as theirs:
            env = variables((EXAMPLES / "archiver.env").read_text())
            env = account(env, theirs, tmp_path / "secret")
            code, _, err = await night(line, env, tmp_path)
            assert code == 0, err
        assert videos(tmp_path / "archive") == 4
        assert json.loads((tmp_path / "night.json").read_text())["outcome"] == "complete"

    asyncio.run(story())


def test_the_cron_line_runs_as_written(tmp_path: Path) -> None:
    """And a good night sends no mail."""
    text = (EXAMPLES / "crontab").read_text()
    (line,) = [each for each in text.splitlines() if re.match(r"[\d*]", each)]
    *when, words = line.split(maxsplit=5)
    assert len(when) == 5
    words = words.replace("/opt/archiver/bin/archiver", PROGRAM, 1)
    words = words.replace("/srv/videos", str(tmp_path / "archive"))

    async def story() -> None:
        async with vendor(SMALL) as theirs:
            env = account(variables(text), theirs, tmp_path / "secret")
            assert await night(words, env, tmp_path) == (0, "", "")
        assert videos(tmp_path / "archive") == 4

    asyncio.run(story())


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """Without a word, and it thinks well of what the service may do."""
    for kind in ("service", "timer"):
        text = (EXAMPLES / f"nightly.{kind}").read_text()
        text = text.replace("/opt/archiver/bin/archiver", shutil.which("true") or "")
        (tmp_path / f"archiver.{kind}").write_text(text)

    def analyze(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["systemd-analyze", *words], cwd=tmp_path, text=True, capture_output=True, check=False
        )

    done = analyze("verify", "./archiver.service", "./archiver.timer")
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    done = analyze("security", "--offline=true", "--threshold=20", "./archiver.service")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_settings_of_every_example_are_ours() -> None:
    """A variable with a slip in it is one that nobody reads, and nobody complains of."""
    known = {f"{settings.PREFIX}{key.upper()}" for key in settings.KEYS}
    for path in EXAMPLES.iterdir():
        if path.is_file():
            found = set(re.findall(r"\bARCHIVER_[A-Z_]+\b", path.read_text()))
            assert found <= known, path


def instructions() -> list[tuple[str, str]]:
    """The container file's, each on one line."""
    joined = (EXAMPLES / "Containerfile").read_text().replace("\\\n", " ")
    lines = (line for line in joined.splitlines() if line and not line.startswith("#"))
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def test_the_container_takes_what_is_there_and_is_not_root(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No engine runs here; what it would be told is looked at, and its commands mean something."""
    told = instructions()
    for name, rest in told:
        if name == "COPY":
            assert all((ROOT / source).exists() for source in rest.split()[:-1])
    steps = dict(told)
    assert steps["USER"].split(":")[0].isdigit()  # Kubernetes can tell that a number is not root
    assert not steps["USER"].startswith("0")
    assert [name for name, _ in told].index("USER") > max(
        at for at, (name, _) in enumerate(told) if name == "RUN"
    )
    assert steps["VOLUME"] == "/archive"
    env = dict(each.split("=", 1) for each in steps["ENV"].split())
    assert env.pop("ARCHIVER_TO") == "/archive"
    words = [*json.loads(steps["ENTRYPOINT"]), *json.loads(steps["CMD"])]
    health = json.loads(steps["HEALTHCHECK"].partition("CMD ")[2])
    assert words[:2] == ["archiver", "run"]
    assert health[:2] == ["archiver", "status"]
    monkeypatch.setenv("ARCHIVER_TO", "/archive")
    run.command.make_context("run", words[2:]).close()
    status.command.make_context("status", health[2:]).close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_container_installs_what_runs(tmp_path: Path) -> None:
    """Its steps, in a folder that has only what it copies; needs a package registry."""
    build, python = tmp_path / "build", tmp_path / "venv" / "bin"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    for name, rest in instructions():
        if name == "COPY":
            *sources, target = rest.replace("/build", str(build)).split()
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            for source in sources:
                into = Path(target) / source if target.endswith("/") else Path(target)
                copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
                into.parent.mkdir(parents=True, exist_ok=True)
                copy(ROOT / source, into)
        elif name == "RUN" and rest.startswith("pip "):
            words = rest.replace("/build", str(build)).split()[1:]
            subprocess.run([python / "pip", *words], check=True, timeout=300)

    async def story() -> None:
        archive = tmp_path / "archive"
        async with vendor(SMALL) as theirs:
            ours = {"ARCHIVER_CLIENT_ID": "your-client-id", "ARCHIVER_TO": str(archive)}
            ours = account(ours, theirs, tmp_path / "secret")
            code, _, err = await night(f"{python}/archiver run account", ours, tmp_path)
            assert code == 0, err
        assert (await night(f"{python}/archiver status {archive}", {}, tmp_path))[0] == 0
        assert videos(archive) == 4

    asyncio.run(story())


def test_the_cron_job_of_kubernetes_fits_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it mounts is what it names, it is not root, and its arguments mean something."""
    claim, job = yaml.safe_load_all((EXAMPLES / "cronjob.yaml").read_text())
    assert (claim["kind"], job["kind"]) == ("PersistentVolumeClaim", "CronJob")
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    pod: dict[str, Any] = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
    assert set(volumes) == {mount["name"] for mount in container["volumeMounts"]}
    env = {each["name"]: each["value"] for each in container["env"]}
    claimed = mounts[env["ARCHIVER_TO"]]["persistentVolumeClaim"]["claimName"]
    assert claimed == claim["metadata"]["name"]
    secret = mounts[str(Path(env["ARCHIVER_CLIENT_SECRET_FILE"]).parent)]["secret"]
    assert secret["defaultMode"] & 0o007 == 0
    assert pod["securityContext"]["runAsNonRoot"] is True
    user = f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    assert user == dict(instructions())["USER"]

    assert container["args"][0] == "run"
    monkeypatch.setenv("ARCHIVER_TO", env["ARCHIVER_TO"])
    run.command.make_context("run", container["args"][1:]).close()


def test_the_official_schema_takes_the_cron_job() -> None:
    """Kubernetes' own, of its oldest and newest version that the package has: `make judges`."""
    judge = pytest.importorskip("kubernetes_validate")
    objects = list(yaml.safe_load_all((EXAMPLES / "cronjob.yaml").read_text()))
    for version in ("1.30", judge.latest_version()):
        for each in objects:
            judge.validate(each, version, strict=True)
    objects[1]["spec"]["shedule"] = "0 1 * * *"
    with pytest.raises(judge.ValidationError):
        judge.validate(objects[1], judge.latest_version(), strict=True)
