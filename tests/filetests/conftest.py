"""Failing checks of the runner show their operands, as those of test modules do."""

import pytest

pytest.register_assert_rewrite("filetest_format", "filetest_kernel", "filetest_runner")
