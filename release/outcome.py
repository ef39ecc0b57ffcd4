"""What a check comes to."""


class Failed(Exception):  # noqa: N818
    """Something is wrong; the message says what."""


class NotSet(Exception):  # noqa: N818
    """Something is not known before the release, or before the first one; the message says what, and where it goes."""


def expect(condition: object, message: str) -> None:
    """Fail with the message, unless the condition holds."""
    if not condition:
        raise Failed(message)
