"""Makes the oracle of the integer ops, which stands one folder up, importable here."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
