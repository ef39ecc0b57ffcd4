"""What was measured of a public object, for its page of the reference."""


def of_loss(name: str) -> str:
    return ""


def of_special(name: str) -> str:
    return ""
