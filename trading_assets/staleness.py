"""What Dagster tells a stale partition by: which materialisations of the inputs were there when a step read them."""

import dagster as dg
from dagster._core.definitions.data_version import (
    DEFAULT_DATA_VERSION,
    NULL_EVENT_POINTER,
    extract_data_version_from_entry,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)


class InputsSeen:
    """The newest materialisation of each upstream asset, as tags for the events of one asset of a step.

    Dagster writes them by itself only into the events that it writes by itself. Without them it takes every input for a new
    one, so that a partition is stale from the moment it is made. A partition counts as stale once an input of it has a newer
    materialisation, with another data version, than the one named here.
    """

    def __init__(self, context: dg.AssetExecutionContext, asset: dg.AssetKey) -> None:
        self._instance = context.instance
        self._inputs = sorted(context.assets_def.asset_deps[asset])
        # an input that the same step makes is read after it was made: to be looked at anew for each partition
        self._made_beside = not context.selected_asset_keys.isdisjoint(self._inputs)
        self._tags: dict[str, str] = {}
        self.look()

    def look(self) -> None:
        """Look before the inputs are pinned: what is published after it makes the partition stale, never fresh."""
        found = {record.asset_entry.asset_key: record for record in self._instance.get_asset_records(self._inputs)}
        for key in self._inputs:
            event = found[key].asset_entry.last_materialization_record if key in found else None
            version = extract_data_version_from_entry(event.event_log_entry) if event is not None else None
            self._tags[get_input_data_version_tag(key)] = (version or DEFAULT_DATA_VERSION).value
            self._tags[get_input_event_pointer_tag(key)] = (
                NULL_EVENT_POINTER if event is None else str(event.storage_id)
            )

    def tags(self) -> dict[str, str]:
        """For the materialisation event of a partition made from what was seen."""
        if self._made_beside:
            self.look()
        return dict(self._tags)
