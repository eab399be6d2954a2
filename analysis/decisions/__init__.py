"""From a final verdict to a recorded decision: states, policy, ledger."""
