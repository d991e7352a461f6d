"""`archiver emulator`: the built-in stand-in for the vendor's API, until it is interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from archiver.commands.epilog import examples

if TYPE_CHECKING:
    from archiver.emulator.server import Emulator, EmulatorConfig

UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "ki": 2.0**10, "mi": 2.0**20, "gi": 2.0**30}
TIMES = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


Callback = Callable[[click.Context, click.Parameter, str | None], Any]


def _number(text: str, units: dict[str, float]) -> float:
    match = re.fullmatch(r"([0-9]+\.?[0-9]*|\.[0-9]+)\s*([a-z]*?)b?(?:/s)?", text.strip().lower())
    if match is None or match[2] not in units:
        known = " ".join(unit for unit in units if unit)
        raise click.BadParameter(f"{text!r} is no number with one of the units {known}")
    return float(match[1]) * units[match[2]]


def _amount(units: dict[str, float]) -> Callback:
    """Reads ``6M`` or ``24h``."""
    return lambda _ctx, _param, text: None if text is None else _number(text, units)


def _range(units: dict[str, float]) -> Callback:
    """Reads ``1M-4M``; one number alone stands for both bounds."""

    def read(_ctx: click.Context, _param: click.Parameter, text: str | None) -> Any:
        low, _, high = (text or "").partition("-")
        least, most = _number(low, units), _number(high or low, units)
        if least > most:
            raise click.BadParameter(f"{text!r} runs backwards")
        return least, most

    return read


def _limit(
    _ctx: click.Context, _param: click.Parameter, text: str | None
) -> tuple[int | None, float]:
    """Reads ``100/60s``: calls in a period."""
    if text is None:
        return None, 60.0
    calls, _, period = text.partition("/")
    if not calls.isdecimal():
        raise click.BadParameter(f"{text!r} is no limit; write 100/60s")
    # ``100/m`` reads as one minute.
    return int(calls), _number(period if period[:1].isdecimal() else f"1{period}", TIMES)


def _show_faults(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from archiver.emulator.faults import FAULTS

    for fault in FAULTS.values():
        endless = " (endless)" if fault.endless else ""
        click.echo(f"{fault.name:20} {fault.where:9} {fault.what}{endless}")
    click.echo("\nHow often: name (once for each), name:0.3, name*4, name! and name@VIDEO_ID.")
    ctx.exit()


_EXAMPLES = examples(
    ("an account of 60 videos; prints how to reach it", "archiver emulator --videos 60"),
    ("one that misbehaves", "archiver emulator --fault reset-mid-body:0.3 --fault throttle*2"),
    ("all the ways in which it can", "archiver emulator --faults"),
)


_COUNT = click.IntRange(0)
_PORT = click.IntRange(0, 65535)


@click.command("emulator", epilog=_EXAMPLES)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=_PORT, default=0, help="Of the API and token endpoint.  [default: a free one]"
)
@click.option(
    "--download-port", type=_PORT, default=0, help="Of the download host.  [default: a free one]"
)
@click.option("--seed", default=1, show_default=True, help="Of everything drawn by chance.")
@click.option("--videos", type=_COUNT, default=12, show_default=True, help="How many videos.")
@click.option(
    "--channels", type=click.IntRange(1), default=2, show_default=True, help="How many channels."
)
@click.option("--playlists", type=_COUNT, default=2, show_default=True, help="How many playlists.")
@click.option(
    "--size",
    callback=_range(UNITS),
    default="1M-4M",
    show_default=True,
    help="Least and largest video.",
)
@click.option(
    "--generation",
    "generation_s",
    callback=_range(TIMES),
    default="0.3-2",
    show_default=True,
    help="How long preparing a file takes.",
)
@click.option(
    "--window",
    "window_s",
    callback=_amount(TIMES),
    default="24h",
    show_default=True,
    help="Life of a download address.",
)
@click.option(
    "--line",
    "line_bytes_s",
    callback=_amount(UNITS),
    help="Bytes a second, all downloads together.",
)
@click.option("--rate-limit", "limit", callback=_limit, help="Calls in a period, such as 100/60s.")
@click.option("--rate-headers/--no-rate-headers", default=True, help="X-RateLimit headers or none.")
@click.option(
    "--token-life",
    "token_life_s",
    callback=_amount(TIMES),
    default="24h",
    show_default=True,
    help="Life of an access token.",
)
@click.option(
    "--secret-style",
    type=click.Choice(["body", "raw-basic", "basic"]),
    default="body",
    show_default=True,
    help="The way of sending the client secret that is accepted.",
)
@click.option(
    "--private-share",
    type=click.FloatRange(0, 1),
    default=0.25,
    show_default=True,
    help="Part of the videos that are private.",
)
@click.option(
    "--clock-skew",
    "clock_skew_s",
    type=float,
    default=0.0,
    show_default=True,
    help="Seconds that the vendor's clock is ahead.",
)
@click.option("--fault", "faults", multiple=True, metavar="NAME", help="A misfortune; repeatable.")
@click.option(
    "--faults",
    "show_faults",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_faults,
    help="List the misfortunes and leave.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the addresses as one line of JSON.")
def command(*, as_json: bool, **options: Any) -> None:
    """The built-in stand-in for the vendor's API, for trying things out and for tests.

    Prints the addresses and the settings that point the other commands at it, and runs until it
    is interrupted.
    """
    from archiver.emulator.faults import parse
    from archiver.emulator.server import EmulatorConfig

    for spec in options["faults"]:
        try:
            parse(spec)
        except ValueError as error:
            raise click.UsageError(f"{error}; --faults lists them") from error
    options["rate_limit"], options["rate_period_s"] = options.pop("limit")
    options["size"] = tuple(int(bound) for bound in options["size"])
    try:
        asyncio.run(_serve(EmulatorConfig(**options), as_json=as_json))
    except OSError as error:
        raise click.UsageError(f"cannot listen: {error}") from error
    except KeyboardInterrupt:
        pass


async def _serve(config: EmulatorConfig, *, as_json: bool) -> None:
    from archiver.emulator.server import Emulator

    async with Emulator(config) as emulator:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            # NotImplementedError: Windows, where Ctrl-C arrives as KeyboardInterrupt.
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, stopped.set)
        _announce(emulator, as_json=as_json)
        await stopped.wait()


def _announce(emulator: Emulator, *, as_json: bool) -> None:
    settings = {
        "ARCHIVER_API_URL": emulator.api_url,
        "ARCHIVER_TOKEN_URL": emulator.token_url,
        "ARCHIVER_AUTHORIZE_URL": emulator.authorize_url,
        "ARCHIVER_CLIENT_ID": emulator.client_id,
        "ARCHIVER_CLIENT_SECRET": emulator.client_secret,
    }
    if as_json:
        made = {
            "schema": 1,
            "api_url": emulator.api_url,
            "token_url": emulator.token_url,
            "authorize_url": emulator.authorize_url,
            "download_url": emulator.download_url,
            "client_id": emulator.client_id,
            "client_secret": emulator.client_secret,
            "access_token": emulator.access_token,
            "videos": len(emulator.world.account.videos),
            "env": settings,
        }
        click.echo(json.dumps(made))
    else:
        lines = [
            f"# {len(emulator.world.account.videos)} videos.  The API: {emulator.api_url}",
            f"# The download host: {emulator.download_url}",
            "# In another terminal:",
            *(f"export {name}={text}" for name, text in settings.items()),
            "# Then: archiver run account --to DEST.  Ctrl-C ends the emulator.",
        ]
        click.echo("\n".join(lines))
    sys.stdout.flush()  # a test in another process waits for these lines
