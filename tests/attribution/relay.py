"""relay.py LISTEN TARGET: passes bytes between two unix sockets. SIGSTOP makes of it a runtime that takes calls and answers none."""
from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness.sockets import Proxy  # noqa: E402

with Proxy(Path(sys.argv[1]), Path(sys.argv[2])):
    print("ready", flush=True)
    sys.stdin.read()  # ends with the test
