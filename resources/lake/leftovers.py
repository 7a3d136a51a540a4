"""What killed publishes and old refusals leave behind, and its removal."""

import contextlib
import re
from datetime import UTC, datetime, timedelta

from resources.lake.errors import RefNotFound
from resources.lake.protocol import Lake
from resources.lake.publish import QUARANTINE_PREFIX, WAP_PREFIX

_STAMP = re.compile(r"-(\d{8}T\d{6})x[0-9a-f]+")


def remove_leftover_branches(lake: Lake, older_than: timedelta, now: datetime) -> list[str]:
    """Delete the branches which killed publishes left, begun before ``now - older_than``; their names."""
    removed = []
    for name in lake.list_branches(WAP_PREFIX):
        stamp = _STAMP.search(name)
        if stamp is None:
            continue  # not one of ours, or its age cannot be told
        begun = datetime.strptime(stamp[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        if begun <= now - older_than:
            with contextlib.suppress(RefNotFound):  # its run was only slow, and has just done it
                lake.delete_branch(name)
            removed.append(name)
    return removed


def remove_old_quarantine(lake: Lake, older_than: timedelta, now: datetime) -> list[str]:
    """Delete the quarantine tags whose commit is older than ``older_than``; their names."""
    removed = []
    for name, commit_id in lake.list_tags(QUARANTINE_PREFIX).items():
        if lake.get_commit(commit_id).created <= now - older_than:
            lake.delete_tag(name)
            removed.append(name)
    return removed
