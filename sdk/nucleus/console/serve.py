"""Law: every request is for this host, every change comes from a form of this page by somebody who
is in, and no other page can frame, script or read ours.

The policy is said once, for all answers, also errors. What blocks runs in threads.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from nucleus.console import pages
from nucleus.console.acting import Hands
from nucleus.console.guests import PREFIX, Guests
from nucleus.console.login import LINK_SECONDS, Login, Signed, Visits
from nucleus.console.markup import Html
from nucleus.looking import Look, look
from nucleus_tokens import crypto
from nucleus_tokens.errors import NucleusError

POLL_SECONDS: Final = 0.5
KEEP_ALIVE_SECONDS: Final = 15.0
MOST_STREAMS: Final = 32
_FORM_BYTES: Final = 64 * 1024
_COOKIE: Final = "nucleus-console"
_COMING: Final = "nucleus-coming"  # who went away to show who they are
_STATIC: Final = Path(__file__).parent / "static"
_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types nucleus",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    # With none at all a browser hides the origin of our own forms as well.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the console is, for a browser: `http://127.0.0.1:8767`, or what stands in front of
    it."""

    scheme: str
    host: str

    @classmethod
    def read(cls, text: str) -> Origin:
        scheme, _, host = text.partition("://")
        return cls(scheme, host)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}"


