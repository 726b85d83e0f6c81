"""Speed, measured side by side. Every figure stands with its machine, its versions and its command."""
