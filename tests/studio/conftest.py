"""The studio's tests need its extra, and httpx2 to ask the service."""

from __future__ import annotations

from importlib.util import find_spec

if all(find_spec(name) for name in ("fastapi", "httpx2", "python_multipart", "uvicorn")):
    from tests.studio.in_process import client, store, studio

    __all__ = ["client", "store", "studio"]
else:
    collect_ignore_glob = ["*.py"]
