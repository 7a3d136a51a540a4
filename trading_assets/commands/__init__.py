"""The subcommands of `trading`, one subject a module."""
