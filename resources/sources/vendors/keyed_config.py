"""What the configurations of all vendors have in common that are asked over HTTP with a key."""

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from resources.sources.context import SourceContext

if TYPE_CHECKING:
    from resources.sources.vendors.http import JsonRequests

# Types rather than fields, so that a vendor's own default keeps the bounds.
PerMinute = Annotated[int, Field(ge=1)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class KeyedConfig(BaseModel):
    """Settings of a vendor over HTTP, whether of bars or of corporate actions.

    Args:
        kind: which vendor.
        base_url: where its API is.
        key_env: environment variable that holds the key; the key itself never stands in a file.
        requests_per_minute: that this process sends at most, to all its Symbols together; give the same figure where one
            key brings both bars and corporate actions.
        patience_seconds: how long one request is tried before the vendor counts as down.
        tickers: the vendor's ticker by Symbol, where it is another.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    base_url: str
    key_env: Variable
    requests_per_minute: PerMinute
    patience_seconds: float = Field(120.0, gt=0)
    tickers: dict[str, str] = Field(default_factory=dict)

    def requests(self, context: SourceContext, *, parameter: str | None = None) -> "JsonRequests":
        """How to ask this vendor; ``parameter`` is the query parameter of its key, None a bearer header."""
        from resources.sources.vendors.http import JsonRequests
        from resources.sources.vendors.pace import pace_of
        from resources.sources.vendors.patience import Patience

        return JsonRequests(
            self.kind,
            self.base_url,
            variable=self.key_env,
            key=context.env.get(self.key_env),
            parameter=parameter,
            pace=pace_of(f"{self.kind} {self.base_url} {self.key_env}", self.requests_per_minute),
            patience=Patience(seconds=self.patience_seconds),
        )
