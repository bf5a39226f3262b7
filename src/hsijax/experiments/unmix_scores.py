"""The figures of an unmixing run, and `metrics.json` from its artefacts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hsijax.experiments.unmix_endmembers import number_endmembers
from hsijax.experiments.unmix_task import UnmixTask
from hsijax.metrics.unmixing import abundance_errors, rms_aad, spectral_angle
from hsijax.runs import Run, summarise
from hsijax.scenes.reference import Reference
from hsijax.unmixing.estimate import Estimate
from hsijax.unmixing.matching import match_abundances, match_spectra

Figures = dict[str, Any]


def figures_of(
    estimated: Float[np.ndarray, "pixels endmembers"],
    truth: Float[np.ndarray, "pixels endmembers"],
    names: Sequence[str],
) -> Figures:
    """Return RMSE under its four names and rmsAAD, ready for JSON."""
    errors = abundance_errors(estimated, truth)
    per_endmember = dict(zip(names, errors.per_endmember.tolist(), strict=True))
    return {
        "per_endmember": per_endmember,
        "sum": errors.sum,
        "overall": errors.overall,
        "mean_per_pixel": errors.mean_per_pixel,
        "rms_aad": rms_aad(estimated, truth),
    }


def align(
    estimate: Estimate,
    reference: Reference,
    truth: Float[np.ndarray, "pixels endmembers"],
) -> tuple[Int[np.ndarray, " endmembers"] | None, str]:
    """Say which material is which of the reference's, and how that was found.

    Equal names decide; else the spectral angles, else the abundances themselves. What
    these would say where the angles decide is said too. None where the numbers differ.
    """
    named = {name.lower(): index for index, name in enumerate(estimate.names)}
    wanted = [name.lower() for name in reference.names]
    if len(named) == len(wanted) and set(named) == set(wanted):
        return np.array([named[name] for name in wanted]), "matched by name"
    if len(named) != len(wanted):
        return None, (
            f"{len(named)} materials are not compared with the reference's "
            f"{len(wanted)}"
        )
    explained = ~np.isnan(estimate.abundances).any(axis=1)
    by_abundances = match_abundances(estimate.abundances[explained], truth[explained])
    if estimate.endmembers is None or reference.endmembers is None:
        return by_abundances, "matched by abundances"
    order = match_spectra(estimate.endmembers.spectra, reference.endmembers.spectra)
    if (order == by_abundances).all():
        return order, "matched by spectral angle; by abundances it is the same"
    other = estimate.abundances[explained][:, by_abundances]
    errors = abundance_errors(other, truth[explained])
    return order, (
        "matched by spectral angle; by abundances it would be another match, with a "
        f"sum of RMSE of {errors.sum:.4f} over all pixels"
    )


def reorder(
    estimate: Estimate, order: Int[np.ndarray, " endmembers"], names: Sequence[str]
) -> Estimate:
    """Put the materials into the reference's order and under its names.

    A spectrum whose own name is another keeps it, in brackets.
    """
    if estimate.names == tuple(names) and (np.diff(order) == 1).all():
        return estimate
    library, deviations = estimate.endmembers, estimate.deviations
    if library is not None:
        own = [library.names[number] for number in order]
        numbered = number_endmembers(len(own))
        library = replace(
            library,
            names=tuple(
                name
                if found in numbered or found.casefold() == name.casefold()
                else f"{name} ({found})"
                for name, found in zip(names, own, strict=True)
            ),
            spectra=library.spectra[order],
            pixels=None if library.pixels is None else library.pixels[order],
        )
    return replace(
        estimate,
        names=tuple(names),
        abundances=estimate.abundances[:, order],
        endmembers=library,
        deviations=None if deviations is None else deviations[:, order],
    )


def spectral_errors(estimate: Estimate, reference: Reference) -> Figures | None:
    """Return the spectral angle of each endmember to the reference's, radians.

    None where there is none to compare, or they are the reference's own.
    """
    if estimate.endmembers is None or reference.endmembers is None:
        return None
    if np.array_equal(estimate.endmembers.spectra, reference.endmembers.spectra):
        return None
    angles = spectral_angle(estimate.endmembers.spectra, reference.endmembers.spectra)
    return {
        "per_endmember": dict(zip(reference.names, angles.tolist(), strict=True)),
        "mean": float(angles.mean()),
    }


def collect_metrics(run: Run, task: UnmixTask, whole: Estimate) -> dict[str, Any]:
    """Work out `metrics.json` and write it.

    Args:
        run: its predictions and manifest hold the figures of each training.
        task: what was unmixed.
        whole: abundances of all valid pixels, from the first training.
    """
    manifest, predictions = run.read_manifest(), run.read_predictions()
    reference, config = task.reference, task.config
    splits = {
        method: _column(manifest, predictions, numbers, whole.names, run)
        for method, numbers in task.columns.items()
        if f"run{numbers[0]}_truth" in predictions
    }
    top, evaluated_on = _headline(task, whole, splits)
    metrics = {
        "task": "unmixing",
        "scene": task.data.scene.name,
        "model": config.model,
        "preset": config.preset,
        "simulated": task.data.simulated,
        "trained_on": manifest.get("trained_on", ""),
        "endmembers": list(whole.names),
        "endmembers_from": task.origin,
        "matched": manifest.get("matched", ""),
        "rmse": {k: top[k] for k in top if k != "rms_aad"} if top else None,
        "rms_aad": top["rms_aad"] if top else None,
        "sad": _with_deviation(manifest.get("sad")),
        "evaluated_on": evaluated_on,
        "splits": splits,
        "held_out_mixtures": _with_deviation(manifest.get("held_out_mixtures")),
        "ground_truth": None,
        "reconstruction": None,
        "kkt": None if whole.kkt is None else float(np.nanmax(whole.kkt)),
        "condition": _finite(whole.condition),
        "parameters": whole.parameters,
        "negative_share": float(np.mean(whole.abundances < 0)),
        "pixels": len(whole.abundances),
        "pixels_without_model": int(np.isnan(whole.abundances).any(axis=1).sum()),
        "seconds": manifest.get("seconds"),
        "notes": list(whole.notes),
        **whole.details,
    }
    if reference is not None:
        truth = manifest["ground_truth"]
        metrics["ground_truth"] = {
            name: truth.get(name) for name in ("path", "sha256", "order", "provenance")
        }
    if whole.rmse is not None and whole.angle is not None:
        metrics["reconstruction"] = {
            "rmse": float(np.sqrt(np.nanmean(whole.rmse**2))),
            "angle": float(np.nanmean(whole.angle)),
        }
    run.write_metrics(metrics)
    return metrics


def _with_deviation(by_run: Mapping[str, Figures] | None) -> Figures | None:
    """Return means over the runs, and their standard deviations under "std"."""
    if not by_run:
        return None
    mean, std = over_runs(list(by_run.values()))
    return {**mean, "std": std}


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


def _headline(
    task: UnmixTask, whole: Estimate, splits: dict[str, Any]
) -> tuple[Figures | None, str]:
    """Return the figures that stand for the run, and what they were measured on."""
    reference = task.reference
    if reference is None or whole.names != reference.names:
        return None, ""
    if not task.learns_from_reference:
        explained = ~np.isnan(whole.abundances).any(axis=1)
        truth = reference.abundances[task.data.valid][explained]
        left = np.count_nonzero(~explained)
        pixels = f"all pixels but {left:,} without a model" if left else "all pixels"
        pixels += ", run 1" if task.by_chance and task.config.runs > 1 else ""
        return figures_of(whole.abundances[explained], truth, whole.names), pixels
    method = next(iter(splits))
    return splits[method]["mean"], f"test pixels of the {method} split"


def _column(
    manifest: dict[str, Any],
    predictions: dict[str, np.ndarray],
    numbers: Sequence[int],
    names: Sequence[str],
    run: Run,
) -> dict[str, Any]:
    """Return what a table says of one way of splitting."""
    values = [
        figures_of(
            predictions[f"run{number}_predicted"],
            predictions[f"run{number}_truth"],
            names,
        )
        for number in numbers
    ]
    mean, std = over_runs(values)
    described = [manifest["splits"][number] for number in numbers]
    seconds = np.mean([predictions[f"run{n}_seconds"] for n in numbers], axis=0)
    controls = [manifest.get("controls", {}).get(str(n), {}) for n in numbers]
    return {
        **{
            name: float(np.mean([entry[name] for entry in described]))
            for name in ("n_train", "n_validation", "n_test")
        },
        "leakage": {
            name: float(np.mean([entry["leakage"][name] for entry in described]))
            for name in ("test_with_train_centre", "test_patch_overlap")
        },
        "mean": mean,
        "std": std,
        "values": values,
        "controls": {
            name: dict(
                zip(
                    ("mean", "std"),
                    over_runs([control[name] for control in controls]),
                    strict=True,
                )
            )
            for name in controls[0]
        },
        "seconds": dict(zip(("train", "predict"), seconds.tolist(), strict=True)),
    }


def over_runs(values: Sequence[Figures]) -> tuple[Figures, Figures | None]:
    """Return mean and population standard deviation of each figure over runs.

    >>> over_runs([{"sum": 1.0}, {"sum": 3.0}])
    ({'sum': 2.0}, {'sum': 1.0})
    """
    summaries = {
        name: over_runs([v[name] for v in values])
        if isinstance(values[0][name], dict)
        else tuple(summarise([v[name] for v in values]).values())
        for name in values[0]
    }
    mean = {name: summary[0] for name, summary in summaries.items()}
    if len(values) < 2:
        return mean, None
    return mean, {name: summary[1] for name, summary in summaries.items()}
