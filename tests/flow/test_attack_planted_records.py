"""A stranger plants a record, a twin or a name, so that the user's words point at it."""

from __future__ import annotations

from typing import Any

import pytest

from nucleus_proxy.knowledge import MOST_FACTS
from tests.flow.scene import Scene

MINE = {"id": "11", "name": "Quarterly Report.xlsx", "shared_with": []}


def files(*found: dict[str, Any]) -> dict[str, Any]:
    return {"files": [{"shared_with": [], **each} for each in found]}


def test_a_record_that_the_prompt_names_gives_its_id() -> None:
    scene = Scene("Delete the file Quarterly Report.xlsx please").saw("files", files(MINE))
    assert scene.admits("delete", {"file": "11"})
    assert not scene.admits("delete", {"file": "12"})
    assert not scene.admits("delete", {"file": "1"})


def test_a_twin_makes_it_ambiguous() -> None:
    scene = Scene("Delete the file Quarterly Report.xlsx please").saw("files", files(MINE))
    scene.saw("files", files({"id": "66", "name": "quarterly report.xlsx"}))
    assert not scene.admits("delete", {"file": "11"})
    assert not scene.admits("delete", {"file": "66"})


@pytest.mark.parametrize("name", ["Report", "Quarterly", "Quarterly Report", "Report.xlsx", "xlsx"])
def test_a_part_of_the_name_is_not_the_name(name: str) -> None:
    """The planted record is named like a part of what the user wrote."""
    for prompt in (
        "Delete the file 'Quarterly Report.xlsx' please",
        "Delete Quarterly Report.xlsx",
    ):
        alone = Scene(prompt).saw("files", files({"id": "66", "name": name}))
        both = Scene(prompt).saw("files", files(MINE, {"id": "66", "name": name}))
        assert not both.admits("delete", {"file": "66"})
        # Without quotes "Report.xlsx" is what the prompt says as well (docs/spec/flow.md).
        if "'" in prompt or (" " not in name and "." not in name):
            assert not alone.admits("delete", {"file": "66"}), name


@pytest.mark.parametrize("name", ["Bob", "file", "please", "delete", "the file"])
def test_one_word_designates_nothing_that_a_stranger_can_make(name: str) -> None:
    scene = Scene("Please delete the file that Bob sent").saw(
        "files", files({"id": "66", "name": name})
    )
    assert scene.admits("delete", {"file": "66"}) == (name == "the file")


def test_what_only_the_user_can_make_needs_no_strong_name() -> None:
    scene = Scene("Delete the budget file").saw("own_files", {"id": 5, "name": "budget"})
    assert scene.admits("delete", {"file": "5"})
    assert scene.admits("delete", {"file": 5})


@pytest.mark.parametrize(
    "prompt",
    [
        "Create an event titled 'Team Sync' and delete what is old",
        "make a file named Team Sync",
        'I want one called "Team Sync"',
        "with the title: 'Team Sync'",
    ],
)
def test_a_new_things_name_points_at_nothing_old(prompt: str) -> None:
    scene = Scene(prompt).saw("files", files({"id": "66", "name": "Team Sync"}))
    assert not scene.admits("delete", {"file": "66"})


def test_attributes_come_from_a_designated_record_only() -> None:
    contacts = {
        "contacts": [
            {"id": "1", "name": "Ann Lee", "email": "ann@example.com"},
            {"id": "2", "name": "Eve Roe", "email": "eve@evil.org"},
        ]
    }
    scene = Scene("Send Ann Lee the minutes").saw("contacts", contacts)
    assert scene.admits("mail", {"to": "ann@example.com", "subject": "", "body": ""})
    assert not scene.admits("mail", {"to": "eve@evil.org", "subject": "", "body": ""})
    assert not scene.admits(
        "mail", {"to": ["ann@example.com", "eve@evil.org"], "subject": "", "body": ""}
    )
    twin = {"contacts": [{"id": "3", "name": "Ann Lee", "email": "ann@evil.org"}]}
    scene.saw("contacts", twin)
    for address in ("ann@example.com", "ann@evil.org"):
        assert not scene.admits("mail", {"to": address, "subject": "", "body": ""})


def test_the_lookalike_of_a_contact_is_another_contact() -> None:
    contacts = {"contacts": [{"id": "2", "name": "Аnn Lee", "email": "ann@evil.org"}]}
    scene = Scene("Send Ann Lee the minutes").saw("contacts", contacts)
    assert not scene.admits("mail", {"to": "ann@evil.org", "subject": "", "body": ""})


def test_the_only_row_of_the_users_own_search() -> None:
    scene = Scene("delete the file about 'summer party'")
    scene.saw("files", files({"id": "7", "name": "x"}), {"query": "summer party"})
    assert scene.admits("delete", {"file": "7"})
    for query in ("winter party", "party", "summer partу", "", None):
        other = Scene("delete the file about 'summer party'")
        other.saw("files", files({"id": "7", "name": "x"}), {"query": query})
        assert not other.admits("delete", {"file": "7"}), query
    two = Scene("delete the file about 'summer party'")
    two.saw("files", files({"id": "7", "name": "x"}, {"id": "8", "name": "y"}), {
        "query": "summer party"
    })  # fmt: skip
    assert not two.admits("delete", {"file": "7"})


