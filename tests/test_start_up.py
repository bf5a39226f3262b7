"""What a training need not wait for is not imported before it."""

import subprocess
import sys

# Each takes 0.03 to 0.4 s; together as long as all that a training does import.
LATER = (
    "diffrax",
    "matplotlib",
    "requests",
    "scipy.io",
    "scipy.ndimage",
    "scipy.optimize",
    "sklearn",
)


def test_training_imports_only_what_its_first_step_needs():
    program = (
        "import sys, hsijax.experiments.train\n"
        f"print(*(name for name in {LATER} if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == []
