"""As ``keyring.errors``."""


class KeyringError(Exception):
    pass


class PasswordDeleteError(KeyringError):
    pass
