"""What the tables of an unmixing run say, as text.

Each function takes the contents of `metrics.json`. Beside the figures of the method
stand those of trivial baselines, and beneath them where the reference comes from.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hsijax.reports.tables import format_count, format_share

Metrics = Mapping[str, Any]
Figures = Mapping[str, Any]  # RMSE of each endmember, SUMMARIES

SUMMARIES = {
    "sum": "sum of RMSE",
    "overall": "overall RMSE",
    "mean_per_pixel": "mean RMSE per pixel",
    "rms_aad": "rmsAAD (rad)",
}
HASH_DIGITS = 16  # of a sha256 that are printed; the CSV has all


def header(metrics: Metrics) -> tuple[str, ...]:
    """Return the names of the columns of `endmember_rows`."""
    names = [f"{name} split" for name in metrics["splits"]]
    names += [str(metrics["evaluated_on"])] if whole_figures(metrics) else []
    names += ["SAD (rad)"] if metrics["sad"] else []
    return ("RMSE", *names)


def endmember_rows(metrics: Metrics) -> list[tuple[str, ...]]:
    """Return RMSE by endmember, its three summaries, rmsAAD, and the controls' sums.

    There is a column for each way of splitting; there are no rows where there is no
    reference to measure with.
    """
    splits = list(metrics["splits"].values())
    columns = [format_figures(split["mean"], split["std"]) for split in splits]
    for column, split in zip(columns, splits, strict=True):
        for name, control in split["controls"].items():
            figures = format_figures(control["mean"], control["std"])
            column[f"control: {name}, sum"] = figures[SUMMARIES["sum"]]
    if whole := whole_figures(metrics):
        columns.append(format_figures(whole, None))
    if metrics["sad"]:
        spread = metrics["sad"].get("std") or {}
        columns.append(
            {
                name: _plus_minus(angle, spread.get("per_endmember", {}).get(name))
                for name, angle in metrics["sad"]["per_endmember"].items()
            }
        )
    # In the order of the first column that has them.
    names = dict.fromkeys(name for column in columns for name in column)
    return [(name, *(column.get(name, "-") for column in columns)) for name in names]


def summary_rows(metrics: Metrics) -> list[tuple[str, str]]:
    """Return name and value of everything else, ready to be printed."""
    rows = [("scene", metrics["scene"])]
    recipe = f", preset {metrics['preset']}" if metrics["trained_on"] else ""
    rows += [("method", f"{metrics['model']}{recipe}")]
    origin = metrics.get("endmembers_from") or ", ".join(metrics["endmembers"])
    rows += [("endmembers", origin)]
    learned = learned_from_splits(metrics)
    for name, split in metrics["splits"].items():
        counts = [format_count(split[key]) for key in ("n_train", "n_test")]
        if learned:
            rows.append((f"training / test pixels, {name} split", " / ".join(counts)))
        else:
            rows.append((f"test pixels, {name} split", counts[1]))
    for key, figure, name in (
        ("sad", "mean", "mean SAD (rad)"),
        ("held_out_mixtures", "sum", "sum of RMSE, simulated mixtures held out"),
    ):
        if found := metrics.get(key):
            spread = found.get("std") or {}
            rows.append((name, _plus_minus(found[figure], spread.get(figure))))
    if metrics["reconstruction"]:
        for key, name in {"rmse": "RMSE", "angle": "spectral angle (rad)"}.items():
            value = metrics["reconstruction"][key]
            rows.append((f"{name} of the reconstruction", f"{value:.4g}"))
    if metrics["kkt"] is not None:
        rows.append(("largest KKT violation", f"{metrics['kkt']:.1e}"))
    if metrics["condition"] is not None:
        rows.append(("condition number", f"{metrics['condition']:.4g}"))
    if metrics["parameters"] is not None:
        rows.append(("parameters", f"{metrics['parameters']:,}"))
    if metrics["negative_share"] is not None:
        rows.append(("negative abundances", format_share(metrics["negative_share"])))
    for name, split in metrics["splits"].items() if learned else ():
        spent = split["seconds"]
        words = f"{spent['train']:.1f} / {spent['predict']:.2f}"
        rows.append((f"seconds to train / predict, {name} split", words))
    for name, seconds in (metrics["seconds"] or {}).items():
        rows.append((f"seconds to {name}", f"{seconds:.2f}"))
    return rows


def notes(metrics: Metrics) -> list[str]:
    """Return the sentences that must stand beside the figures."""
    lines = []
    if metrics["simulated"]:
        lines.append(_sentence(metrics["simulated"]))
    if metrics["trained_on"]:
        lines.append(_sentence(f"trained on {metrics['trained_on']}"))
    if runs := count_runs(metrics):
        lines.append(
            f"Mean ± standard deviation over {runs} runs (ddof 0)."
            if runs > 1
            else "One run: no standard deviation."
        )
    if metrics.get("matched"):
        lines.append(_sentence(f"endmembers {metrics['matched']}"))
    lines += [_sentence(note) for note in metrics.get("notes", ())]
    if truth := metrics["ground_truth"]:
        lines += _describe_truth(truth)
    if not learned_from_splits(metrics):
        return lines
    for name, split in metrics["splits"].items():
        inside, overlap = (
            format_share(split["leakage"][key])
            for key in ("test_with_train_centre", "test_patch_overlap")
        )
        lines.append(
            f"{name} split: {inside} of the test patches have a training pixel inside, "
            f"{overlap} overlap a training patch."
        )
    return lines


def format_figures(mean: Figures, std: Figures | None) -> dict[str, str]:
    """Return each figure by its name in a table, with its deviation if there is one.

    >>> means = {"per_endmember": {"Tree": 0.01714}, "sum": 0.01714}
    >>> format_figures(means, {"per_endmember": {"Tree": 0.002}, "sum": 0.002})
    {'Tree': '0.0171 ± 0.0020', 'sum of RMSE': '0.0171 ± 0.0020'}
    """
    means, deviations = name_figures(mean), name_figures(std) if std else {}
    return {
        name: _plus_minus(value, deviations.get(name)) for name, value in means.items()
    }


def name_figures(figures: Figures) -> dict[str, int | float]:
    """Return RMSE by endmember and what sums them up in one dictionary."""
    sums = {name: figures[key] for key, name in SUMMARIES.items() if key in figures}
    return dict(figures["per_endmember"]) | sums


def whole_figures(metrics: Metrics) -> Figures | None:
    """Return the figures of the whole scene, if they repeat no split's."""
    rmse = metrics["rmse"]
    columns = metrics["splits"].values()
    if rmse is None or any(split["mean"]["sum"] == rmse["sum"] for split in columns):
        return None
    return {**rmse, "rms_aad": metrics["rms_aad"]}


