"""A function of your own under the same policy: nucleus session serve --profile research-web"""

from nucleus import ApprovalRequired, PolicyDenied, Session, guard
from nucleus.tools import fs


@guard("read_files", selectors={"path": "path"})
def word_count(path: str) -> int:
    """Runs only after an Allow for exactly this path was recorded."""
    with open(path) as file:
        return len(file.read().split())


@guard("web_search", selectors={"query": "id"}, labels=["private_data"])
def search_mail(query: str) -> list[str]:
    return [f"a mail about {query}"]


with Session(profile="research_web") as s:
    print("words:", word_count("notes.txt"))
    try:
        print(search_mail("invoices"))
    except ApprovalRequired as error:
        print("a person must answer for", ", ".join(error.obligations))
    try:
        fs.write("notes.txt", "changed")
    except PolicyDenied as error:
        print(f"denied at step {error.step} by {error.added_by}: {error.hint}")
    print("seen so far:", ", ".join(sorted(s.exposure)))