class Console:
    """The pages of one approver."""

    def __init__(
        self,
        hands: Hands,
        login: Login,
        visits: Visits,
        origin: Origin,
        guests: Guests | None = None,
    ) -> None:
        """`guests` are other hosts that may ask; without them there are none."""
        self._hands = hands
        self._login = login
        self._visits = visits
        self._origin = origin
        self._guests = guests
        self._streams = 0

    def app(self) -> web.Application:
        """The application; whoever serves it closes it."""
        made = web.Application(middlewares=[self._guard], client_max_size=_FORM_BYTES)
        made.router.add_get("/", self._page)
        made.router.add_get("/parts", self._parts)
        made.router.add_get("/events", self._events)
        made.router.add_get("/enter", self._entrance)
        made.router.add_post("/enter", self._enter)
        made.router.add_get("/enter/away", self._away)
        made.router.add_post("/leave", self._leave)
        made.router.add_post("/answer", self._acts(self._hands.answer, "approvals"))
        made.router.add_post("/revoke", self._acts(self._hands.revoke, "tokens"))
        made.router.add_post("/end", self._acts(self._hands.end, "tokens"))
        for name, media in (("console.css", "text/css"), ("console.js", "text/javascript")):
            made.router.add_get(f"/{name}", _static(name, media))
        if self._guests is not None:
            self._guests.routes(made.router)
        made.cleanup_ctx.append(self._following)
        return made

    # Who may do what ----------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            made = await self._guarded(request, handler)
        except web.HTTPException as error:
            made = _html(pages.problem(error.reason), error.status)
        except NucleusError as error:
            made = _html(pages.problem(str(error)), 409)
        if not made.prepared:
            made.headers.update(_HEADERS)
        return made

    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        # Another name that leads here is another site to a browser, and not ours.
        if request.headers.get("Host") != self._origin.host:
            raise web.HTTPMisdirectedRequest(reason="This is not the console's address.")
        if self._guests is not None and request.path.startswith(f"{PREFIX}/"):
            if not self._guests.admits(request):
                raise web.HTTPUnauthorized(reason="No host that is known here.")
            return await handler(request)
        site = request.headers.get("Sec-Fetch-Site")
        if request.method != "GET":
            # A browser says where a form comes from; one that does not is none we serve.
            if request.headers.get("Origin") != str(self._origin) or site not in (
                None, "same-origin",
            ):  # fmt: skip
                raise web.HTTPForbidden(reason="This form is not of this page.")
        elif request.path in ("/parts", "/events") and site not in (None, "same-origin"):
            raise web.HTTPForbidden(reason="Only this page reads this.")
        if request.path in ("/enter", "/enter/away", "/console.css", "/console.js"):
            return await handler(request)
        signed = self._visits.of(request.cookies.get(_COOKIE, ""))
        if signed is None:
            raise web.HTTPUnauthorized(reason="Come in by the address that the terminal shows.")
        request["signed"] = signed
        if request.method != "GET":
            given = str((await request.post()).get("csrf", ""))
            if not hmac.compare_digest(given.encode(), signed.csrf.encode()):
                raise web.HTTPForbidden(reason="This form is not of this page.")
        return await handler(request)

    async def _entrance(self, request: web.Request) -> web.Response:
        brought = {k: request.query[k] for k in self._login.fields if k in request.query}
        return _html(pages.entrance(self._login.says, brought, self._login.first), 200)

    async def _away(self, request: web.Request) -> web.Response:
        """To where somebody shows who they are. What comes back is good in this browser alone."""
        secret = os.urandom(32).hex()
        where = await asyncio.to_thread(self._login.away, secret)
        if where is None:
            raise web.HTTPNotFound
        made = _moved(where)
        # Lax, not Strict: the way back begins at another site.
        made.set_cookie(
            _COMING, secret, httponly=True, samesite="Lax", path="/enter", max_age=LINK_SECONDS,
            secure=self._origin.scheme == "https",
        )  # fmt: skip
        return made

    async def _enter(self, request: web.Request) -> web.Response:
        secret = request.cookies.get(_COMING, "")
        who = await asyncio.to_thread(self._login.enter, await _form(request), secret)
        if who is None:
            return _html(pages.entrance(self._login.refused, {}, self._login.first), 403)
        self._visits.end(request.cookies.get(_COOKIE, ""))
        made = _moved("/")
        made.del_cookie(_COMING, path="/enter")
        # Drawn now: a cookie that somebody put into this browser before is worth nothing.
        made.set_cookie(
            _COOKIE, self._visits.begin(who), httponly=True, samesite="Strict", path="/",
            secure=self._origin.scheme == "https",
        )  # fmt: skip
        return made

    async def _leave(self, request: web.Request) -> web.Response:
        self._visits.end(request.cookies.get(_COOKIE, ""))
        made = _html(pages.problem("You have left. Come again by a new link."), 200)
        made.del_cookie(_COOKIE, path="/")
        return made

    # Looking ------------------------------------------------------------------------------------

    async def _page(self, request: web.Request) -> web.Response:
        signed: Signed = request["signed"]
        return _html(pages.page(await self._look(), signed.who, signed.csrf), 200)

    async def _parts(self, request: web.Request) -> web.Response:
        """The sections, for the page to bring itself up to date."""
        signed: Signed = request["signed"]
        return web.json_response(pages.sections(await self._look(), signed.csrf))

    async def _look(self) -> Look:
        hands = self._hands
        return await asyncio.to_thread(look, hands.place, hands.store, hands.desk)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """One word whenever something to be seen has changed."""
        if self._streams >= MOST_STREAMS:
            raise web.HTTPServiceUnavailable(reason="Too many pages are open.")
        signed: Signed = request["signed"]
        cookie = request.cookies.get(_COOKIE, "")
        made = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
        self._streams += 1
        try:
            await made.prepare(request)
            last, spoken = "", asyncio.get_running_loop().time()
            while self._visits.of(cookie) is not None:
                now = _digest(pages.sections(await self._look(), signed.csrf))
                time = asyncio.get_running_loop().time()
                if now != last:
                    last, spoken = now, time
                    await made.write(f"data: {now}\n\n".encode())
                elif time - spoken > KEEP_ALIVE_SECONDS:
                    spoken = time
                    await made.write(b": still here\n\n")
                await asyncio.sleep(POLL_SECONDS)
        except (ConnectionError, NucleusError):
            pass  # the page is gone, or comes again
        finally:
            self._streams -= 1
        return made

    # Acting -------------------------------------------------------------------------------------

    def _acts(self, act: Callable[[Mapping[str, str]], str], back: str) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            await asyncio.to_thread(act, await _form(request))
            return _moved(f"/#{back}")

        return handler

    async def _following(self, _: web.Application) -> AsyncIterator[None]:
        """Standing rules are followed while the console runs."""

        async def follow() -> None:
            while True:
                try:
                    await asyncio.to_thread(self._hands.follow_rules)
                except NucleusError:
                    pass  # it is tried again, and shown to a person meanwhile
                await asyncio.sleep(POLL_SECONDS)

        task = asyncio.ensure_future(follow())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _html(page: Html, status: int) -> web.Response:
    return web.Response(text=page, status=status, content_type="text/html", charset="utf-8")


def _moved(where: str) -> web.Response:
    return web.Response(status=303, headers={"Location": where})


async def _form(request: web.Request) -> dict[str, str]:
    return {key: value for key, value in (await request.post()).items() if isinstance(value, str)}


def _static(name: str, media: str) -> Handler:
    data = (_STATIC / name).read_text(encoding="utf-8")

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(text=data, content_type=media, charset="utf-8")

    return handler


def _digest(parts: Mapping[str, Html]) -> str:
    """What is seen, but for the time that is left."""
    said = json.dumps(parts, sort_keys=True)
    return crypto.sha256(re.sub(r"<small> [0-9hms ]+ left</small>", "", said).encode()).hex()[:16]


def own_origin(port: int) -> str:
    """Where the console is if nothing stands in front of it."""
    return f"http://127.0.0.1:{port}"
