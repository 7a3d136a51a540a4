"""Sources of corporate actions: files of one's own, factor files, and vendors over HTTP."""
