"""Source text for programs that fork: a child that runs a function, and the wait for its end."""

IN_CHILD = """
def in_child(function):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function()
            status = 0
        except BaseException:
            import traceback; traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    return pid

def ended(pid):
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""
