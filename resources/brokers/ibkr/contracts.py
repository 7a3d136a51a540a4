"""Which instrument of Interactive Brokers is meant; the model is the domain's, since accounts are configured with it."""

from trading.ibkr_contracts import ContractSpec

__all__ = ["ContractSpec"]
