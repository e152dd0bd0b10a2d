"""A value is made better than its reason allows."""

from nucleus.labeled import (
    Adversarial,
    Labeled,
    Public,
    Sanitization,
    Trusted,
    Untrusted,
    promote_integrity,
    promote_to_trusted,
)
from nucleus.labeled import HumanReview as Review


def program(page: Labeled[str, Adversarial, Public], file: Labeled[str, Untrusted, Public]) -> None:
    promote_to_trusted(page, Review("ann"))  # E: arg-type reportArgumentType: two steps at once
    clean = Sanitization("x")
    promote_to_trusted(file, clean)  # E: arg-type reportArgumentType: cleaned is not checked
    promote_to_trusted(file, "trust me")  # E: arg-type reportArgumentType: a text is no reason
    promote_integrity(page, None)  # E: arg-type reportArgumentType: nothing is no reason
    promote_integrity(page)  # E: call-arg reportCallIssue: a reason is needed
    made = promote_integrity(page, Review("ann"))
    better: Labeled[str, Trusted, Public] = made  # E: assignment reportAssignmentType: one step
    print(better)
