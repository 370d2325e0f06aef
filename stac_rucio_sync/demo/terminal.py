"""The terminal of the demo: commands are shown as a person types them, run, and their output is shown."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stac_rucio_sync.errors import FatalError

LIMIT = 600.0
"""Seconds that one command may take."""


def program(name: str) -> str:
    """Return the path of a program: the one beside this Python, else the first on the PATH.

    Raises
    ------
    FatalError
        It is not installed.
    """
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise FatalError(f"the program {name} is missing; pip install 'stac-rucio-sync[demo]' brings it")
    return found


def _start_of(name: str) -> list[str]:
    """Return how a command starts; Rucio's own cannot start by itself where the path of its Python holds a space."""
    found = program(name)
    beside = Path(found).parent == Path(sys.executable).parent
    return [sys.executable, found] if name == "rucio" and beside else [found]


def check(holds: bool, sentence: str) -> None:
    """Hold the demo to what it claims.

    Raises
    ------
    FatalError
        It does not hold; the sentence says what was seen.
    """
    if not holds:
        raise FatalError(f"the demo failed: {sentence}")


class Terminal:
    """Shows steps, runs commands.

    Parameters
    ----------
    console
        Where everything is shown.
    environment
        Environment of the commands.
    """

    def __init__(self, console: Console, environment: Mapping[str, str]) -> None:
        self.console = console
        self._environment = dict(environment)
        self._steps = 0

    def step(self, title: str) -> None:
        """Begin a numbered step."""
        self._steps += 1
        self.head(f"{self._steps}. {title}")

    def head(self, title: str) -> None:
        """Show a heading."""
        self.console.print()
        self.console.print(Text(title, style="bold"), soft_wrap=True)

    def say(self, sentence: str) -> None:
        """Say what was found or is going on."""
        self.console.print(Text(f"   {sentence}"), soft_wrap=True)

    def show(self, line: str) -> None:
        """Show a line of a command's output."""
        self.console.print(Text("   ").append_text(Text.from_ansi(line)), style="dim", soft_wrap=True)

    def show_command(self, line: str) -> None:
        """Show what a person would type."""
        self.console.print(Text("   $ " + line, style="cyan"), soft_wrap=True)

    def show_query(self, sql: str) -> None:
        """Show what is asked of the database."""
        for line in sql.splitlines():
            self.console.print(Text("   > " + line, style="cyan"), soft_wrap=True)

    def show_table(self, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
        """Show a small table."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column in columns:
            table.add_column(column, no_wrap=True)
        for row in rows:
            table.add_row(*row)
        with self.console.capture() as capture:
            self.console.print(table)
        for line in capture.get().rstrip("\n").split("\n"):
            self.console.out("   " + line.rstrip(), highlight=False)

    def set_variable(self, name: str, value: str) -> None:
        """Set a variable of the environment for the commands that follow, visibly."""
        self._environment[name] = value
        self.show_command(f"export {name}={shlex.quote(value)}")

    def run(self, *command: str, quiet: bool = False) -> str:
        """Run a command to its end and return its standard output.

        Its standard error is shown as it comes, its standard output when it has ended; ``quiet`` shows neither these
        nor the command.

        Raises
        ------
        FatalError
            It ended with another exit code than 0, or took too long; the end of its output is told.
        """
        if not quiet:
            self.show_command(shlex.join(command))
        running = subprocess.Popen(
            [*_start_of(command[0]), *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=self._environment,
        )
        talk: list[str] = []

        def listen() -> None:
            for line in running.stderr or ():
                talk.append(line.rstrip())
                if not quiet:
                    self.show(line.rstrip())

        timer = threading.Timer(LIMIT, running.kill)
        listener = threading.Thread(target=listen, daemon=True)
        timer.start()
        listener.start()
        try:
            output = running.stdout.read() if running.stdout else ""
            code = running.wait()
            listener.join()
        finally:
            timer.cancel()
            if running.poll() is None:
                running.kill()
        if code != 0:
            end = "\n".join([*output.splitlines(), *talk][-12:])
            raise FatalError(f"`{shlex.join(command)}` ended with exit code {code}:\n{end}")
        if not quiet:
            for line in output.splitlines():
                self.show(line)
        return output

    @contextmanager
    def server(self, *command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Run a server for the time of a ``with`` block; its output goes to a file."""
        self.show_command(shlex.join(command) + " &")
        with log.open("wb") as output:
            running = subprocess.Popen(
                [program(command[0]), *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
            )
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(5.0)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()
