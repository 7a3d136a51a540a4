"""The analysts' DuckDB file: built new from one lake commit, audited, then put in place of the old one."""

from resources.warehouse.as_of import open_as_of
from resources.warehouse.build import AuditReport, WarehouseReport, build_warehouse, open_warehouse
from resources.warehouse.errors import AuditError, ModelError, SourceError, WarehouseError
from resources.warehouse.models import Audit, Model, load_audits, load_models, read_headers
from resources.warehouse.sources import SOURCES, Dataset, PartitionFile
from resources.warehouse.tables import TableReport

__all__ = [
    "SOURCES",
    "Audit",
    "AuditError",
    "AuditReport",
    "Dataset",
    "Model",
    "ModelError",
    "PartitionFile",
    "SourceError",
    "TableReport",
    "WarehouseError",
    "WarehouseReport",
    "build_warehouse",
    "load_audits",
    "load_models",
    "open_as_of",
    "open_warehouse",
    "read_headers",
]
