"""The lake on a lakeFS server, for teams that outgrew one machine. Import it only where a server is used."""

from resources.lake.lakefs.address import Account, Address
from resources.lake.lakefs.store import LakeFSLake

__all__ = ["Account", "Address", "LakeFSLake"]
