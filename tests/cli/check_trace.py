#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Is a file a trace that chrome://tracing and Perfetto open?

check_trace.py FILE [NAME=NUMBER]...

The rules are those of the Trace Event Format: an object with traceEvents; every event has
name, ph, pid and tid; complete events (X) have ts and dur and nest on their track; instants
(i) have ts and a scope; begin and end events (B, E) match; names of tracks are metadata (M).
NAME=NUMBER: so many events of a category, such as migration=4; category.half, .to, .from.
Prints what is wrong, and exits 1.
"""
import json
import sys

errors = []


def wrong(index, text):
    errors.append(f"event {index}: {text}")


def number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_event(index, event):
    if not isinstance(event, dict):
        wrong(index, "is no object")
        return False
    for name, kind in (("name", str), ("ph", str), ("pid", int), ("tid", int)):
        if not isinstance(event.get(name), kind):
            wrong(index, f"{name} is {event.get(name)!r}")
            return False
    ph = event["ph"]
    if ph not in ("X", "i", "M", "B", "E", "C"):
        wrong(index, f"ph {ph!r} is not known")
    if ph == "M":
        if event["name"] not in ("process_name", "thread_name", "process_sort_index",
                                 "thread_sort_index"):
            wrong(index, f"metadata {event['name']!r} is not known")
        elif not isinstance(event.get("args", {}).get("name"), str):
            wrong(index, "metadata without args.name")
        return True
    if not number(event.get("ts")) or event["ts"] < 0:
        wrong(index, f"ts is {event.get('ts')!r}")
        return False
    if ph == "X" and (not number(event.get("dur")) or event["dur"] < 0):
        wrong(index, f"dur is {event.get('dur')!r}")
        return False
    if ph == "i" and event.get("s") not in ("g", "p", "t"):
        wrong(index, f"scope is {event.get('s')!r}")
    if "args" in event and not isinstance(event["args"], dict):
        wrong(index, "args is no object")
    return True


def check_nesting(events):
    """Complete events of a track are apart or one within the other; B and E match."""
    tracks = {}
    for index, event in enumerate(events):
        if event["ph"] in "XBE":
            tracks.setdefault((event["pid"], event["tid"]), []).append((index, event))
    for track in tracks.values():
        # In nanoseconds: what touches does not overlap.
        track.sort(key=lambda e: (round(e[1]["ts"] * 1000),
                                  -round(e[1].get("dur", 0) * 1000)))
        ends, opened = [], 0
        for index, event in track:
            start = round(event["ts"] * 1000)
            while ends and ends[-1] <= start:
                ends.pop()
            if event["ph"] == "X":
                end = start + round(event["dur"] * 1000)
                if ends and end > ends[-1]:
                    wrong(index, "overlaps another of its track")
                ends.append(end)
            opened += {"B": 1, "E": -1}.get(event["ph"], 0)
            if opened < 0:
                wrong(index, "ends what did not begin")
        if opened > 0:
            wrong(track[-1][0], "something begins and does not end")


def check_names(events):
    named = {(e["pid"], e["tid"]) for e in events if e["ph"] == "M"}
    for index, event in enumerate(events):
        if event["ph"] != "M" and (event["pid"], event["tid"]) not in named:
            wrong(index, "is on a track without a name")


def count(events, what):
    category, _, part = what.partition(".")
    n = 0
    for event in events:
        args = event.get("args", {})
        if event.get("cat") != category:
            continue
        if part == "half" and not args.get("half"):
            continue
        if part == "to" and not args.get("to"):
            continue
        if part == "from" and args.get("to"):
            continue
        if part == "stop" and "trigger" not in args:
            continue
        n += 1
    return n


def main():
    with open(sys.argv[1], encoding="ascii") as file:
        trace = json.load(file)
    events = trace["traceEvents"]
    good = [e for i, e in enumerate(events) if check_event(i, e)]
    if len(good) == len(events):
        check_nesting(events)
        check_names(events)
    for wanted in sys.argv[2:]:
        what, _, n = wanted.partition("=")
        found = count(events, what)
        if found != int(n):
            errors.append(f"{what} is {found}, not {n}")
    for error in errors[:20]:
        print(error)
    sys.exit(bool(errors))


main()
