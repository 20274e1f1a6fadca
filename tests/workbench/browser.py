"""A page in headless Chromium, by its DevTools protocol."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tornado.websocket import websocket_connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page, everything that it says and everything that it asks for."""

    def __init__(self, folder: Path):
        command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        command += ["--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in self._process.stderr:
            found = re.search(r"DevTools listening on (ws://\S+)", line)
            if found:
                break
        self._loop = asyncio.new_event_loop()
        self._socket = self._wait(lambda: websocket_connect(found[1], max_message_size=2**28))
        self._number = 0
        self._session = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._wait(lambda: self._socket.write_message(json.dumps(message)))
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, page: Path) -> None:
        """Load a page and wait until everything in it is there."""
        self.call("Page.navigate", url=page.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._next()

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def complaints(self) -> list[dict[str, Any]]:
        """Return what the console would show in red or yellow."""
        logged = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
        return [event for event in self.events if event["method"] in logged]

    def requested(self) -> list[str]:
        """Return every address that was asked for."""
        asked = [event for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in asked]

    def close(self) -> None:
        """End the browser."""
        self._socket.close()
        self._process.kill()
        self._process.wait()
        self._process.stderr.close()
        self._loop.close()

    def _next(self) -> dict[str, Any]:
        message = json.loads(self._wait(self._socket.read_message))
        if "method" in message:
            self.events.append(message)
        return message

    def _wait(self, ask: Callable[[], Any]) -> Any:
        async def answer() -> Any:
            return await asyncio.wait_for(ask(), 60)

        return self._loop.run_until_complete(answer())
