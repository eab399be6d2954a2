"""Changes that loosen what guards a command: one person proposes, another approves."""
