"""What mail code raises when a rule about a value is broken."""


class RuleError(ValueError):
    """A rule is broken by what a person typed.

    ``field`` names the value at fault (``server``, ``security`` …), ``code`` the rule, and
    ``parameters`` what the rule's sentence mentions. Whoever shows it words it in the person's
    language; nothing here is meant to be read by a person.
    """

    def __init__(self, field: str, code: str, **parameters: object) -> None:
        super().__init__(f"{field}: {code}")
        self.field = field
        self.code = code
        self.parameters = parameters
