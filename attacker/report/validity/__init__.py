"""Validity: can the measurement be trusted? One table of rules, each held against the evidence."""
