#!/usr/bin/env python3
"""Draw how ReFusion decoding fills in an answer, from what `ingot generate --trace` wrote.

    ingot generate model.ingot --pairs samples/eval.json --limit 31 --slot-size 8 --blocks 1 \\
        --max-tokens 64 --trace trace.json
    python3 samples/pictures/draw_decoding.py trace.json samples/tiny-refusion decoding.svg --answer 30

One line a forward of the model, as far as the answer reaches. Needs nothing but Python.
"""

import argparse
import html
import json
import os

CHARACTER, LINE, LABEL, MARGIN = 8.4, 26, 90, 12
GAP, SLOT_GAP = 2, 8
#        background, text
STYLES = {
    "open": ("#eceff1", "#b0bec5"),     # not decided, not looked at
    "guess": ("#fff3c4", "#8a6d00"),    # a MASK went in: the draft that came out
    "check": ("#cfe3ff", "#0b4a91"),    # a draft went in: its probability came out
    "final": ("#d3f2d9", "#14532d"),    # committed: never computed again
}
LEGEND = {
    "open": "not decided", "guess": "drafted from a MASK", "check": "verified as text",
    "final": "final, never computed again",
}


def vocabulary(folder):
    """Token texts by id; byte-level BPE writes a space as Ġ and a line feed as Ċ."""
    texts = {}
    for name in ("vocab.json", "added_tokens.json"):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            texts.update({number: text for text, number in json.load(file).items()})
    return {n: t.replace("Ġ", "\u00a0").replace("Ċ", "↵").replace("<|im_end|>", "■")
            for n, t in texts.items()}


def steps(trace, mask):
    """Each forward's name, and what went in and came out at each position: {position: (in, out)}."""
    prompt, cache, checked = len(trace["prompt_ids"]), -1, False
    for forward in trace["forwards"]:
        rows = list(zip(forward["input_ids"], forward["position_ids"], forward["argmax"]))
        seen = {p: (t, a) for row in rows for t, p, a in zip(*row) if p >= prompt}
        masks = any(t == mask for t, _ in seen.values())
        whole = all(t == mask for t, _ in seen.values())
        infill = len(rows) > 1 or (masks and not whole) or (checked and forward["cache_length"] == cache)
        yield ("fill in" if infill else "plan") if masks else "verify", seen
        cache, checked = forward["cache_length"], not masks


def picture(trace, texts, mask):
    prompt = len(trace["prompt_ids"])
    output = trace["output_ids"][prompt:]
    places = range(prompt, prompt + len(output))
    forwards = list(steps(trace, mask))
    last = {p: max(i for i, (_, seen) in enumerate(forwards) if p in seen) for p in places}
    lines = []
    for index, (name, seen) in enumerate(forwards + [("answer", {})]):
        cells = []
        for p, token in zip(places, output):
            if cells and (p - prompt) % trace["slot_size"] == 0:
                cells.append((None, ""))
            if index > last[p]:
                cells.append(("final", texts[token]))
            elif p not in seen:
                cells.append(("open", "·" * len(texts[token])))
            elif seen[p][0] == mask:
                cells.append(("guess", texts[seen[p][1]]))
            else:
                cells.append(("check", texts[seen[p][0]]))
        label = name if name == "answer" else f"{index + 1}  {name}"
        lines.append((label, cells))
    return svg(lines)


def svg(lines):
    def wide(cells):
        return sum(len(text) * CHARACTER + GAP if style else SLOT_GAP for style, text in cells)

    legend = [cell for style, text in LEGEND.items()
              for cell in ((style, f"\u00a0{text}\u00a0"), (None, ""))]
    width = 2 * MARGIN + max(LABEL + max(wide(cells) for _, cells in lines), wide(legend))
    height = 2 * MARGIN + LINE * (len(lines) + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
        f'width="{width:.0f}" height="{height}" font-size="14" '
        'font-family="ui-monospace, DejaVu Sans Mono, Menlo, monospace">',
        f'<rect width="{width:.0f}" height="{height}" fill="#ffffff"/>',
    ]
    y = MARGIN

    def draw(x, cells):
        for style, text in cells:
            if style is None:
                x += SLOT_GAP
                continue
            background, color = STYLES[style]
            span = len(text) * CHARACTER
            parts.append(
                f'<rect x="{x:.1f}" y="{y + 2}" width="{span:.1f}" height="{LINE - 5}" rx="2" '
                f'fill="{background}"/><text x="{x:.1f}" y="{y + 17}" fill="{color}" '
                f'textLength="{span:.1f}">{html.escape(text)}</text>')
            x += span + GAP

    for label, cells in lines:
        parts.append(f'<text x="{MARGIN}" y="{y + 17}" fill="#37474f">{label}</text>')
        draw(MARGIN + LABEL, cells)
        y += LINE
    y += LINE // 2
    draw(MARGIN, legend)
    parts.append("</svg>\n")
    return "\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trace")
    parser.add_argument("checkpoint", help="folder with vocab.json, added_tokens.json, config.json")
    parser.add_argument("svg")
    parser.add_argument("--answer", type=int, default=0, help="which answer of the trace")
    arguments = parser.parse_args()
    with open(os.path.join(arguments.checkpoint, "config.json"), encoding="utf-8") as file:
        mask = json.load(file)["mask_token_id"]
    with open(arguments.trace, encoding="utf-8") as file:
        trace = json.load(file)["traces"][arguments.answer]
    with open(arguments.svg, "w", encoding="utf-8") as file:
        file.write(picture(trace, vocabulary(arguments.checkpoint), mask))


if __name__ == "__main__":
    main()
