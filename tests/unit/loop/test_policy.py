"""The ways to make zcloop the loop of a program."""

import asyncio
import pathlib

import peers
import pytest
from peers import script

import zcloop


def test_a_new_loop_is_an_asyncio_loop():
    loop = zcloop.new_event_loop()
    assert isinstance(loop, zcloop.Loop) and isinstance(loop, asyncio.AbstractEventLoop)
    loop.close()


def test_the_policy_makes_zcloops_loops():
    policy = zcloop.EventLoopPolicy()
    loop = policy.new_event_loop()
    assert isinstance(loop, zcloop.Loop)
    loop.close()


def test_after_install_asyncio_run_uses_zcloop():
    said = script(
        """
        import zcloop
        zcloop.install()

        async def main():
            process = await asyncio.create_subprocess_exec("true")
            return type(asyncio.get_running_loop()).__module__, await process.wait()

        print(asyncio.run(main()))
        """
    )
    assert said == "('zcloop.loop._loop', 0)\n"


def test_an_open_loop_does_not_disturb_the_exit_of_the_interpreter():
    said = script(
        """
        import threading
        loop = new_event_loop()
        loop.run_until_complete(asyncio.sleep(0.001))
        thread = threading.Thread(target=new_event_loop().run_forever, daemon=True)
        thread.start()
        import warnings
        warnings.simplefilter("ignore")
        print("end")
        """
    )
    assert said == "end\n"


@pytest.mark.parametrize("what", ["main()", "'no coroutine'"])
def test_where_no_loop_can_be_made_only_the_cause_is_told(what):
    """A coroutine is closed then: no "was never awaited" stands below."""
    said = script(
        f"""
        sys.path.insert(0, {str(pathlib.Path(peers.__file__).parents[1])!r})
        os.environ["ZCLOOP_BACKEND"] = "uring"
        import errno, gc, refuse_uring
        import zcloop
        refuse_uring.install(refuse_uring.refusing([425], errno.EPERM))

        async def main():
            print("this must not run")

        try:
            zcloop.run({what})
        except OSError as error:
            print(errno.errorcode[error.errno])
        gc.collect()
        """
    )
    assert said == "EPERM\n"
