"""A small users API for the gateway to stand in front of. It serves the demo and the integration tests."""
