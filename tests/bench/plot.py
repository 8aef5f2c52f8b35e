# SPDX-License-Identifier: BSD-2-Clause
"""The rows of a bench as a picture: bars with a mark where each target is. SVG
by hand, in colours for light and for dark pages."""

from html import escape

from tests.bench.rows import shown

WIDTH = 880
LEFT, RIGHT = 345, 195          # for what is measured, and what came out
BAR, STEP = 16, 27
ROOM = WIDTH - LEFT - RIGHT
# Those that say how many times as much as HAProxy; in this order.
RELAYS = ("new", "proxy", "xclient", "kept", "starttls")
PEERS = ("peer-milters", "peer-rspamd")

# class: property, colour on a light page, on a dark one. No variables: not all
# that show SVG know them.
COLOURS = {
    "text": ("fill", "#1c2330", "#e6eaf1"),
    ".faint": ("fill", "#6a7382", "#97a1b2"),
    ".paper": ("fill", "#ffffff", "#11161f"),
    ".edge": ("stroke", "#d9dee6", "#2c3544"),
    ".met": ("fill", "#2f855a", "#48a97c"),
    ".missed": ("fill", "#c05621", "#e08a4f"),
    ".plain": ("fill", "#64748b", "#7b8aa3"),
    ".trough": ("fill", "#eef1f5", "#1d2430"),
    ".mark": ("stroke", "#1c2330", "#f4f6fa"),
    ".one": ("stroke", "#6a7382", "#97a1b2"),
}
STYLE = """
text { font: 13px system-ui, "Segoe UI", sans-serif; }
text.title { font-size: 17px; font-weight: 600; }
text.head { font-weight: 600; }
text.faint { font-size: 12px; }
text.what { text-anchor: end; }
.mark { stroke-width: 2.5; }
.one { stroke-dasharray: 2 3; }
"""


def _colours(which):
    return "\n".join(f"{name} {{ {row[0]}: {row[which]}; }}"
                     for name, row in COLOURS.items())


def _style():
    return (f"{_colours(1)}{STYLE}@media (prefers-color-scheme: dark) {{\n"
            f"{_colours(2)}\n}}")


class Picture:
    """Elements from top to bottom."""

    def __init__(self):
        self.parts, self.y = [], 0

    def add(self, element):
        self.parts.append(element)

    def text(self, x, words, kind="", down=0):
        self.add(f'<text x="{x}" y="{self.y + down:.0f}" class="{kind}">'
                 f"{escape(words)}</text>")

    def line(self, x, top, bottom, kind):
        self.add(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" '
                 f'y2="{bottom:.1f}" class="{kind}"/>')

    def box(self, x, width, kind):
        self.add(f'<rect x="{x}" y="{self.y}" width="{width:.1f}" '
                 f'height="{BAR}" rx="3" class="{kind}"/>')

    def bar(self, what, share, kind, said, target=None):
        """share and target: of the room."""
        self.text(LEFT - 12, what, "what", BAR - 3)
        self.box(LEFT, ROOM, "trough")
        self.box(LEFT, max(2, min(1, share) * ROOM), kind)
        if target is not None:
            self.line(LEFT + target * ROOM, self.y - 3, self.y + BAR + 3,
                      "mark")
        self.text(LEFT + ROOM + 12, said, "", BAR - 3)
        self.y += STEP

    def head(self, words, more):
        self.y += 26
        self.text(28, words, "head")
        self.y += 17
        self.text(28, more, "faint")
        self.y += 13

    def __str__(self):
        height = self.y + 16
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
            f'height="{height}" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<style>{_style()}</style>",
            f'<rect x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" '
            'rx="8" class="paper edge"/>', *self.parts, "</svg>", ""])


def _kind(row):
    return {True: "met", False: "missed", None: "plain"}[row.is_met]


def _said(row):
    if row.target is None:
        return shown(row.value, row.unit)
    return (f"{shown(row.value, row.unit)}  (target "
            f"{shown(row.target, row.unit).split()[0]})")


def _of_haproxy(picture, rows):
    """Bars of ratios, all on one scale, with HAProxy's at 1."""
    rows = [rows[name] for name in RELAYS if name in rows]
    if not rows:
        return
    most = 1.08 * max(max(row.value, row.target) for row in rows)
    picture.head("CPU time per message, in HAProxy's",
                 "full DMARC, one RSA-2048 signature, verdict line; HAProxy "
                 "relays the same octets and looks at nothing")
    top = picture.y
    for row in rows:
        picture.bar(row.what, row.value / most, _kind(row), _said(row),
                    row.target / most)
    picture.line(LEFT + ROOM / most, top - 5, picture.y - STEP + BAR + 5,
                 "one")
    picture.text(LEFT + ROOM / most - 26, "HAProxy", "faint", 4)
    picture.y += 12


def _of_targets(picture, rows):
    """All others by the share of their target, which is one line."""
    rows = [row for row in rows.values()
            if row.target is not None and row.name not in RELAYS]
    if not rows:
        return
    most = min(3.0, 1.15 * max(max(row.value / row.target for row in rows), 1))
    picture.head("What else has a target",
                 "each on a scale of its own; the mark is the target, up to "
                 "which it may reach")
    for row in rows:
        picture.bar(row.what, max(0, row.value / row.target / most),
                    _kind(row), _said(row), 1 / most)


def _of_peers(picture, rows):
    """CPU-ms beside those who do the same job."""
    bars = [(rows[name].what, rows[name].value, "plain")
            for name in PEERS if name in rows and rows[name].value]
    if not bars or "new" not in rows:
        return
    cpu = rows["new"].detail["cpu_ms"]
    bars = [("HAProxy, checks nothing", cpu["HAProxy"], "plain"),
            ("dmarcgate", cpu["dmarcgate"], "met"), *bars]
    most = 1.05 * max(value for _, value, _ in bars)
    picture.head("CPU time of a 10 KB message, new connection each",
                 "in the same run; Postfix's own work of taking and handing on "
                 "a message is in its bars")
    for what, value, kind in bars:
        picture.bar(what, value / most, kind, f"{value:.3f} ms")


def write(path, rows, machine):
    """rows: of the bench; machine: what it ran on."""
    rows = {row.name: row for row in rows}
    picture = Picture()
    picture.y = 34
    picture.text(28, "What a message costs", "title")
    picture.y += 19
    picture.text(28, f"{machine['date'][:10]}, {machine['cpus']} CPUs "
                 f"({machine['cpu']}), Linux {machine['kernel']}, commit "
                 f"{machine['commit']}; green: target met", "faint")
    _of_haproxy(picture, rows)
    _of_targets(picture, rows)
    _of_peers(picture, rows)
    path.write_text(str(picture), "utf-8")
