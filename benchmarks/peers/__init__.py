"""Programs that pull the same list into a file. Each runs in the virtual environment of its libraries."""
