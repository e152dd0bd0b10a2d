"""A function that publishes is given something that may not leave."""

from nucleus.labeled import Internal, Labeled, Public, Secret, Trusted, combine, own


def publish(text: Labeled[str, Trusted, Public]) -> None: ...


def share(text: Labeled[str, Trusted, Internal]) -> None: ...


def program(key: Labeled[str, Trusted, Secret], file: Labeled[str, Trusted, Internal]) -> None:
    publish(key)  # E: arg-type reportArgumentType: a secret is published
    publish(file)  # E: arg-type reportArgumentType: an internal text is published
    share(key)  # E: arg-type reportArgumentType: a secret is shared
    letter = combine(own("dear all, "), key, lambda a, b: a + b)
    publish(letter)  # E: arg-type reportArgumentType: a letter with a secret in it is published
