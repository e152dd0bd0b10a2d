"""A function that demands trusted input is given something else."""

from nucleus.labeled import (
    Adversarial,
    Internal,
    Labeled,
    Public,
    Secret,
    Trusted,
    Untrusted,
    combine,
    own,
)


def run(command: Labeled[str, Trusted, Secret]) -> None: ...


def untrusted(text: Labeled[str, Untrusted, Secret]) -> None: ...


def program(
    page: Labeled[str, Adversarial, Public], file: Labeled[str, Untrusted, Internal]
) -> None:
    run(page)  # E: arg-type reportArgumentType: a page gives orders
    run(file)  # E: arg-type reportArgumentType: a file nobody vouches for gives orders
    untrusted(page)  # E: arg-type reportArgumentType: an adversary where none is expected
    run(file.map(str.strip))  # E: arg-type reportArgumentType: changing it does not check it
    mixed = combine(own("make "), page, lambda a, b: a + b)
    run(mixed)  # E: arg-type reportArgumentType: a trusted beginning does not make a trusted whole
    run("make test")  # E: arg-type reportArgumentType: a bare text has no label
    bare = page.dangerously_bare
    run(bare)  # E: arg-type reportArgumentType: nor has one whose label was dropped
