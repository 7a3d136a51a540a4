"""Whether this process may trade this account at this port: decided before anything is sent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trading.accounts import AccountConfig
from trading.errors import ConfigError
from trading.ibkr_account import IbkrAccount
from trading.live import ALLOW_LIVE, environment_refusal

LIVE_PORTS = frozenset({7496, 4001})
PAPER_PORTS = frozenset({7497, 4002})
_NUMBER = re.compile(r"^[A-Z]{1,3}\d{4,9}$")


class AccountRefused(ConfigError):
    """Not this account, not at this port, or not in this mode."""


@dataclass(frozen=True)
class Access:
    """The account's number and the port, checked against its mode; the number is never shown."""

    number: str = field(repr=False)
    port: int
    mode: str

    @classmethod
    def of(cls, account: AccountConfig, settings: IbkrAccount, env: Mapping[str, str]) -> "Access":
        """From the environment or mounted files.

        Raises:
            AccountRefused: either is missing or malformed; or a live account or port while the mode is paper, or the
                reverse; or ``TRADING_ALLOW_LIVE`` does not allow the account.
        """
        where = f"account {account.name}"
        number = _secret(settings.account_env, env, where)
        port = _secret(settings.port_env, env, where)
        if not _NUMBER.match(number):
            raise AccountRefused(f"{where}: {settings.account_env} is no account number, such as DU and seven digits")
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise AccountRefused(f"{where}: {settings.port_env} must be a port, such as 4002")
        access = cls(number, int(port), account.mode)
        if account.mode == "paper" and access.port in LIVE_PORTS:
            raise AccountRefused(
                f"{where}: mode is paper and port {port} is a live one; paper is 7497 (TWS) or 4002 (Gateway)"
            )
        if account.mode == "live" and access.port in PAPER_PORTS:
            raise AccountRefused(
                f"{where}: mode is live and port {port} is a paper one; live is 7496 (TWS) or 4001 (Gateway)"
            )
        if account.mode == "paper" and not is_paper(number):
            raise AccountRefused(
                f"{where}: mode is paper and {settings.account_env} is a live account; paper ones begin with D"
            )
        if account.mode == "live" and is_paper(number):
            raise AccountRefused(f"{where}: mode is live and {settings.account_env} is a paper account")
        forbidden = environment_refusal(account, env.get(ALLOW_LIVE)) if account.mode == "live" else None
        if forbidden is not None:
            raise AccountRefused(f"{forbidden}; nothing is sent")
        return access

    def check_login(self, numbers: list[str]) -> None:
        """What TWS says that it manages.

        Raises:
            AccountRefused: the account is not among it, or the login is a live one while the mode is paper.
        """
        if self.mode == "paper" and not all(is_paper(number) for number in numbers):
            raise AccountRefused(
                "the gateway is logged in to a live account while the mode is paper: log in to paper trading"
            )
        if self.number not in numbers:
            raise AccountRefused(
                f"the account is not among the {len(numbers)} that the gateway's login manages: see which user it is "
                "logged in as"
            )


def is_paper(number: str) -> bool:
    """Numbers of paper accounts begin with D (DU, DF, DI)."""
    return number.startswith("D")


def _secret(name: str, env: Mapping[str, str], where: str) -> str:
    if env.get(name):
        return env[name].strip()
    file = env.get(f"{name}_FILE")
    if not file:
        raise AccountRefused(f"{where}: set {name} in the environment, or {name}_FILE to a file that has it")
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise AccountRefused(f"{where}: {name}_FILE is {file}, which cannot be read: {error.strerror}") from None
