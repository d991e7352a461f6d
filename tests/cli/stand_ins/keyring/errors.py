"""As ``keyring.errors``."""


class KeyringError(Exception):
    pass


class PasswordDeleteError(KeyringError):
    pass


class KeyringLocked(KeyringError):  # noqa: N818  the package's name
    pass
