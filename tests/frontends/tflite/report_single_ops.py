"""Print every operator with the number of generated cases that agree with LiteRT; ends with 1 if any differs.

python tests/frontends/tflite/report_single_ops.py [OPERATOR ...]
"""

from __future__ import annotations

import sys
import time
from itertools import groupby

from all_cases import ALL_CASES
from single_ops import OperatorCases, Outcome, check


def main(wanted: list[str]) -> int:
    """Run the cases of the wanted operators, or of all."""
    total, failures, operators = Outcome(), 0, 0
    print(f"{'operator':<26} {'cases':>6} {'as C':>6} {'s':>6}  elements")
    for builtin, group in groupby(ALL_CASES, lambda cases: cases.builtin):
        if wanted and builtin not in wanted:
            continue
        started = time.perf_counter()
        outcome, failed = _run(list(group))
        seconds = time.perf_counter() - started
        names = [cases.dtype for cases in ALL_CASES if cases.builtin == builtin]
        print(f"{builtin:<26} {outcome.simulated:>6} {outcome.compiled:>6} {seconds:>6.1f}  {' '.join(names)}")
        for text in failed:
            print(f"  differs: {text}")
        operators += 1
        failures += bool(failed)
        total.simulated += outcome.simulated
        total.compiled += outcome.compiled
    print(f"{operators} operators, {total.simulated} cases, {total.compiled} as C, {failures} operators differ")
    return 1 if failures else 0


def _run(group: list[OperatorCases]) -> tuple[Outcome, list[str]]:
    """Return the cases that agree, and what is wrong with each type of elements that does not."""
    total, failed = Outcome(), list[str]()
    for cases in group:
        try:
            outcome = check(cases)
        except AssertionError as error:
            failed.append(f"{cases.dtype}: {str(error).splitlines()[-1].strip()}")
            continue
        if cases.target is not None:
            total.simulated += outcome.simulated
            total.compiled += outcome.compiled
        else:
            failed.append(f"{cases.dtype}: only compared over the reals so far")
    return total, failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
