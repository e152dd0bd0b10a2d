"""Law: the report for a terminal: the combination first, as a small picture, then what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from nucleus.audit.catalogue import RULES
from nucleus.audit.combination import LEG_NAMES
from nucleus.audit.findings import Finding, Group, Report, Severity
from nucleus_issuer.desk import shown_safely as safe
from nucleus_tokens import exposure

if TYPE_CHECKING:
    from rich.console import RenderableType

_COLOURS: Final = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "dim",
}
_MOST: Final = 12  # holders in one picture


def pictures(report: Report) -> Iterator[RenderableType]:
    """Each agent with its legs, those with all three first."""
    found = sorted(report.groups, key=lambda g: (-bin(g.legs).count("1"), g.folder, g.client))
    for group in found:
        yield picture(group)


def picture(group: Group) -> RenderableType:
    """One agent: a row for each tool, a column for each leg."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    complete = exposure.complete(group.legs)
    title = Text(f"{safe(group.client)} in {safe(group.folder)}", style="bold")
    made = Table(box=SIMPLE, title=title, title_justify="left", show_footer=True, pad_edge=False)
    made.add_column("", footer=Text("together"), overflow="fold")
    for leg, name in LEG_NAMES.items():
        made.add_column(name, footer=_leg(group, leg), justify="center")
    made.add_column("", footer=_verdict(group, complete), overflow="fold")
    order = sorted(group.holders, key=lambda h: (h.mediated, -bin(h.legs).count("1")))
    for holder in order[:_MOST]:
        cells = [Text(safe(holder.name))]
        for leg in LEG_NAMES:
            mark = "?" if not holder.sure else "●"
            style = "dim" if holder.mediated or not holder.sure else "red" if complete else ""
            cells.append(Text(mark if holder.legs & leg else "·", style=style))
        said = ", ".join(sorted(set(holder.operations)))
        if holder.mediated:
            said = f"behind the proxy ({said})"
        elif not holder.sure:
            said = "nobody knows: ask it with --live"
        made.add_row(*cells, Text(safe(said), style="dim"))
    if len(order) > _MOST:
        made.add_row(Text(f"… {len(order) - _MOST} more"))
    return made


def _leg(group: Group, leg: int) -> RenderableType:
    from rich.text import Text

    if group.legs & leg:
        return Text("●", style="bold")
    return Text("?" if group.possible & leg else "·")


def _verdict(group: Group, complete: bool) -> RenderableType:
    from rich.text import Text

    if complete:
        return Text("UNINHABITABLE: what it reads can tell it what to send", style="bold red")
    if exposure.complete(group.possible):
        return Text("may be uninhabitable", style="yellow")
    missing = [name for leg, name in LEG_NAMES.items() if not group.possible & leg]
    return Text(f"no {' and no '.join(missing)}", style="green")


def lines(report: Report) -> Iterator[RenderableType]:
    """Every finding that counts: what, where, and what to do."""
    from rich.text import Text

    shown: set[str] = set()
    for finding in report.counting():
        head = Text()
        head.append(f"{finding.severity.word:8}", style=_COLOURS[finding.severity])
        head.append(f" {safe(finding.place.path)}:{finding.place.line}", style="bold")
        head.append(f"  {finding.rule}", style="dim")
        yield head
        yield Text(f"         {safe(finding.message)}")
        if finding.rule not in shown or finding.fix:
            shown.add(finding.rule)
            yield Text(f"         → {safe(finding.fix or RULES[finding.rule].fix)}", style="cyan")


def ending(report: Report, least: Severity | None) -> RenderableType:
    """The last line."""
    from rich.text import Text

    counts = ", ".join(f"{n} {word}" for word, n in report.count().items() if n)
    left = [f for f in report.findings if not f.counts]
    said = f"{counts or 'nothing found'} in {report.files} configurations"
    if left:
        suppressed = sum(f.reason is not None for f in left)
        said += f"; {suppressed} suppressed, {len(left) - suppressed} in the baseline"
    failed = least is not None and bool(report.counting(least))
    text = Text("FAIL " if failed else "PASS ", style="bold red" if failed else "bold green")
    return text.append(said, style="not bold default")


def worst(findings: tuple[Finding, ...]) -> Severity | None:
    """The worst severity that counts."""
    return max((f.severity for f in findings if f.counts), default=None)
