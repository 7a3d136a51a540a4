"""The exception tree of the platform: everything it raises on purpose is a TradingError."""


class TradingError(Exception):
    """Root of the platform's errors; the message says what is wrong, where, and what would be right."""


class ConfigError(TradingError):
    """A setting, configuration file or command-line value is missing or wrong."""


class DataError(TradingError):
    """Data that was received or stored cannot be used as it is."""


class ContractViolation(DataError):
    """A frame breaks its contract.

    Attributes:
        contract: name of the contract.
        rule: short name of the broken rule, e.g. ``high_bounds``.
        details: the first offending rows or the offending column, ready to print.
    """

    def __init__(self, message: str, *, contract: str, rule: str, details: str = "") -> None:
        super().__init__(message)
        self.contract = contract
        self.rule = rule
        self.details = details


class OrderError(TradingError):
    """An order cannot be built, sent or reconciled."""
