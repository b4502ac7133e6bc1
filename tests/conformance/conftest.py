"""Makes the harness importable however pytest was told to import test modules."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
