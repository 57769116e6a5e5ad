"""Ctrl-C and SIGTERM during a training: the step in hand is finished first, so that all of it can be kept."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Final, NoReturn

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_PATIENCE_S: Final = 6  # that a step has to come to its end; else the checkpoint before it counts


class Interruption:
    """Whether a training was asked to stop. Outside of a step, a signal takes effect at once."""

    def __init__(self) -> None:
        self.signal: int | None = None  # that came during a step
        self.broke_a_step = False  # a step did not come to its end in time, or a second signal came
        self._is_in_step = False

    @contextmanager
    def step(self) -> Iterator[None]:
        """Run the block, a step, to its end whatever signal comes."""
        self._is_in_step = True
        yield
        self._is_in_step = False

    def stop(self) -> NoReturn:
        """End as the signal wants; where it came to another process, as SIGTERM wants.

        Raises:
            SystemExit: of SIGTERM, with 143.
            KeyboardInterrupt: of Ctrl-C.
        """
        signal.alarm(0)
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + signal.SIGTERM)

    @contextmanager
    def listening(self, *, is_follower: bool = False) -> Iterator[None]:
        """Take the signals within the block. Only a main thread can; in others all stays as it is.

        Args:
            is_follower: this is one of several processes and not the first, which says when they stop.
        """
        handler = signal.SIG_IGN if is_follower else self._take
        numbers = (*_SIGNALS, signal.SIGALRM)
        try:
            # what is ignored stays so: a shell starts what runs in its background without Ctrl-C
            heard = [each for each in numbers if signal.getsignal(each) != signal.SIG_IGN]
            before = {each: signal.signal(each, handler) for each in heard}
        except ValueError:
            yield
            return
        try:
            with nullcontext() if is_follower else _watchdog():
                yield
        finally:
            signal.alarm(0)
            for each, former in before.items():
                signal.signal(each, former)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        is_first = self.signal is None
        if number in _SIGNALS:
            self.signal = number
        if self._is_in_step and is_first:
            signal.alarm(_PATIENCE_S)
            return
        self.broke_a_step = self._is_in_step
        self.stop()


@contextmanager
def _watchdog() -> Iterator[None]:
    """End this process where a signal does not reach Python, e.g. while torch waits for another process.

    The last checkpoint counts then, and the next training closes the run.
    """
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    has_ended = threading.Event()

    def watch() -> None:
        while told := os.read(reads, 1):
            if told[0] in _SIGNALS and not has_ended.wait(_PATIENCE_S + 2):
                os._exit(128 + told[0])
        os.close(reads)

    before = signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
    threading.Thread(target=watch, name="signal-watch", daemon=True).start()
    try:
        yield
    finally:
        has_ended.set()
        signal.set_wakeup_fd(before)
        os.close(writes)
