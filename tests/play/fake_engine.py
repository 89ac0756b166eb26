"""A small program that speaks the Go Text Protocol, and misbehaves on request: python fake_engine.py HOW."""

import sys
import time


def answer_lines(how):
    points = iter(f"{letter}{row}" for row in range(1, 10) for letter in "ABCDEFGHJ")
    moves = {"passes": "pass", "resigns": "resign", "cheats": "E5", "babbles": "nonsense"}
    for line in sys.stdin:
        name = line.split()[0]
        answer = {"name": "= Fake", "version": "= 1"}.get(name, "=")
        if name == "name" and how == "nameless":
            answer = "? no name"
        if name == "play" and how == "refuses":
            answer = "? illegal move"
        if name == "genmove":
            if how == "dies":
                print("out of memory", file=sys.stderr)
                sys.exit(1)
            if how == "sleeps":
                time.sleep(60)
            answer = f"= {moves[how] if how in moves else next(points)}"
        print(answer + "\n", flush=True)
        if name == "quit":
            break


if __name__ == "__main__":
    answer_lines(sys.argv[1])
