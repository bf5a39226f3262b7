"""Classifiers of single spectra from scikit-learn: SVM, random forest, neighbours."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array, Float, Int

from hsijax.classification.estimators import METHODS, Method
from hsijax.classification.tuning import Report, Settings, no_report
from hsijax.config import Progress, TrainConfig, no_progress
from hsijax.errors import HsijaxError, lookup
from hsijax.training.checkpoint import load_arrays

BLOCK = 4096  # pixels that are predicted at once

# How far the logit of a class without training pixels lies below all others.
UNSEEN = 10.0


@dataclass(frozen=True, eq=False)
class SpectralClassifier:
    """A classifier of single spectra: what it was fitted to, and its settings.

    What is kept is the preprocessed training pixels and the settings that were chosen,
    and not the estimator, which would be a pickle: it is fitted to them again when it
    is loaded, with the same outcome under the same version of scikit-learn.
    """

    config: TrainConfig
    spectra: Float[np.ndarray, "pixels channels"]
    labels: Int[np.ndarray, " pixels"]
    classes: int
    settings: Settings

    @classmethod
    def load(
        cls, path: Path, config: TrainConfig, classes: int
    ) -> "SpectralClassifier":
        """Read what `arrays` returned from a file, below `params/`, and fit it.

        Raises:
            HsijaxError: the file is damaged or of another kind of classifier.
        """
        arrays = load_arrays(path)
        prefix = "params/settings/"
        settings = {
            name.removeprefix(prefix): array.item()
            for name, array in arrays.items()
            if name.startswith(prefix)
        }
        try:
            spectra, labels = arrays["params/spectra"], arrays["params/labels"]
        except KeyError as error:
            raise HsijaxError(
                f"{path} holds no {config.model}: it has no {error.args[0]}"
            ) from error
        loaded = cls(config, spectra, labels, classes, settings)
        _ = loaded.estimator  # now, so that no prediction has to wait for it
        return loaded

    def arrays(self) -> Mapping[str, Any]:
        """Return what `load` reads."""
        settings = {name: np.asarray(value) for name, value in self.settings.items()}
        return {"spectra": self.spectra, "labels": self.labels, "settings": settings}

    @cached_property
    def estimator(self) -> Any:
        """The estimator of scikit-learn, fitted; its classes are the labels."""
        spectra = self.spectra.astype(np.float64)
        return self._method.fit(self.settings, spectra, self.labels)

    @property
    def parameters(self) -> int:
        """Number of stored values that decide.

        Of an SVM the support vectors, their coefficients and the intercepts; of a
        forest feature and threshold of each fork and the class of each leaf; of nearest
        neighbours all training spectra and their labels.
        """
        return self._method.count(self.estimator, self.spectra)

    def logits(
        self,
        padded: Float[Array, "padded_rows padded_cols channels"],
        pixels: Int[np.ndarray, "pixels 2"],
        progress: Progress = no_progress,
    ) -> Float[np.ndarray, "pixels classes"]:
        """Return scores of the classes at pixels of a prepared cube, block by block.

        The largest is that of the class which scikit-learn predicts. All are finite,
        those of classes without training pixels well below the others. They become
        probabilities only by a temperature that is fitted to validation pixels.
        """
        cube, margin, count = np.asarray(padded), self.config.patch // 2, len(pixels)
        found = np.empty((count, self.classes), np.float32)
        for start in range(0, count, BLOCK):
            block = slice(start, start + BLOCK)
            rows, cols = (pixels[block] + margin).T
            spectra = cube[rows, cols].astype(np.float64)
            scores = self._method.score(self.estimator, spectra)
            found[block] = scores.min(axis=1, keepdims=True) - UNSEEN
            found[block, self.estimator.classes_] = scores
            progress("predicting", min(start + BLOCK, count), count)
        return found

    @property
    def _method(self) -> Method:
        return lookup(METHODS, self.config.model, "classical model")


def fit_spectral(
    config: TrainConfig,
    spectra: Float[np.ndarray, "pixels channels"],
    labels: Int[np.ndarray, " pixels"],
    classes: int,
    seed: int,
    report: Report = no_report,
) -> tuple[SpectralClassifier, float | None]:
    """Choose the settings of a classifier by cross-validation, and fit it.

    Args:
        config: its `model` names one of `METHODS`.
        spectra: preprocessed, of the training pixels; no others are looked at.
        labels: 0 to `classes` - 1; two of them at least, not all, have pixels.
        classes: number of logits.
        seed: of the folds and of a forest; less than 2^32.
        report: told how far the search is.

    Returns:
        The classifier, and the accuracy (share of 1) of its settings on pixels that
        were held out; None where nothing was to choose.
    """
    method = lookup(METHODS, config.model, "classical model")
    settings, accuracy = method.choose(spectra.astype(np.float64), labels, seed, report)
    fitted = SpectralClassifier(config, spectra, labels, classes, settings)
    _ = fitted.estimator
    return fitted, accuracy
