"""The deployer: starts arms, publishes routes, obeys signed commands."""
