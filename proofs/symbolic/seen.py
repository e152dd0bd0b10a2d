"""Law: exposure only grows, the tables say of each operation what the text says, and no call that
could complete the uninhabitable state passes the gate unasked."""

from proofs.symbolic import spec as S
from proofs.symbolic.machine import Expr
from proofs.symbolic.solver import z3
from proofs.symbolic.suite import Suite


def monoid(s: Suite) -> None:
    k = s.kernel
    e, f, g, p, q = s.bits("e", "f", "g", "p", "q")
    wide = [s.any(e, f, g, p, q)]
    known = [S.exposure(x) for x in (e, f, g, p, q)]
    join = k.word("exposure.join")
    leq = k.word("exposure.leq")
    for name, value in {
        "PRIVATE_DATA": 1,
        "UNTRUSTED_CONTENT": 2,
        "EXFIL_VECTOR": 4,
        "NOTHING": 0,
        "ALL": 7,
    }.items():
        s.law(f"{name} is {value}", z3.BoolVal(k.number(f"exposure.{name}") == value))
    s.law("An exposure is three bits", k("exposure.valid", e) == S.exposure(e), wide)
    s.law(
        "Exposure is a monoid under union with nothing as unit",
        z3.And(
            join(join(e, f), g) == join(e, join(f, g)),
            join(e, S.n(0)) == e,
            join(S.n(0), e) == e,
            join(e, f) == join(f, e),
            join(e, e) == e,
        ),
        wide,
    )
    s.law(
        "The union of exposures has each leg of either",
        z3.And(*[S.bit(join(e, f), i) == z3.Or(S.bit(e, i), S.bit(f, i)) for i in range(3)]),
        wide,
    )
    s.law(
        "Exposures are ordered by their legs",
        leq(e, f) == z3.And(*[z3.Implies(S.bit(e, i), S.bit(f, i)) for i in range(3)]),
        known[:2],
    )
    s.law("Exposure never falls", leq(e, join(e, f)), wide)

    def legs(x: Expr) -> Expr:
        return z3.And(*[S.bit(x, i) for i in range(3)])

    s.law(
        "The state is uninhabitable exactly if all three legs stand",
        k("exposure.complete", e) == legs(e),
        wide,
    )
    gates = k("exposure.gates", e, p)
    s.law(
        "The gate fires exactly if all legs would stand and the call is a way out",
        gates == z3.And(legs(e | p), S.bit(p, 2)),
        wide,
    )
    s.law(
        "The gate is complete: no way out completes the uninhabitable state unasked",
        z3.Implies(
            z3.And(k("exposure.complete", join(e, p)), k("projection.is_exfil_projection", p)),
            gates,
        ),
        wide,
    )
    s.law(
        "The gate is monotone in what was seen and in what is projected",
        z3.Implies(z3.And(leq(e, f), leq(p, q), gates), k("exposure.gates", f, q)),
        known,
    )


def grades(s: Suite) -> None:
    k = s.kernel
    e, f, g, h = s.bits("e", "f", "g", "h")
    known = [S.exposure(x) for x in (e, f, g, h)]
    wide = [s.any(e, f, g, h)]
    for name, value in {"SAFE": 0, "LOW": 1, "MEDIUM": 2, "UNINHABITABLE": 3}.items():
        s.law(f"Risk {name} is {value}", z3.BoolVal(k.number(f"projection.{name}") == value))
    risk = k.word("projection.risk")
    compose = k.word("projection.compose")
    s.law("Risk is the number of legs", risk(e) == S.count(e, range(3)), wide)
    s.law(
        "Risk is monotone, and bounds each part of a union",
        z3.And(
            z3.Implies(k("exposure.leq", e, f), risk(e) <= risk(f)),
            compose(risk(e), risk(f)) <= risk(e | f),
        ),
        known,
    )
    s.law(
        "Grades compose by maximum, a monoid with unit safe",
        z3.And(
            compose(e, f) == S.most(e, f),
            compose(compose(e, f), g) == compose(e, compose(f, g)),
            z3.Implies(e >= 0, z3.And(compose(e, S.n(0)) == e, compose(S.n(0), e) == e)),
        ),
        wide,
    )
    s.law(
        "A session's exposure and grade are the folds of their steps",
        z3.And(
            k("projection.session", e, (f, g, h)) == e | f | g | h,
            k("projection.session_risk", e, (f, g, h)) == S.most(S.most(e, f), S.most(g, h)),
            k("projection.session", e, ()) == e,
            k("projection.session_risk", e, ()) == e,
        ),
        wide,
    )
    s.law(
        "The fold is a homomorphism: two sessions in a row are one",
        z3.And(
            k("projection.session", k("projection.session", e, (f,)), (g, h))
            == k("projection.session", e, (f, g, h)),
            k("projection.session", e, (f, g)) == k("exposure.join", e, f | g),
        ),
        wide,
    )


