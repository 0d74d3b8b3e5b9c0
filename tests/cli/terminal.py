#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""kfdsvm top and doctor in a terminal. terminal.py PID: a process that top must show."""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

LIMIT = 60


def start(command, rows, columns, env=None):
    pid, fd = pty.fork()
    if not pid:
        os.environ.update({"TERM": "xterm"} | (env or {}))
        os.execvp(command[0], command)
    resize(fd, rows, columns)
    return pid, fd


def resize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def read_until(fd, done, text=b""):
    """More output, until done(text) or the end of it."""
    end = time.monotonic() + LIMIT
    while not done(text):
        if time.monotonic() > end:
            raise SystemExit(f"nothing like it in {LIMIT} s: {text[-600:]!r}")
        if not select.select([fd], [], [], 1)[0]:
            continue
        try:
            more = os.read(fd, 65536)
        except OSError:
            break
        if not more:
            break
        text += more
    return text


def check(condition, text, what):
    if not condition:
        raise SystemExit(f"{what}: {text[-600:]!r}")


def lines_of(text):
    """The last screen that is complete."""
    screens = text.split(b"\033[H")
    return screens[-1].replace(b"\033[K", b"").replace(b"\r", b"").split(b"\n")


def fits(text, rows, columns):
    """Whether the last complete screen is no larger."""
    lines = lines_of(text[:text.rindex(b"\033[J")])
    return len(lines) <= rows and all(len(line) <= columns for line in lines)


def whole_screens(text):
    return text.count(b"\033[J")


def exit_code(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def top_is_live(shown):
    pid, fd = start(["kfdsvm", "top", "-d", "0.2"], 24, 100)
    text = read_until(fd, lambda t: b"\033[J" in t and shown in t.split(b"\033[H")[-1])
    check(text.startswith(b"\033[?1049h"), text, "not on the other screen")
    # A resize shows at once what there is, no line longer than the terminal.
    resize(fd, 4, 30)
    os.kill(pid, signal.SIGWINCH)
    seen = whole_screens(text)
    text = read_until(fd, lambda t: whole_screens(t) > seen and fits(t, 4, 30), text)
    # Nor is any later one longer.
    seen = whole_screens(text)
    text = read_until(fd, lambda t: whole_screens(t) > seen, text)
    check(fits(text, 4, 30), text, "lines that do not fit")
    os.write(fd, b"q")
    text = read_until(fd, lambda t: False, text)
    check(text.endswith(b"\033[?25h\033[?1049l"), text, "the terminal is not as it was")
    check(exit_code(pid) == 0, text, "q is no failure")


def top_gives_the_terminal_back_on_a_signal(number):
    pid, fd = start(["kfdsvm", "top"], 24, 80)
    text = read_until(fd, lambda t: b"\033[J" in t)
    os.kill(pid, number)
    text = read_until(fd, lambda t: False, text)
    check(text.endswith(b"\033[?25h\033[?1049l"), text,
          f"the terminal is not as it was after signal {number}")
    exit_code(pid)


def colours():
    for env, wanted in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        pid, fd = start(["kfdsvm", "doctor"], 24, 80, env)
        text = read_until(fd, lambda t: False)
        exit_code(pid)
        check((b"\033[32m" in text) == wanted, text, f"colours with {env}")


top_is_live(sys.argv[1].encode())
for signo in (signal.SIGTERM, signal.SIGQUIT, signal.SIGTSTP):
    top_gives_the_terminal_back_on_a_signal(signo)
colours()
