"""The issuer as a service: one door, behind it what stands in the other modules of this package."""