def tables(s: Suite) -> None:
    k = s.kernel
    op, mounted, e, bits = s.bits("op", "mounted", "e", "bits")
    trusted, sealed = s.truths("trusted", "sealed")
    wide = [s.any(op, mounted, e, bits)]
    shell = op == S.OPERATIONS.index("run_bash")

    def table(rows: dict[str, int]) -> list[int]:
        return [rows.get(name, 0) for name in S.OPERATIONS]

    records = k("projection.records", op)
    projects = k("projection.projects", op, trusted, sealed, mounted)
    s.law(
        "Each operation records what its row says, an unknown one everything",
        records == S.lookup(op, table(S.RECORDS), 7),
        wide,
    )
    in_cell = mounted & 3 | mounted & ~S.n(7)
    s.law(
        "Each operation projects what its row says; a sealed shell only what is mounted",
        projects
        == z3.If(
            z3.And(shell, sealed),
            in_cell,
            z3.If(
                trusted,
                S.lookup(op, table(S.PROJECTS_TRUSTED), 7),
                S.lookup(op, table(S.PROJECTS), 7),
            ),
        ),
        wide,
    )
    s.law(
        "A sealed shell is no way out",
        z3.Implies(z3.And(shell, sealed), z3.Not(S.bit(projects, 2))),
        wide,
    )
    raises = k("projection.raises", op, sealed, mounted)
    s.law(
        "A shell raises all it projected, everything else what it records",
        raises == z3.If(shell, z3.If(sealed, in_cell, S.n(7)), records),
        wide,
    )
    s.law(
        "What is raised was projected, unless the sink is trusted and then too",
        z3.And(
            raises & ~projects == 0,
            records & ~k("projection.projects", op, trusted, z3.BoolVal(False), mounted) == 0,
        ),
        wide,
    )
    s.law(
        "A trusted sink only ever takes the way out away",
        z3.And(
            k("projection.projects", op, z3.BoolVal(True), sealed, mounted) & ~projects == 0,
            k("projection.projects", op, z3.BoolVal(False), sealed, mounted) & ~projects & ~S.n(4)
            == 0,
        ),
        wide,
    )
    s.law(
        "A binding adds labels and never removes one",
        k("projection.with_binding", bits, e) == bits | e,
        wide,
    )
    s.law(
        "A way out is the third bit",
        k("projection.is_exfil_projection", bits) == S.bit(bits, 2),
        wide,
    )
    s.law(
        "What a call leaves is joined to what was seen",
        k("projection.after", e, bits) == e | bits,
        wide,
    )
    s.law(
        "The state is complete with a call exactly if all legs then stand",
        k("projection.gate_complete", e, bits)
        == z3.And(*[z3.Or(S.bit(e, i), S.bit(bits, i)) for i in range(3)]),
        wide,
    )
    s.law(
        "What ran inside a gate that stayed shut never completes the state by a way out",
        z3.Implies(
            z3.And(
                z3.Not(k("exposure.gates", e, projects)),
                z3.Not(k("exposure.complete", e)),
                S.bit(projects, 2),
            ),
            z3.Not(k("exposure.complete", e | raises)),
        ),
        [*wide, S.exposure(e), S.exposure(mounted)],
    )


CLAIMS = (monoid, grades, tables)
