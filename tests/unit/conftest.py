from __future__ import annotations

import pytest
from features import waits_for_futexes
from integration.certificates import Certificates, make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def needs_futex_wait() -> None:
    if not waits_for_futexes():
        pytest.skip("the rings of this kernel wait for no futexes")
