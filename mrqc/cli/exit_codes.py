"""What the process returns.

0 ok, 1 bad input, 2 usage, 3 the target cannot do it, 70 our bug, 141 nobody reads the result.
"""

from __future__ import annotations

import os
import sys
import traceback
from types import TracebackType

from mrqc.cli.console import complain
from mrqc.errors import MrqcError, PassError

BUG = 70
"""EX_SOFTWARE of sysexits.h."""
TRACEBACK_VARIABLE = "MRQC_TRACEBACK"


class ExitCodes:
    """A context that turns any error that leaves it into one message on stderr and an exit code."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raise SystemExit for whatever happened; what already is one passes.

        Raises:
            SystemExit: With the code of the error's class.
        """
        if error is None or isinstance(error, SystemExit | KeyboardInterrupt):
            return
        if os.environ.get(TRACEBACK_VARIABLE, "0") not in ("", "0"):
            traceback.print_exception(kind, error, trace)
        complain(_message(error))
        sys.exit(error.exit_code if isinstance(error, MrqcError) else BUG)


def _message(error: BaseException) -> str:
    if isinstance(error, PassError):
        return f"this is a bug in mrqc, or in the pass: {error}"
    if isinstance(error, MrqcError) and error.exit_code != BUG:
        return str(error)
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"this is a bug in mrqc: {what}\n  (set {TRACEBACK_VARIABLE}=1 to see where, and please report it)"
