"""What an agent did, and the policy that lets it do that and no more.

`recording` runs beside an agent and writes a record; `generalising` makes a policy of a record;
`replaying` asks the kernel what a policy would have said to a record.
"""