def test_an_id_made_in_this_session() -> None:
    scene = Scene("make a file, then delete it").saw("create", {"id": "n-1"})
    assert scene.admits("delete", {"file": "n-1"})
    assert not scene.admits("delete", {"file": "n-2"})
    assert not Scene().saw("create", {"id": "n-1"}).admits("delete", {"file": "n-1"})


def test_a_directory_vouches_for_members_and_nothing_else() -> None:
    scene = Scene("tell everybody").saw("channels", {"channels": ["general", "ops\u200b"]})
    assert scene.admits("post", {"channel": "general", "body": ""})
    assert not scene.admits("post", {"channel": "ops\u200b", "body": ""})
    assert not scene.admits("invite", {"user": "general"})


def test_participants_count_only_by_opt_in() -> None:
    found = files({**MINE, "shared_with": ["ann@example.com"]})
    prompt = "Send Quarterly Report.xlsx to those who have it"
    args = {"to": "ann@example.com", "subject": "", "body": ""}
    assert not Scene(prompt).saw("files", found).admits("mail", args)
    opted = Scene(prompt, also=frozenset({"participants"})).saw("files", found)
    assert opted.admits("mail", args)


def test_a_link_in_a_message_counts_only_by_opt_in() -> None:
    seen = {"links": ["https://example.com/doc"]}
    assert not Scene("read it").saw("messages", seen).admits("get", {"url": seen["links"][0]})
    opted = Scene("read it", also=frozenset({"member_links"})).saw("messages", seen)
    assert opted.admits("get", {"url": "https://example.com/doc"})
    assert not opted.admits("get", {"url": "https://example.com/doc?x=1"})


def test_a_prompt_that_does_not_ask_for_it_vouches_for_nothing() -> None:
    """Rule V, and its opt-out."""
    args = {"to": "ann@example.com", "subject": "", "body": ""}
    assert not Scene("What did ann@example.com want?").admits("mail", args)
    assert Scene("Forward it to ann@example.com").admits("mail", args)
    assert Scene("What did ann@example.com want?", also=frozenset({"any_verb"})).admits(
        "mail", args
    )


def test_payees() -> None:
    paid = {"payments": [{"id": 1, "to": "Ann Lee"}, {"id": 2, "to": "DE89370400440532013000"}]}
    scene = Scene("pay Ann Lee 12").saw("paid", paid)
    assert scene.admits("pay", {"payee": "Ann Lee", "amount": 12, "note": ""})
    for payee in ("Eve Roe", "DE89370400440532013000", "Ann", "Lee"):
        assert not scene.admits("pay", {"payee": payee, "amount": 12, "note": ""})
    own = Scene("move 12 to my account").saw("me", {"iban": "GB29NWBK60161331926819"})
    assert own.admits("pay", {"payee": "GB29 NWBK 6016 1331 9268 19", "amount": 12, "note": ""})


def test_a_flood_of_records_designates_nothing() -> None:
    """What is forgotten could have been the twin."""
    scene = Scene("Delete the file Quarterly Report.xlsx please").saw("files", files(MINE))
    flood = files(*({"id": f"x{i}", "name": f"n{i}"} for i in range(MOST_FACTS)))
    scene.saw("files", flood)
    assert scene.known.full
    assert not scene.admits("delete", {"file": "11"})


@pytest.mark.parametrize(
    "result",
    [None, 1, "text", [], {}, {"files": None}, {"files": [None, 1, "x", []]}, {"files": [{}]},
     {"files": [{"id": None}]}, {"files": [{"id": [1], "name": 2}]}, {"files": {"id": 1.5}}],
)  # fmt: skip
def test_a_result_of_another_form_teaches_nothing(result: Any) -> None:
    scene = Scene("Delete the file 'x y'").saw("files", result)
    assert not scene.known.records


# Rules S and L ------------------------------------------------------------------------------------


def mail(body: str) -> dict[str, Any]:
    return {"to": "ann@example.com", "subject": "hello", "body": body}


@pytest.mark.parametrize(
    "body",
    [
        "see https://evil.org/x",
        "see HTTPS://evil.org",
        "see www.evil.org",
        "see evil.org/x?y",
        "see evil.org now",
        "mail eve@evil.org",
        "mail <eve@evil.org>.",
        "pay DE89370400440532013000",
        "pay DE89 3704 0044 0532 0130 00",
        "[x](https://evil.org/x)",
        "https://example.com/ok https://evil.org",
        "https://example.com/ok@evil.org",
        "https://example.com/okay",
    ],
)
def test_links_and_addresses_in_a_free_text_are_asked_about(body: str) -> None:
    scene = Scene("Send ann@example.com the link https://example.com/ok")
    assert scene.missing("mail", mail(body)) == {"/body"}


@pytest.mark.parametrize(
    "body", ["", "hello", "see https://example.com/ok", "ann@example.com wrote", "1.5 of 3, e.g. x"]
)
def test_a_free_text_that_carries_nothing_new_is_not(body: str) -> None:
    scene = Scene("Send ann@example.com the link https://example.com/ok")
    assert scene.admits("mail", mail(body))


def test_a_private_value_is_asked_about_wherever_it_stands() -> None:
    scene = Scene("Send ann@example.com a greeting").saw("me", {"passport": "P1234567"})
    assert scene.missing("mail", mail("it is P1234567!")) == {"/body"}
    assert scene.missing("mail", {**mail(""), "subject": "xP1234567"}) == {"/subject"}
    named = Scene("Send ann@example.com my passport number").saw("me", {"passport": "P1234567"})
    assert named.admits("mail", mail("it is P1234567"))
