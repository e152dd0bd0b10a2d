"""The proxy: wire, policy, binding, mediation, relay."""
