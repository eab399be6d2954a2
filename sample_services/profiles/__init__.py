"""Accounts: plan, entitlement, maturity."""
