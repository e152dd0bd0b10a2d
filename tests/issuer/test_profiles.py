"""The ten canonical profiles, cell by cell, and the strictness of the loader."""

from __future__ import annotations

import pytest

from nucleus_issuer import profiles
from nucleus_issuer.profiles import load, named, normalise
from nucleus_tokens import lattice, names, writing
from nucleus_tokens.authority import FULL, fold, scope_admits
from nucleus_tokens.caveats import Scope, from_value
from nucleus_tokens.errors import CallerError

ORDER = names.OPERATIONS[:-1]  # spawn_agent, the last, is never

# levels in ORDER | obligations | dollars, tokens in, out | minutes
TABLE = """
safe-pr-fixer  A L L L A A N L L N N N  -                    5   100 10 120
doc-editor     A L L N A A N N L N N N  -                    2    50 10  60
test-runner    A N N L A A N N N N N N  -                    1    50  5  30
triage-bot     A N N N A A L L N N N N  -                    1    50  5  30
code-review    A N N N A A L N N N N N  web_search           1    50  5  30
codegen        A L L L A A N N L N N N  -                    5   100 10  60
release        A L L L A A L L L L L N  git_push,create_pr   5   100 10 120
research-web   L N N N A A L L N N N N  -                    1.5  50  5  45
read-only      A N N N A A N N N N N N  -                    1    50  5  30
local-dev      A L L L A A N N L N N N  -                    3   100 10 120
"""
ROWS = {line.split()[0]: line.split()[1:] for line in TABLE.strip().splitlines()}
LEVELS = {"N": "never", "L": "low_risk", "A": "always"}

COMMON = {"**/.ssh/**", "**/.aws/**", "**/.env", "**/.env.*", "**/credentials*"}
BLOCKED = dict.fromkeys(ROWS, COMMON | {"/etc/shadow", "/etc/passwd"}) | {
    "doc-editor": COMMON | {"/etc/shadow"},
    "test-runner": COMMON,
    "triage-bot": COMMON,
}
# What the nucleus operator adds: private data, untrusted content and a way out in one ceiling.
NU = {"safe-pr-fixer": {"run_bash"}, "release": {"run_bash"}}

GOOD = """
name = "mine"
ttl_seconds = 60
blocked_paths = ["/etc"]
[levels]
read_files = "always"
[budget]
usd = "0.5"
tokens_in = 1
tokens_out = 2
"""


def test_there_are_these_ten() -> None:
    assert sorted(ROWS) == list(profiles.CANONICAL)
    assert [p.name for p in profiles.canonical_profiles()] == list(profiles.CANONICAL)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_profile_is_what_the_table_says(name: str) -> None:
    row, profile = ROWS[name], named(name)
    levels = dict(zip(ORDER, (LEVELS[letter] for letter in row[:12]), strict=True))
    assert names.unpack_levels(profile.levels) == {**levels, "spawn_agent": "never"}
    own = set() if row[12] == "-" else set(row[12].split(","))
    assert set(profile.obligations) == own
    assert set(profile.asked_for()) == own | NU.get(name, set())
    dollars, tokens_in, tokens_out, minutes = map(float, row[13:])
    assert profile.micro_usd == dollars * 1_000_000
    assert profile.tokens == (tokens_in + tokens_out) * 1000
    assert profile.ttl == minutes * 60
    assert set(profile.blocked_paths) == BLOCKED[name]
    assert profile.description


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_ceiling_is_read_back_as_the_profile(name: str) -> None:
    profile = named(name)
    ceil = profile.ceil()
    assert ceil[0][0] == "only"
    for caveat in ceil:
        writing.caveat(caveat)
    authority = fold(FULL, "ceil", [(i, "00" * 16, from_value(c)) for i, c in enumerate(ceil)])
    assert authority.levels == profile.levels
    assert {(c.unit, c.limit) for c in authority.counters} == {
        ("micro_usd", profile.micro_usd),
        ("tokens", profile.tokens),
    }


