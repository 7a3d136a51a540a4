"""Real processes of an installation for tests: code server, webserver, daemon, PostgreSQL, a server that answers as Slack."""
