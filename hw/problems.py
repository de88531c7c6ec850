"""What goes wrong with hardware, as text for one line of a log."""


class GpioError(Exception):
    """Why the GPIO or a pin of it cannot be used, as half a sentence."""


def reason(error: BaseException) -> str:
    """Return an error as one line, without the quotes and numbers that libraries put around it."""
    if isinstance(error, ModuleNotFoundError):
        return f"the Python package {(error.name or str(error)).partition('.')[0]} is not installed"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.strerror}: {error.filename}"
    # libgpiod raises ValueError(22, "Invalid argument") and the like, which print as a tuple.
    if len(error.args) == 2 and isinstance(error.args[0], int):
        return str(error.args[1])
    text = " ".join(str(error).split())
    if text.startswith("'") and text.endswith("'"):  # lgpio quotes its messages
        text = text[1:-1]
    return text or type(error).__name__
