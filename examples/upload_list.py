"""What another platform wants to know of each video, as CSV: from the archive's files alone.

Needs Python, and neither archiver nor the account: ``python3 upload_list.py /srv/videos``.
"""

import csv
import json
import sys
from pathlib import Path

COLUMNS = ("file", "title", "description", "date", "captions", "picture", "old", "new_address")


def latest(folder: Path, pattern: str) -> dict[str, Path]:
    """The newest revision of each kind of file: ``en-00.vtt`` to ``... r2.en-00.vtt``."""
    found = sorted(folder.glob(pattern), key=lambda path: (len(path.name), path.name))
    return {path.name.rpartition("]")[2].partition(".")[2]: path for path in found}


def main(archive: Path) -> None:
    with (archive / "inventory.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["version"]))
    out = csv.writer(sys.stdout)
    out.writerow(COLUMNS)
    for row in {row["id"]: row for row in rows}.values():  # the last version of each
        path = archive / row["path"]
        info = json.loads(path.with_suffix(".info.json").read_text(encoding="utf-8"))
        captions, pictures = latest(path.parent, "*.vtt"), latest(path.parent, "*.[jp][pn]g")
        out.writerow([
            row["path"], info["title"], info["description"] or "", info["upload_date"],
            " ".join(each.name for each in captions.values()),
            " ".join(each.name for each in pictures.values()), row["address"], "",
        ])  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
