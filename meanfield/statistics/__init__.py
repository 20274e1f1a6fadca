"""Estimates from few replicas: intervals, resampling, power laws, tests."""
