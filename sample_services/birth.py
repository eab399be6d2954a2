"""The first moments of a forked child: nothing of the parent's but memory and one socket."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Final, NoReturn

from sample_services.serving import Birth

logger = logging.getLogger("samples.child")

#: Signals that end the parent and its children.
ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT})
#: Linux prctl(2): send me this signal when my parent dies.
PR_SET_PDEATHSIG = 1


def run_child(main: Callable[[Birth], None], birth: Birth, parent_pid: int) -> NoReturn:
    """Run ``main`` and leave without the parent's exit handlers.

    The parent forks with ``ENDING`` blocked. Until here its handlers are still ours: they would
    lose a SIGTERM meant for us, and tell the parent, over the descriptor we share, that it was its.
    """
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (*ENDING, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        _die_with_parent()
        if os.getppid() == parent_pid:  # else it died before it could be asked to tell us
            main(birth)
        code = 0
    except KeyboardInterrupt:
        code = 0
    except BaseException:
        logger.exception("%s ended", birth.instance_id)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
