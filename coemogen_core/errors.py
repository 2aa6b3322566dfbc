"""The family of errors that a person can mend."""


class CoEmoGenError(Exception):
    """Something that went wrong and that a person can mend.

    Its message is one line that names the thing, the place and the remedy. The command line prints it without a traceback and ends with
    exit code 2; a flow run fails with it as its message. An error that is also a `ValueError` or an `OSError` inherits from both.
    """
