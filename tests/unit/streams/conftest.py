from __future__ import annotations

import pytest
from integration.certificates import Certificates, make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=["tcp", "unix", "tls"])
def connection(request, tmp_path) -> dict:
    """What `streams.connected` makes a connection of."""
    match request.param:
        case "unix":
            return {"kind": "unix", "path": str(tmp_path / "socket")}
        case "tls":
            return {"certificates": request.getfixturevalue("certificates")}
    return {}
