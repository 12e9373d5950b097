"""The tests of a script, told as TAP (Test Anything Protocol): functions marked by @tap.test, in their order."""

TESTS = []


class Skipped(Exception):
    """Raised by a test that cannot run here, with what is missing."""


def test(function):
    TESTS.append(function)
    return function


def run():
    print(f"1..{len(TESTS)}")
    for number, function in enumerate(TESTS, 1):
        try:
            function()
            print(f"ok {number} - {function.__name__}", flush=True)
        except Skipped as reason:
            print(f"ok {number} - {function.__name__} # SKIP {reason}", flush=True)
        except (AssertionError, KeyError) as error:
            print(f"not ok {number} - {function.__name__}")
            print("\n".join("# " + line for line in str(error).splitlines()), flush=True)
