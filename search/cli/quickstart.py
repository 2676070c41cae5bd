"""The command that shows it all: quickstart."""

EXAMPLES: dict[str, str] = {}
COMMANDS = ()