@pytest.mark.parametrize(
    ("path", "blocked"),
    [
        ("/home/u/.ssh/id_ed25519", True),
        ("/home/u/.ssh", True),
        ("/home/u/.AWS/config", True),
        ("/srv/app/.env", True),
        ("/srv/app/.env.production", True),
        ("/srv/app/credentials.json", True),
        ("/etc/shadow", True),
        ("/srv/app/.envrc", False),
        ("/srv/app/environment.py", False),
        ("/srv/sshd/notes.md", False),
    ],
)
def test_blocked_paths_block_what_they_name(path: str, blocked: bool) -> None:
    scope = from_value(named("codegen").ceil()[1])
    assert isinstance(scope, Scope)
    assert scope_admits(scope, (path,)) is not blocked


def test_names_fold_dashes_underscores_and_capitals_and_nothing_else() -> None:
    for spelled in ("Safe_PR_Fixer", "safe-pr-fixer", "SAFE-PR_FIXER", " safe-pr-fixer "):
        assert normalise(spelled) == "safe-pr-fixer"
        assert named(spelled).name == "safe-pr-fixer"
    for spelled in ("safe pr fixer", "../profiles/codegen", "codegen.toml", "", "permissive"):
        with pytest.raises(CallerError) as caught:
            named(spelled)
        assert caught.value.code == "profile.unknown"


def test_a_profile_of_ones_own_is_read() -> None:
    profile = load(GOOD.encode())
    assert (profile.micro_usd, profile.tokens, profile.ttl) == (500_000, 3, 60)
    assert profile.levels == lattice.with_level(lattice.READ_FILES, lattice.ALWAYS)
    assert profile.ceil()[0] == ["only", {"read_files": "always"}]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("", "nonsense", "profile.syntax"),
        ("", "admin = true\n", "profile.unknown_key"),
        ("read_files =", "fly =", "profile.unknown_key"),
        ("tokens_in = 1", "tokens_in = 1\ncalls = 4", "profile.unknown_key"),
        ("ttl_seconds = 60", "", "profile.missing_key"),
        ("tokens_out = 2", "", "profile.missing_key"),
        ('"always"', '"sometimes"', "profile.value"),
        ('"always"', "2", "profile.value"),
        ('"0.5"', "0.5", "profile.value"),
        ('"0.5"', '"0.0000001"', "profile.value"),
        ('"0.5"', '"-1"', "profile.value"),
        ('"0.5"', '"NaN"', "profile.value"),
        ('"0.5"', '"1e999999999"', "profile.value"),
        ('"0.5"', "true", "profile.value"),
        ("tokens_in = 1", "tokens_in = -1", "profile.value"),
        ("tokens_in = 1", "tokens_in = true", "profile.value"),
        ("ttl_seconds = 60", "ttl_seconds = 0", "profile.value"),
        ("ttl_seconds = 60", "ttl_seconds = 40_000_000", "profile.value"),
        ('["/etc"]', '["etc"]', "profile.value"),
        ('["/etc"]', '["/a/../etc"]', "profile.value"),
        ('["/etc"]', '["/etc", "/etc"]', "profile.value"),
        ('["/etc"]', '"/etc"', "profile.value"),
        ('["/etc"]', "[1]", "profile.value"),
        ("[levels]", 'obligations = ["fly"]\n[levels]', "profile.value"),
        ("[levels]", 'obligations = "git_push"\n[levels]', "profile.value"),
        ("[levels]", "obligations = [[]]\n[levels]", "profile.value"),
        ("[levels]", "description = 1\n[levels]", "profile.value"),
        ('"mine"', '"Mine"', "profile.value"),
        ('"mine"', '""', "profile.value"),
        ('[levels]\nread_files = "always"', "levels = 1", "profile.value"),
    ],
)
def test_what_is_unknown_or_missing_is_refused(old: str, new: str, code: str) -> None:
    """The first of each is the defect it catches: a typing error that grants or loses something."""
    text = GOOD.replace(old, new) if old else new + GOOD
    assert text != GOOD
    with pytest.raises(CallerError) as caught:
        load(text.encode())
    assert caught.value.code == code


def test_bytes_that_are_no_text_are_refused() -> None:
    for data in (b"\xff", b"[" * 10_000, b"a = " + b"[" * 10_000):
        with pytest.raises(CallerError) as caught:
            load(data)
        assert caught.value.code == "profile.syntax"
