"""Law: a report as one page that needs nothing else: no script, no font, no address.

Everything that came from a file is escaped where it is put in, and nowhere else. The policy of the
page's own lets nothing be loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from nucleus.audit.catalogue import RULES
from nucleus.audit.combination import LEG_NAMES
from nucleus.audit.findings import Finding, Group, Holder, Report, Severity
from nucleus_tokens import exposure

_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1c2024;--paper:#fff;--soft:#60646c;--line:#d9d9e0;
--bad:#c62a2f;--warn:#ad5700;--good:#18794e;--card:#f7f7f8}
@media(prefers-color-scheme:dark){:root{--ink:#edeef0;--paper:#111113;--soft:#b0b4ba;
--line:#363a3f;--bad:#ff9592;--warn:#ffa057;--good:#3dd68c;--card:#19191b}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:62rem;padding:1rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.5rem;margin:.5rem 0}h2{font-size:1.15rem;margin:2rem 0 .5rem}
h3{font-size:1rem;margin:0}
.card{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.75rem 1rem;
margin:.75rem 0}
.critical,.high,.bad{color:var(--bad)}.medium{color:var(--warn)}.low,.soft{color:var(--soft)}
.good{color:var(--good)}b.tag{display:inline-block;min-width:4.5rem}
code,pre{font:.85em/1.5 ui-monospace,monospace}pre{overflow-x:auto;background:var(--card);
border:1px solid var(--line);border-radius:.5rem;padding:.75rem}
svg{width:100%;height:auto;max-width:34rem;display:block}
svg text{fill:var(--ink);font:13px system-ui}
svg .edge{stroke:var(--line);stroke-width:1.5;fill:none}svg .hot{stroke:var(--bad);stroke-width:2}
svg .dim{stroke-dasharray:4 4}
svg rect{fill:var(--card);stroke:var(--line)}svg .hotbox{stroke:var(--bad);stroke-width:2}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .5rem .25rem 0;
border-bottom:1px solid var(--line);vertical-align:top}
"""
_MOST: Final = 24  # holders in one picture
_ROW: Final = 34
_NAME: Final = 22  # letters of a name in the picture
_BEHIND: Final = " (proxied)"


def report(found: Report, suggested: str, least: Severity | None) -> str:
    """The report of an audit."""
    failed = least is not None and bool(found.counting(least))
    counts = ", ".join(f"{n} {word}" for word, n in found.count().items() if n)
    body = [
        "<h1>nucleus audit</h1>",
        f'<p><b class="{"bad" if failed else "good"}">{"Failed" if failed else "Passed"}</b>: '
        f"{escape(counts or 'nothing found')} in {found.files} configurations.</p>",
    ]
    if found.groups:
        body.append("<h2>What each agent has</h2>")
        body += [_group(group) for group in sorted(found.groups, key=_worst_first)]
    body.append("<h2>Findings</h2>")
    body += [_finding(each) for each in found.counting()] or ["<p>None.</p>"]
    left = [each for each in found.findings if not each.counts]
    if left:
        body.append("<h2>Left out</h2><ul>")
        body += [
            f"<li><code>{escape(f.place.path)}</code> {escape(f.rule)}: "
            f"{escape(f.reason) if f.reason else 'in the baseline'}</li>"
            for f in left
        ]
        body.append("</ul>")
    if suggested:
        body.append(f"<h2>What would be safe</h2><pre>{escape(suggested)}</pre>")
    return _page("nucleus audit", body)


def token(value: Mapping[str, Any]) -> str:
    """A token, as `describing.describe` tells it: its chain, who narrowed what, what is left."""
    rights = value["rights"]
    proven = "authenticated here" if value["verified"] else "its own word, authenticated by nobody"
    chain = [
        _link("the issuer, " + str(value["issuer"]["name"]), [_words(c) for c in value["ceiling"]])
    ]
    for each in value["caveats"]:
        chain.append(_link(str(each["added_by"]), [str(each["words"])]))
    levels = [(name, level) for name, level in rights["levels"].items() if level != "never"]
    asked = set(rights["asks_for"])
    rows = [
        f"<tr><td>{escape(name)}<td>{escape(str(level))}"
        f"<td>{'a person is asked' if name in asked else ''}</tr>"
        for name, level in levels
    ]
    budgets = [
        f"<li>{escape(str(b['unit']))}: {'?' if b['spent'] is None else b['limit'] - b['spent']} "
        f"left of {b['limit']}</li>"
        for b in rights["budgets"]
    ]
    revokers = [(str(r["rid"]), ", ".join(map(str, r["revokers"]))) for r in value["revocation"]]
    body = [
        f"<h1>A token for {escape(str(value['sub']))}</h1>",
        f'<p class="{"good" if value["verified"] else "bad"}">{escape(proven)}</p>',
        f"<p>For <code>{escape(str(value['audience']['name']))}</code>, until "
        f"{escape(_words(['exp', value['expires']]).removeprefix('not after '))}; may be handed on "
        f"{int(value['depth_left'])} times.</p>",
        "<h2>Who narrowed what</h2>", *chain,
        "<h2>What is left</h2>",
        "<table>", *(rows or ["<tr><td>nothing</tr>"]), "</table>",
        *(["<ul>", *budgets, "</ul>"] if budgets else []),
        "<h2>Who can revoke it</h2><ul>",
        *(f"<li><code>{escape(rid)}</code> {escape(who)}</li>" for rid, who in revokers),
        "</ul>",
    ]  # fmt: skip
    return _page("A token", body)


