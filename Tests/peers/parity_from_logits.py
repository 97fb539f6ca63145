#!/usr/bin/env python3
"""Derives a parity report's figures again, from dumped logits and in float64.

    Tests/peers/parity_from_logits.py FOLDER

FOLDER holds `report.json` (a parity report), `plans.json` and, for each plan, both models' logits
as little-endian f32, rows × vocabulary. A plan is
{"metric", "pair", "heads": [one a row], "targets": [one a row], "reference": FILE, "candidate": FILE}.

Shares no code with the report. Prints the largest difference per kind of figure. Exit status:
0 everything agrees to 1e-5, 1 something does not, 2 bad input.
"""

import json
import pathlib
import sys

import numpy

LIMIT = 1e-5


def log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - numpy.log(numpy.exp(shifted).sum(axis=1, keepdims=True))


def top(logits, count):
    """The most likely tokens, the lower id first among equals."""
    return numpy.argsort(-logits, axis=1, kind="stable")[:, :count]


def figures(plan, folder, vocabulary):
    """KL, NLL under both, top-1 and top-5 agreement at each row of a plan."""
    rows = len(plan["targets"])
    logits = [
        numpy.fromfile(folder / plan[side], dtype="<f4").reshape(rows, vocabulary).astype("f8")
        for side in ("reference", "candidate")
    ]
    log_p, log_q = (log_softmax(x) for x in logits)
    kl = (numpy.exp(log_p) * (log_p - log_q)).sum(axis=1)
    index = numpy.arange(rows)
    targets = numpy.array(plan["targets"])
    best_p, best_q = (top(x, 5) for x in logits)
    shared = [len(set(a) & set(b)) / 5 for a, b in zip(best_p.tolist(), best_q.tolist())]
    return {
        "kl": kl,
        "reference": -log_p[index, targets],
        "candidate": -log_q[index, targets],
        "top1": (best_p[:, 0] == best_q[:, 0]).astype("f8"),
        "top5": numpy.array(shared),
    }


class Agreement:
    """The largest difference seen, kind by kind."""

    def __init__(self):
        self.worst = {}

    def compare(self, kind, ours, theirs):
        difference = abs(float(ours) - float(theirs))
        # Written so that NaN does not agree.
        if not difference <= self.worst.get(kind, -1):
            self.worst[kind] = difference

    def report(self):
        for kind, difference in self.worst.items():
            print(f"{kind:24} {difference:.2e}")
        return all(difference <= LIMIT for difference in self.worst.values())


def by_head(plans):
    heads = {}
    for plan, values in plans:
        for row, head in enumerate(plan["heads"]):
            columns = heads.setdefault(head, {key: [] for key in values})
            for key in values:
                columns[key].append(values[key][row])
    return {
        head: {key: numpy.array(column) for key, column in columns.items()}
        for head, columns in heads.items()
    }


def compare_heads(report, plans, agreement):
    heads = by_head(plans)
    if set(heads) != set(report["heads"]):
        print(f"heads differ: {sorted(heads)} and {sorted(report['heads'])}")
        return False
    for head, columns in heads.items():
        found = report["heads"][head]
        if found["positions"] != len(columns["kl"]):
            print(f"{head}: {found['positions']} positions, {len(columns['kl'])} dumped")
            return False
        agreement.compare("mean KL", found["kl"]["mean"], columns["kl"].mean())
        agreement.compare("max KL", found["kl"]["max"], columns["kl"].max())
        for key, share in [
            ("median", 50), ("p90", 90), ("p95", 95), ("p99", 99), ("p999", 99.9),
        ]:
            agreement.compare("KL percentiles", found["kl"][key],
                              numpy.percentile(columns["kl"], share))
        agreement.compare("top-1 agreement", found["top1_agreement"], columns["top1"].mean())
        agreement.compare("top-5 agreement", found["top5_agreement"], columns["top5"].mean())
        agreement.compare("NLL reference", found["nll_reference"], columns["reference"].mean())
        agreement.compare("NLL candidate", found["nll_candidate"], columns["candidate"].mean())
        change = numpy.exp(-columns["candidate"]) - numpy.exp(-columns["reference"])
        agreement.compare("probability change", found["probability_change"], change.mean())
    return True


def compare_pairs(report, plans, agreement):
    pairs = {pair["index"]: pair for pair in report["pairs"]}
    for plan, values in plans:
        total = pairs[plan["pair"]]["likelihood"][plan["metric"]]
        for side in ("reference", "candidate"):
            agreement.compare(f"NLL of a pair, {side}", total[side] / total["weight"],
                              values[side].mean())


def main():
    folder = pathlib.Path(sys.argv[1])
    report = json.loads((folder / "report.json").read_text())
    dumped = json.loads((folder / "plans.json").read_text())
    plans = [(plan, figures(plan, folder, dumped["vocabulary"])) for plan in dumped["plans"]]
    agreement = Agreement()
    if not compare_heads(report, plans, agreement):
        return 1
    compare_pairs(report, plans, agreement)
    return 0 if agreement.report() else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__)
        sys.exit(2)
    sys.exit(main())
