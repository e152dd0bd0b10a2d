"""Law: a source gets the label its kind deserves, and only a release naming the exact level takes
a defect away."""

from proofs.symbolic import spec as S
from proofs.symbolic.machine import Expr
from proofs.symbolic.solver import z3
from proofs.symbolic.suite import Suite

# Confidentiality, integrity, authority, source, derivation; and how long it stays fresh.
NODES = """
USER_PROMPT 1 2 3 user 0
TOOL_RESPONSE 1 1 1 tool 0
WEB_CONTENT 0 0 0 web 4
MEMORY_READ 1 1 1 memory 0
MEMORY_WRITE 1 2 1 model 1
FILE_READ 1 2 3 system 0
EXISTING_FILE 1 1 2 system 0
ENV_VAR 2 2 0 system 0
SECRET_VALUE 2 2 0 system 0
MODEL_PLAN 1 2 3 model 1
SUMMARIZATION 0 2 3 model 1
OUTBOUND_ACTION 0 2 3 model 0
HTTP_RESPONSE 1 1 0 tool 0
DATABASE_ROW 1 2 1 system 0
GIT_BLOB 1 2 3 system 0
CACHED_DATUM 0 1 0 tool 0
DETERMINISTIC_BIND 1 2 0 tool 0
"""
SOURCES = ("user", "tool", "web", "memory", "model", "system")


def sources_of_labels(s: Suite) -> None:
    k = s.kernel
    c, i, a, p, d = s.bits("c", "i", "a", "p", "d")
    made = k("labelling.make", c, i, a, p, d)

    def ranged(x: Expr, top: int, worst: int) -> Expr:
        return z3.If(z3.And(x >= 0, x <= top), x, S.n(worst))

    unknown = z3.Not(S.within(p, 6))
    s.law(
        "A label is made of the five levels asked for; one that does not exist is the worst",
        S.described(
            made,
            ranged(c, 2, 2),
            ranged(i, 2, 0),
            ranged(a, 3, 0),
            [z3.Or(S.bit(p, j), unknown) for j in range(6)],
            ranged(d, 3, 4),
        ),
        [s.any(c, i, a, p, d)],
    )
    s.law(
        "The encoders each write their own axis",
        made
        == (
            k("labelling.conf_bits", c)
            | k("labelling.integ_bits", i)
            | k("labelling.auth_bits", a)
            | k("labelling.prov_bits", p)
            | k("labelling.deriv_bits", d)
        ),
        [s.any(c, i, a, p, d)],
    )
    for line in NODES.strip().splitlines():
        name, cc, ii, aa, source, dd = line.split()
        term = S.n(k.number(f"labelling.{name}"))
        s.law(
            f"The intrinsic label of {name.lower()}",
            S.described(
                term,
                S.n(int(cc)),
                S.n(int(ii)),
                S.n(int(aa)),
                [z3.BoolVal(source == x) for x in SOURCES],
                S.n(int(dd)),
            ),
        )
    s.law(
        "Web content is fresh for an hour, memory for a day",
        z3.BoolVal(
            (k.number("labelling.WEB_CONTENT_TTL"), k.number("labelling.MEMORY_READ_TTL"))
            == (3600, 86400)
        ),
    )
    x, y, z, w = s.bits("x", "y", "z", "w")
    node = k("labelling.propagate", x, (y, z, w))
    s.law(
        "A node is never cleaner than what it was made from",
        z3.And(node == x | y | z | w, k("labelling.propagate", x, ()) == x),
        [s.any(x, y, z, w)],
    )
    seen = k.word("labelling.to_exposure")
    s.law(
        "Seeing a value is seen as private or untrusted by its label, and preserves joins",
        z3.And(
            S.exposure(seen(x)),
            z3.Not(S.bit(seen(x), 2)),
            S.bit(seen(x), 0) == (S.conf(x) != 0),
            S.bit(seen(x), 1) == (S.integ(x) != 2),
            seen(x | y) == seen(x) | seen(y),
        ),
        [S.label(x), S.label(y)],
    )
    t, u, v = s.amounts("t", "u", "v")
    ttl = k.word("labelling.join_ttl")
    s.law(
        "A mixture is as old as its oldest part",
        k("labelling.join_observed", t, u) == z3.If(t < u, t, u),
    )
    s.law(
        "A mixture lives as briefly as its shortest part, where 0 is for ever",
        z3.And(
            ttl(t, u) == z3.If(t == 0, u, z3.If(u == 0, t, z3.If(t < u, t, u))),
            ttl(ttl(t, u), v) == ttl(t, ttl(u, v)),
            ttl(t, u) == ttl(u, t),
        ),
        [t >= 0, u >= 0, v >= 0],
    )
    s.law(
        "A mixture has expired whenever the part observed first with that life has",
        z3.Implies(
            z3.Or(k("labels.expired", t, u, v), k("labels.expired", z3.Int("t2"), z3.Int("u2"), v)),
            k(
                "labels.expired",
                k("labelling.join_observed", t, z3.Int("t2")),
                ttl(u, z3.Int("u2")),
                v,
            ),
        ),
        [u >= 0, z3.Int("u2") >= 0],
    )


def releases(s: Suite) -> None:
    k = s.kernel
    a, src, dst = s.bits("a", "src", "dst")
    given = [S.label(a), s.any(src, dst)]
    axes = {
        # test, step, reader, width of the axis, may it move so
        "confidentiality": ("lowers_conf", "lower_conf", S.conf, (0, 2),
                            z3.And(dst >= 0, dst < src)),
        "integrity": ("raises_integ", "raise_integ", S.integ, (2, 4), z3.And(dst <= 2, dst > src)),
        "authority": ("raises_authority", "raise_authority", S.authority, (4, 7),
                      z3.And(dst <= 3, dst > src)),
    }  # fmt: skip
    for axis, (test, step, reader, (low, high), direction) in axes.items():
        applies = k(f"labelling.{test}", a, src, dst)
        after = k(f"labelling.{step}", a, src, dst)
        s.law(
            f"A release of {axis} applies exactly at the level it names and in its direction",
            applies == z3.And(reader(a) == src, direction),
            given,
        )
        rest = z3.And(*[S.bit(after, i) == S.bit(a, i) for i in range(16) if not low <= i < high])
        s.law(
            f"A release of {axis} moves it to the level it names and touches no other axis",
            z3.And(
                S.label(after),
                rest,
                reader(after) == z3.If(applies, dst, reader(a)),
                z3.Implies(z3.Not(applies), after == a),
            ),
            given,
        )


CLAIMS = (sources_of_labels, releases)
