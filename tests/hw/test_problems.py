import pytest

from hw.problems import GpioError, reason


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (GpioError("it is\n in  use"), "it is in use"),
        (ModuleNotFoundError("No module named 'a.b'", name="a.b"), "the Python package a is not installed"),
        (ImportError("cannot open shared object"), "cannot open shared object"),
        (OSError(19, "No such device"), "No such device"),
        (PermissionError(13, "Permission denied", "/dev/x"), "Permission denied: /dev/x"),
        (ValueError(22, "Invalid argument"), "Invalid argument"),
        (Exception("'GPIO busy'"), "GPIO busy"),
        (OSError(), "OSError"),
    ],
)
def test_an_error_is_one_line(error: Exception, line: str) -> None:
    assert reason(error) == line
