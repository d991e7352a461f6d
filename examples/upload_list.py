"""What another platform wants to know of each video, as CSV: from the archive's files alone.

Needs Python, and neither archiver nor the account: ``python3 upload_list.py /srv/videos``.
"""

import csv
import json
import sys
from pathlib import Path

COLUMNS = ("file", "title", "description", "date", "captions", "picture", "old", "new_address")


def latest(folder: Path) -> dict[str, Path]:
    """The newest of each kind of file, by its ending: of ``en-00.vtt``, perhaps the second."""
    found = sorted(folder.iterdir(), key=lambda path: (len(path.name), path.name))
    return {path.name.rpartition("]")[2].partition(".")[2]: path for path in found}


def main(archive: Path) -> None:
    with (archive / "inventory.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["version"]))
    out = csv.writer(sys.stdout)
    out.writerow(COLUMNS)
    for row in {row["id"]: row for row in rows}.values():  # the last version of each
        files = latest((archive / row["path"]).parent)
        info = json.loads(files["info.json"].read_text(encoding="utf-8"))
        captions = [files[ending].name for ending in files if ending.endswith("vtt")]
        pictures = [files[ending].name for ending in ("jpg", "png", "webp") if ending in files]
        out.writerow([
            row["path"], info["title"], info["description"] or "", info["upload_date"],
            " | ".join(captions), " | ".join(pictures), row["address"], "",
        ])  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
