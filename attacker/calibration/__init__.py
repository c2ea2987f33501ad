"""Calibration: what an attacker of this size can send before its own delays are in what it measures."""
