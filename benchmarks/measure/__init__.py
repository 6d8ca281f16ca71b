"""What `make bench` and the counted guards are made of: one subject per module, the standard library only, but for
keys, certificates and Envoy."""
