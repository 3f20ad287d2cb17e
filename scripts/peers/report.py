"""What a run of `bench-peers` leaves behind: a table for people, a CSV, a plot."""

import csv as csv_format
import dataclasses
import io


@dataclasses.dataclass
class Machine:
    cpu: str
    isa: str
    threads: int
    shape: str


@dataclasses.dataclass
class Row:
    """Rates in tokens per second."""

    type: str
    test: str
    isa: str
    wick: float
    llama: float
    candle: float | None
    # Bytes read per second while decoding, of what the machine reads in the same run.
    read_share: float | None
    # Resident memory at the end, of the file's size.
    resident_share: float
    load_seconds: float

    @property
    def ratio(self):
        return self.wick / self.llama


def table(machine, rows):
    lines = [
        f"{machine.shape} shape, {machine.threads} threads, {machine.cpu}, {machine.isa}; tokens per second, medians",
        "",
        "| | wick | llama.cpp | ratio | candle | of read rate |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        candle = f"{row.candle:.0f}" if row.candle else ""
        share = f"{row.read_share:.0%}" if row.read_share else ""
        lines.append(f"| {row.type}, {row.test} | {row.wick:.0f} | {row.llama:.0f} | {row.ratio:.2f} | {candle} | {share} |")
    return "\n".join(lines)


def csv(machine, rows):
    text = io.StringIO()
    writer = csv_format.writer(text, lineterminator="\n")
    names = [field.name for field in dataclasses.fields(Row) if field.name != "isa"]
    writer.writerow(["cpu", "isa", "threads", "shape", *names, "ratio"])
    for row in rows:
        values = [getattr(row, name) for name in names] + [row.ratio]
        machine_values = [machine.cpu, machine.isa, machine.threads, machine.shape]
        writer.writerow(machine_values + [round(v, 3) if isinstance(v, float) else v for v in values])
    return text.getvalue()


BAR, GAP, LEFT, WIDTH, TOP = 16, 6, 220, 720, 56


def plot(machine, rows):
    """Bars of wick's rate over llama.cpp's; a line where both are equal."""
    most = max(row.ratio for row in rows) * 1.12
    scale = (WIDTH - LEFT - 60) / most
    height = TOP + len(rows) * (BAR + GAP) + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="20" font-size="14" fill="#222222">Tokens per second, llama.cpp = 1</text>',
        f'<text x="12" y="38" fill="#555555">{machine.shape} shape, {machine.threads} threads, {escape(machine.cpu)}, {machine.isa}</text>',
    ]
    for index, row in enumerate(rows):
        y = TOP + index * (BAR + GAP)
        length = row.ratio * scale
        colour = "#2f6f4f" if row.ratio >= 1 else "#b3542d"
        parts.append(f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end" fill="#222222">{row.type}, {row.test}</text>')
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + length + 6:.1f}" y="{y + 12}" fill="#222222">{row.ratio:.2f}</text>')
    x, bottom = LEFT + scale, height - 20
    parts.append(f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{bottom}" stroke="#222222" stroke-dasharray="4 3"/>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")
