"""Values that are good enough for what a function demands."""

from nucleus.labeled import (
    Adversarial,
    DeterministicVerification,
    HumanReview,
    Internal,
    Labeled,
    Public,
    Sanitization,
    Secret,
    Trusted,
    Untrusted,
    combine,
    own,
    promote_integrity,
    promote_to_trusted,
)


def run(command: Labeled[str, Trusted, Secret]) -> None: ...


def publish(text: Labeled[str, Untrusted, Public]) -> None: ...


def keep(text: Labeled[str, Adversarial, Secret]) -> None: ...


def program(
    page: Labeled[str, Adversarial, Public], file: Labeled[str, Untrusted, Internal]
) -> None:
    run(own("make test"))
    publish(own("hello"))
    keep(page)
    keep(file)
    keep(combine(page, file, lambda a, b: a + b))
    publish(promote_integrity(page, Sanitization("bleach")))
    run(promote_to_trusted(file, HumanReview("ann")))
    run(promote_to_trusted(promote_integrity(page, HumanReview("ann")), HumanReview("ann")))
    run(promote_to_trusted(file, DeterministicVerification("sha256")))
    run(file.at_least(Trusted, Internal))
    both: Labeled[str, Untrusted, Internal] = combine(own("x"), file, lambda a, b: a + b)
    keep(both.map(str.upper))
