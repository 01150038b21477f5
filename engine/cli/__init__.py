"""The command line: commands, option types, console output, progress and exit codes."""
