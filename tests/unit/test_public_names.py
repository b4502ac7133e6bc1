"""What `import zcloop` offers, to programs that have no pytest."""

import pytest
from peers import script

pytestmark = pytest.mark.zcloop_only


def test_help_and_inspect_need_no_pytest():
    said = script(
        """
        import inspect, io, contextlib
        sys.modules["pytest"] = None
        import zcloop

        members = dict(inspect.getmembers(zcloop))
        with contextlib.redirect_stdout(io.StringIO()) as page:
            help(zcloop)
        print("EventChannel" in members, "open_connection" in page.getvalue())
        """
    )
    assert said == "True True\n"


def test_public_modules_need_no_import_of_their_own():
    said = script(
        """
        import zcloop

        for path in ("transports.StreamTransport", "files.open", "sync.Semaphore", "requests.read",
                     "message_queues.PosixQueue", "event_channel.EventChannel", "loop.Loop",
                     "zero_copy_socket.ZeroCopySocket", "streams.open_connection"):
            module, name = path.split(".")
            getattr(getattr(zcloop, module), name)
        print("all there")
        """
    )
    assert said == "all there\n"
