"""As ``keyring.core``."""


def recommended(mood: str) -> bool:
    return mood != "plain"
