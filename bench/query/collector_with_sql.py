"""The collector as it ships, with one more way in: SELECT statements on its stdin, one JSON a line.

Some questions have no route; asked here they share process, connections and limits with the read
API. Each is answered by a line ``answer {"took_s": ..., "rows": ...}``.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

from collector import server
from collector.store import engine
from collector.store.engine import Store
from davylamp.config import collector_config, load_settings


def answer_lines(store: Store) -> None:
    """Until stdin ends."""
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        began_s = time.perf_counter()
        rows = store.query(asked["sql"], asked["parameters"]).num_rows
        took_s = time.perf_counter() - began_s
        print("answer", json.dumps({"took_s": took_s, "rows": rows}), flush=True)


def main() -> int:
    open_store = engine.open_store

    def opened(config: Any) -> Store:
        store = open_store(config)
        threading.Thread(target=answer_lines, args=(store,), daemon=True).start()
        return store

    setattr(server, "open_store", opened)  # noqa: B010 - a name of that module, not of its interface
    return server.run(collector_config(load_settings()))


if __name__ == "__main__":
    raise SystemExit(main())
