"""How long it takes from a fill that breaks a limit until the last open order is cancelled."""