def learned_from_splits(metrics: Metrics) -> bool:
    """Whether the method was shown the training pixels, not mixtures or nothing."""
    return bool(metrics["trained_on"]) and not metrics.get("held_out_mixtures")


def count_runs(metrics: Metrics) -> int:
    """Return how many runs each mean is of; 0 where nothing was measured."""
    return max((len(s["values"]) for s in metrics["splits"].values()), default=0)


def _plus_minus(value: float, deviation: float | None) -> str:
    spread = "" if deviation is None else f" ± {deviation:.4f}"
    return f"{value:.4f}{spread}"


def _describe_truth(truth: Mapping[str, Any]) -> list[str]:
    """Say which file is the reference, how it was read, and what it may be made of."""
    where = Path(truth["path"]).name if truth["path"] else "made with the scene"
    digest = truth["sha256"]
    words = [where, f"sha256 {digest[:HASH_DIGITS]}…"] if digest else [where]
    words += [truth["order"]] if truth["order"] else []
    lines = [_sentence(f"reference: {', '.join(words)}")]
    provenance = truth.get("provenance")
    if provenance:
        lines.append(_sentence(f"provenance: {provenance['verdict']}"))
        errors = provenance["errors"].items()
        listed = "; ".join(f"{formula} {error:.4f}" for formula, error in errors)
        lines.append(f"RMSE of the reference to known formulas: {listed}.")
    return lines


def _sentence(text: str) -> str:
    """Begin with a capital letter and end with a full stop.

    >>> _sentence("simulated scene")
    'Simulated scene.'
    """
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
