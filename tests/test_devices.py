import os
import stat
import subprocess
import sys
from types import SimpleNamespace

import jax
import pytest

from hsijax import devices
from hsijax.errors import HsijaxError, UsageError


@pytest.fixture
def settings(monkeypatch):
    """Put jax's settings back afterwards."""
    names = (
        "jax_default_device",
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
    )
    before = {name: jax.config.values[name] for name in names}
    yield lambda name: jax.config.values[name]
    for name, value in before.items():
        jax.config.update(name, value)


def run_fresh(code: str, **environment: str) -> subprocess.CompletedProcess:
    """Run code in a Python that has not imported jax yet."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_cpu_becomes_the_device_of_all_computation(settings):
    device = devices.select_device("cpu:0")
    assert device.platform == "cpu"
    assert settings("jax_default_device") == device
    assert devices.describe_devices() == "cpu"


def test_auto_leaves_the_choice_to_jax(settings):
    before = settings("jax_default_device")
    assert devices.select_device("auto") == jax.devices()[0]
    assert settings("jax_default_device") == before


@pytest.mark.parametrize("name", ["tpu", "gpu:", "gpu:x", "auto:1", "", "CPU"])
def test_unknown_name_is_a_usage_error(name):
    with pytest.raises(UsageError, match=f"no device '{name}'.*gpu:1"):
        devices.select_device(name)


def test_device_number_past_the_end_is_a_usage_error():
    count = len(jax.devices("cpu"))
    with pytest.raises(UsageError, match=f"the last one is cpu:{count - 1}"):
        devices.select_device(f"cpu:{count}")


def pretend_no_gpu(monkeypatch, plugins):
    def refuse(platform=None):
        raise RuntimeError(f"Unknown backend {platform}")

    monkeypatch.setattr(jax, "devices", refuse)
    monkeypatch.setattr(devices, "has_gpu_plugin", lambda extra: extra in plugins)


def test_gpu_without_plugin_says_what_to_install(monkeypatch):
    pretend_no_gpu(monkeypatch, plugins=())
    with pytest.raises(HsijaxError) as caught:
        devices.select_device("gpu")
    message = str(caught.value)
    assert caught.value.exit_code == 1
    assert "pip install 'hsijax[cuda12]' (NVIDIA driver >= 525)" in message
    assert "pip install 'hsijax[cuda13]' (NVIDIA driver >= 580)" in message


def test_gpu_with_plugin_but_without_driver_says_so(monkeypatch):
    pretend_no_gpu(monkeypatch, plugins=("cuda13",))
    with pytest.raises(HsijaxError, match=r"finds no GPU.*driver >= 580"):
        devices.select_device("gpu:1")


def test_platform_that_jax_cannot_set_up_is_an_error_of_one_line():
    code = (
        "from hsijax.devices import select_device\n"
        "from hsijax.errors import HsijaxError\n"
        "try: select_device('auto')\n"
        "except HsijaxError as error: print(error)"
    )
    done = run_fresh(code, JAX_PLATFORMS="nonsense")
    assert done.stdout.startswith("jax finds no device (JAX_PLATFORMS is 'nonsense')")
    assert done.returncode == 0


def test_cpu_is_set_before_jax_is_imported():
    code = (
        "import os, sys, hsijax.devices as d\n"
        "assert 'jax' not in sys.modules\n"
        "d.select_device('cpu'); print(os.environ['JAX_PLATFORMS'])"
    )
    assert run_fresh(code, JAX_PLATFORMS="").stdout == "cpu\n"


@pytest.mark.parametrize(
    ("name", "environment", "words"),
    [
        ("cpu", {}, "set JAX_NUM_PROCESSES and JAX_PROCESS_ID"),
        ("cpu", {"JAX_NUM_PROCESSES": "two"}, "'two'"),
        ("cpu:0", {}, "give --device cpu"),
    ],
)
def test_hosts_that_cannot_meet_are_an_error_of_one_line(
    monkeypatch, name, environment, words
):
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "127.0.0.1:1")
    for variable in ("JAX_NUM_PROCESSES", "JAX_PROCESS_ID"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)

    # As it does where it finds no SLURM; the suite's jax is at work already.
    def refuse(num_processes, process_id):
        assert (num_processes, process_id) == (None, None)
        raise ValueError("Number of processes must be defined.")

    monkeypatch.setattr(jax.distributed, "initialize", refuse)
    with pytest.raises(HsijaxError, match=words):
        devices.select_device(name, several_hosts=True)


def test_list_of_devices_names_what_device_takes(settings):
    listed = devices.list_devices()
    assert listed
    assert devices.select_device(listed[0].name) == jax.devices()[0]


def test_execution_is_decided_by_the_device_in_use(settings, monkeypatch):
    devices.select_device("cpu")
    assert devices.plan_execution() == devices.CPU
    gpu = SimpleNamespace(platform="gpu")
    monkeypatch.setattr(devices, "compute_devices", lambda: [gpu])
    assert devices.plan_execution() == devices.ACCELERATOR


def test_a_device_for_each_core_unless_one_is_selected():
    """Two cores, whatever this machine has, and no number in the environment."""
    code = (
        "import os; del os.environ['JAX_NUM_CPU_DEVICES']\n"
        "import hsijax.devices as d; d._count_cores = lambda: 2\n"
        "for name in ('cpu', 'auto', 'cpu:1'):\n"
        "    d.select_device(name); print([e.id for e in d.compute_devices()])"
    )
    done = run_fresh(code, JAX_NUM_CPU_DEVICES="1")
    assert done.stdout == "[0, 1]\n[0, 1]\n[1]\n", done.stderr


def test_number_of_devices_that_the_user_names_is_taken():
    code = (
        "import hsijax.devices as d; d._count_cores = lambda: 5\n"
        "d.select_device('cpu'); print(len(d.compute_devices()))"
    )
    assert run_fresh(code, JAX_NUM_CPU_DEVICES="3").stdout == "3\n"


def test_compilations_are_kept_in_a_folder_of_this_user(
    settings, tmp_path, monkeypatch
):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = devices.set_up_compilation_cache()
    assert folder
    assert folder.is_relative_to(tmp_path)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert settings("jax_compilation_cache_dir") == str(folder)
    assert settings("jax_persistent_cache_min_compile_time_secs") == 0
    assert settings("jax_persistent_cache_min_entry_size_bytes") == -1


def test_cache_that_the_user_names_is_taken(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "mine"))
    assert devices.set_up_compilation_cache() == tmp_path / "mine"
    assert settings("jax_compilation_cache_dir") == str(tmp_path / "mine")


def test_cache_that_cannot_be_made_is_done_without(
    settings, tmp_path, monkeypatch, caplog
):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with caplog.at_level("INFO", "hsijax"):
        assert devices.set_up_compilation_cache() is None
    assert "compiled programs are not kept" in caplog.text
