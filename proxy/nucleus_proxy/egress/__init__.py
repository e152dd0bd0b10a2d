"""Law: what leaves for the network goes to an address that was checked, and says what was judged.

The road outward: one reading of a URL (`url`), which addresses are public (`addresses`), who is
asked for them (`resolving`), the one place that connects (`dial`), strict HTTP (`http1`).
"""
