"""What extras may still spend tonight: ``--extras-calls``, and whatever videos leave."""

from __future__ import annotations

from dataclasses import dataclass, field

from archiver.core.summary import ApiCalls


@dataclass(slots=True)
class Purse:
    """The calls for extras of one run.

    Attributes:
        calls: what was sent, whoever sent it.
        most: how many calls for extras the run may send; None: no limit.
        gives_way: videos need the calls just now.
    """

    calls: ApiCalls
    most: int | None = None
    gives_way: bool = False
    _taken: int = field(init=False, default=0)
    _before: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """What was sent before belongs to the same night."""
        self._before = self.calls.extras

    @property
    def is_empty(self) -> bool:
        """No call more tonight."""
        spent = max(self.calls.extras, self._before + self._taken)
        return self.most is not None and spent >= self.most

    @property
    def why(self) -> str:
        """Why there is no call to be had, in words."""
        return "videos need the calls" if self.gives_way else "the night's calls are spent"

    def take(self) -> bool:
        """Take a call, if there is one."""
        if self.gives_way or self.is_empty:
            return False
        self._taken += 1
        return True

    def give_back(self) -> None:
        """A call was not sent after all."""
        self._taken -= 1
