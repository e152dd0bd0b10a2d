"""Law: implication is the exact residue of meet: c with a stays within b just when c <= a -> b.

What policies are reasoned with, and `decide` does not need: the arrow and what follows from it,
groups of dimensions, the modal operators, the bridge between two domains. It reads the packed
capabilities of `lattice` and makes the same.

This module stays inside the provable subset: functions over int, bool and tuple[int, ...].
"""

from nucleus_tokens.lattice import BOTTOM, LO, OPS, TOP, known, leq, with_level

# 1. The lockdown projection keeps reading and the web, nothing that changes anything.
READ_ONLY: int = 0x000FF03


def implies(a: int, b: int) -> int:
    """The Heyting arrow: always where a <= b, else b; the greatest c with meet(c, a) <= b."""
    over = a & ~b & TOP
    failing = (over | (over >> 1)) & LO
    return (TOP & ~(failing | (failing << 1))) | (b & TOP)


def neg(a: int) -> int:
    """The pseudo-complement: neg(neg(low_risk)) is always, so the algebra is not Boolean."""
    return implies(a, BOTTOM)


def set_level(a: int, op: int, level: int) -> int:
    """a with one dimension replaced. For building policies, never for narrowing: it can widen."""
    if not known(op):
        return a
    return (a & ~(3 << (op + op))) | with_level(op, level)


# 2. Groups. A mask covers whole dimensions, so the result of each is valid if its inputs are.
def project(a: int, group: int) -> int:
    """Only the group's dimensions; the rest never."""
    return a & group


def inject(a: int, src: int, group: int) -> int:
    """a with the group's dimensions overwritten from src. It can widen."""
    return (a & ~group) | (src & group)


def merge_from(a: int, src: int, group: int) -> int:
    """a joined with the group's part of src."""
    return a | (src & group)


def read_only(a: int) -> int:
    """The lockdown projection."""
    return a & READ_ONLY


# 3. Entailment and conditional permissions, all from the one arrow.
def permission_gap(current: int, target: int) -> int:
    """The weakest authority that, met with current, stays within target."""
    return implies(current, target)


def entails(a: int, b: int) -> bool:
    """a -> b is TOP; on valid capabilities the same as leq."""
    return implies(a, b) == TOP


def condition(premise: int, consequence: int) -> int:
    """The conditional permission "who holds the premise is held to the consequence"."""
    return implies(premise, consequence)


def condition_satisfied(p: int, premise: int, consequence: int) -> bool:
    """p keeps the condition."""
    return leq(p, implies(premise, consequence))


def condition_apply(p: int, premise: int, consequence: int) -> int:
    """What p gets through the condition: p met with the consequence, or nothing."""
    return p & consequence if leq(premise, p) else BOTTOM


def spread(ops: int) -> int:
    """The capability that holds every operation of the set at always."""
    v = ops & OPS
    w = (v | (v << 8)) & 0x0FF00FF
    x = (w | (w << 4)) & 0xF0F0F0F
    y = (x | (x << 2)) & 0x3333333
    z = (y | (y << 1)) & LO
    return z | (z << 1)


# 4. Modal: box is what is granted without asking, diamond what could be reached by asking.
def box(caps: int, obligations: int) -> int:
    """caps, with whatever is under an obligation taken down to never."""
    return caps & ~spread(obligations)


def diamond(caps: int, ceiling: int) -> int:
    """What escalation up to the ceiling could reach."""
    return caps | ceiling


def requires_escalation(caps: int, target: int) -> bool:
    """The target holds something that caps does not."""
    return target & ~caps != 0


# 5. The trust bridge over a boundary k: alpha(l) <= r exactly when l <= gamma(r).
def alpha(caps: int, k: int) -> int:
    """Into the other domain: what survives the boundary."""
    return caps & k


def gamma(caps: int, k: int) -> int:
    """Back: the most that still maps below caps."""
    return implies(k, caps)


def closure(caps: int, k: int) -> int:
    """gamma after alpha: extensive, monotone, idempotent."""
    return implies(k, caps & k)


def kernel(caps: int, k: int) -> int:
    """alpha after gamma: deflationary, monotone, idempotent."""
    return implies(k, caps) & k


def perm_leq(caps_a: int, obl_a: int, caps_b: int, obl_b: int) -> bool:
    """The order of permissions: capabilities upward, obligations reversed."""
    return caps_a & ~caps_b == 0 and obl_b & ~obl_a == 0


# 6. Chains of any length: the delegation ceiling is the fold of meet.
def chain_caps(root: int, caveats: tuple[int, ...]) -> int:
    """The root met with every caveat: below the root and below each of them."""
    acc = root
    for c in caveats:
        acc = acc & c
    return acc


def chain_obligations(root: int, caveats: tuple[int, ...]) -> int:
    """The root's obligations and those every caveat adds; none can be taken away."""
    acc = root
    for c in caveats:
        acc = acc | c
    return acc
