"""The bytes: what we write pymacaroons reads, what we read has one spelling, and what is neither
comes back as an error of ours after a bounded amount of work.
"""
