"""The one error a person can mend: what is wrong, in which thing, and what to do about it."""


class UserError(ValueError):
    """Bad input or wrong usage, said in one sentence that names the thing and the mend.

    It is a ``ValueError``, so library users catch it as they would expect; the command line turns it
    into exit status 2, and with ``--json`` into ``{"error": {"kind", "message", "mend"}}``.

    Attributes:
        kind: a short noun for programs to branch on, such as ``"usage"``, ``"file"``, ``"field"``,
            ``"missing-extra"``.
        message: what is wrong, naming the file and the field; no full stop at the end.
        mend: what to do, in the imperative; no full stop at the end.
    """

    def __init__(self, kind: str, message: str, mend: str) -> None:
        # All three go to the base class so that the error survives pickling between processes.
        super().__init__(kind, message, mend)
        self.kind = kind
        self.message = message.rstrip(". ")
        self.mend = mend.rstrip(". ")

    def __str__(self) -> str:
        """One sentence: the message, a semicolon, the mend."""
        return f"{self.message}; {self.mend}." if self.mend else f"{self.message}."