def _words(caveat: Sequence[Any]) -> str:
    from nucleus.describing import caveat_words

    return caveat_words(caveat)


def _link(who: str, said: Iterable[str]) -> str:
    lines = "".join(f"<div>{escape(each)}</div>" for each in said)
    return f'<div class="card"><h3>{escape(who)}</h3>{lines}</div>'


def _page(title: str, body: Iterable[str]) -> str:
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _worst_first(group: Group) -> tuple[int, str, str]:
    return -group.legs.bit_count(), group.folder, group.client


def _group(group: Group) -> str:
    complete = exposure.complete(group.legs)
    if complete:
        said = '<b class="bad">All three legs: what it reads can tell it what to send.</b>'
    elif exposure.complete(group.possible):
        said = '<b class="medium">Perhaps all three legs: nobody knows what a server does.</b>'
    else:
        missing = [name for leg, name in LEG_NAMES.items() if not group.possible & leg]
        said = f'<span class="good">No {escape(" and no ".join(missing))}.</span>'
    head = f"<h3>{escape(group.client)} in <code>{escape(group.folder)}</code></h3>"
    return f'<div class="card">{head}<p>{said}</p>{_picture(group, complete)}</div>'


def _picture(group: Group, complete: bool) -> str:
    """Tools on the left, what is known of them first, legs on the right, a line for each that
    brings one. So narrow that its letters can be read on a phone."""
    order = sorted(group.holders, key=lambda h: (h.mediated, not h.sure, -h.legs.bit_count()))
    shown, more = order[:_MOST], len(order) - _MOST
    rows = len(shown) + (more > 0)
    height = max(rows, 3) * _ROW + 20
    parts = [f'<svg viewBox="0 0 380 {height}" role="img" aria-label="{escape(_spoken(group))}">']
    legs = {leg: 10 + (number + 0.5) * (height - 20) / 3 for number, leg in enumerate(LEG_NAMES)}
    for number, holder in enumerate(shown):
        y = 10 + (number + 0.5) * _ROW
        for leg, at in legs.items():
            if holder.legs & leg:
                parts.append(
                    f'<path class="edge{_edge(holder, complete)}" '
                    f'd="M165 {y:.0f} C200 {y:.0f} 205 {at:.0f} 240 {at:.0f}"/>'
                )
    for number, holder in enumerate(shown):
        y = 10 + (number + 0.5) * _ROW
        most = _NAME - len(_BEHIND) if holder.mediated else _NAME
        name = holder.name if len(holder.name) <= most else holder.name[: most - 1] + "…"
        if holder.mediated:
            name += _BEHIND
        parts.append(f'<rect x="1" y="{y - 13:.0f}" width="164" height="26" rx="5"/>')
        parts.append(f'<text x="9" y="{y + 5:.0f}">{escape(name)}</text>')
    if more > 0:
        parts.append(f'<text x="14" y="{height - 12}">and {more} more</text>')
    for leg, at in legs.items():
        hot = ' class="hotbox"' if complete else ""
        parts.append(f'<rect{hot} x="240" y="{at - 15:.0f}" width="139" height="30" rx="15"/>')
        parts.append(f'<text x="309" y="{at + 5:.0f}" text-anchor="middle">{LEG_NAMES[leg]}</text>')
    return "".join([*parts, "</svg>"])


def _edge(holder: Holder, complete: bool) -> str:
    if holder.mediated or not holder.sure:
        return " dim"
    return " hot" if complete else ""


def _spoken(group: Group) -> str:
    said = [
        f"{name}: {', '.join(h.name for h in group.holders if h.legs & leg) or 'nobody'}"
        for leg, name in LEG_NAMES.items()
    ]
    return "; ".join(said)


def _finding(finding: Finding) -> str:
    fix = finding.fix or RULES[finding.rule].fix
    word = finding.severity.word
    return (
        f'<div class="card"><h3><b class="tag {word}">{word}</b> {escape(finding.rule)}</h3>'
        f'<div class="soft"><code>{escape(finding.place.path)}:{finding.place.line}</code></div>'
        f"<div>{escape(finding.message)}</div><div>→ {escape(fix)}</div></div>"
    )
