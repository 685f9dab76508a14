"""The formats of files with rows."""
