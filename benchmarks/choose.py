"""Which of two is the better picture? Choices side by side with names hidden; who agrees with them.

    python benchmarks/choose.py make pairs.csv FOLDER FOLDER [FOLDER ...] --out choices --count 30
    impasto evaluate --pairs pairs.csv FOLDER FOLDER [FOLDER ...] --json > numbers.json
    python benchmarks/choose.py tally choices answers.json --numbers numbers.json

``make`` draws pairs of content and style, and of each two pictures, and writes 01.png and so on
(photo, painting, left, right, at full size) and key.json, which says what was left: sealed, so that
no glance tells. FOLDERs hold CONTENT-STYLE.png; the table is that of ``impasto evaluate --pairs``.

Somebody looks, before the numbers, and writes answers.json: {"01": "left", "02": "right", ...}, or
several questions at once: {"01": {"picture": "left", "subject": "right"}, ...}; "none" where there
is nothing to choose.

``tally`` opens the key and counts: how often each method was chosen, and how often each judge
prefers what was chosen. Beside it the probability that a coin agrees as often.
"""

from __future__ import annotations

import argparse
import base64
import csv
import json
import random
from collections import Counter
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Any

from impasto.image.io import load_image, save_image
from impasto.outputs.contact_sheet import Cell, contact_sheet

SIDES = ("left", "right")
BETTER = {
    "gap": 1,
    "gap_parts": 1,
    "content": -1,
    "content_detail": -1,
    "content_subject": -1,
    "paint_taken": 1,
    "subject_kept": 1,
    "features_kept": 1,
    "edges_kept": 1,
}
"""A judge's number -> whether more of it is better."""
SUMS = {
    "paint + subject": ("paint_taken", "subject_kept"),
    "gap + subject": ("gap", "subject_kept"),
    "parts + subject": ("gap_parts", "subject_kept"),
}


def make(table: Path, folders: list[Path], out: Path, count: int | None, seed: int) -> None:
    """Draw the choices, write their pictures and the sealed key."""
    out.mkdir(parents=True, exist_ok=True)
    if (out / "key.json").exists():
        raise SystemExit(f"{out} holds choices already; name another folder")
    drawn = random.Random(seed)
    choices = []
    for row in csv.DictReader(table.open(encoding="utf-8-sig", newline="")):
        content, style = (table.parent / row[key] for key in ("content", "style"))
        pair = f"{content.stem}-{style.stem}"
        files = [f for folder in folders if (f := folder / f"{pair}.png").is_file()]
        choices += [(pair, content, style, two) for two in combinations(files, 2)]
    drawn.shuffle(choices)
    key = {}
    for number, (pair, content, style, two) in enumerate(choices[:count], 1):
        sides = dict(zip(SIDES, drawn.sample(two, 2), strict=True))
        shown = {"photo": content, "painting": style} | sides
        cells = [Cell(name, load_image(file)) for name, file in shown.items()]
        width = max(cell.image.shape[-1] for cell in cells[2:] if cell.image is not None)
        save_image(out / f"{number:02}.png", contact_sheet([cells], width))
        key[f"{number:02}"] = {"pair": pair} | {s: str(f.resolve()) for s, f in sides.items()}
    sealed = base64.b64encode(json.dumps(key).encode()).decode()
    (out / "key.json").write_text(json.dumps({"seed": seed, "sealed": sealed}))
    print(f"{len(key)} choices are in {out}; answer with {', '.join(SIDES)} or none")


def tally(folder: Path, answers: Path, numbers: Path) -> dict[str, Any]:
    """What was chosen, by method, and who agrees; of each question."""
    key = json.loads(base64.b64decode(json.loads((folder / "key.json").read_text())["sealed"]))
    rows = json.loads(numbers.read_text())["pictures"]
    judged = {(row["pair"], str(Path(row["path"]).resolve())): row for row in rows}
    given: dict[str, dict[str, str]] = {}  # question -> choice -> side
    for number, answer in json.loads(answers.read_text()).items():
        for question, side in (answer if isinstance(answer, dict) else {"picture": answer}).items():
            if number not in key or side not in (*SIDES, "none"):
                raise SystemExit(f"{number}: {side} is no answer; the choices are {', '.join(key)}")
            given.setdefault(question, {})[number] = side
    report = {}
    for question, sides in given.items():
        methods: Counter[str] = Counter()
        shown: Counter[str] = Counter()
        agreed: dict[str, list[bool]] = {}
        for number, side in sides.items():
            choice = key[number]
            files = {side: choice[side] for side in SIDES}
            shown.update(Path(file).parent.name for file in files.values())
            if side == "none":
                continue
            other = SIDES[1 - SIDES.index(side)]
            methods[Path(files[side]).parent.name] += 1
            ours, theirs = (judged[choice["pair"], files[x]] for x in (side, other))
            for judge in (*BETTER, *SUMS):
                preferred = [_merit(row, judge) for row in (ours, theirs)]
                if None not in preferred and preferred[0] != preferred[1]:
                    agreed.setdefault(judge, []).append(preferred[0] > preferred[1])
        report[question] = {
            "choices": len(sides),
            "chosen": {name: [methods[name], shown[name]] for name in sorted(shown)},
            "agreement": {judge: [sum(x), len(x)] for judge, x in agreed.items()},
        }
    return report


def _merit(row: dict[str, Any], judge: str) -> float | None:
    parts = SUMS.get(judge, (judge,))
    if any(row[part] is None for part in parts):
        return None
    return sum(BETTER[part] * row[part] for part in parts)


def by_chance(agreed: int, of: int) -> float:
    """The probability that a coin agrees in so many of so many choices, or in more.

    >>> by_chance(2, 2)
    0.25
    """
    return sum(comb(of, k) for k in range(agreed, of + 1)) / 2**of


def tell(report: dict[str, Any]) -> None:
    for question, found in report.items():
        decided = sum(count for count, _ in found["chosen"].values())
        print(f"{question}: {found['choices']} choices, {decided} decided")
        for name, (count, of) in found["chosen"].items():
            print(f"  {name:24} chosen {count:3} of {of:3}")
        for judge, (agreed, of) in sorted(found["agreement"].items(), key=lambda x: -x[1][0]):
            coin = by_chance(agreed, of)
            print(f"  {judge:24} agrees {agreed:3} of {of:3}  {agreed / of:4.0%}  coin {coin:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    a = commands.add_parser("make")
    a.add_argument("table", type=Path)
    a.add_argument("folders", type=Path, nargs="+")
    a.add_argument("--out", type=Path, required=True)
    a.add_argument("--count", type=int)
    a.add_argument("--seed", type=int, default=0)
    a = commands.add_parser("tally")
    a.add_argument("choices", type=Path)
    a.add_argument("answers", type=Path)
    a.add_argument("--numbers", type=Path, required=True)
    a.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.command == "make":
        make(given.table, given.folders, given.out, given.count, given.seed)
        return
    report = tally(given.choices, given.answers, given.numbers)
    tell(report)
    if given.out:
        given.out.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
