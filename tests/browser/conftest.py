"""A headless Chromium, and pages to look at."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from playwright.sync_api import (  # pyright: ignore[reportMissingImports]
    Browser,
    Page,
    sync_playwright,
)

import liftax
from liftax._commands import train
from liftax._report import Report
from liftax.affine import Dense
from liftax.experiments import experiment, reproduce
from liftax.experiments._pictures import comparison
from liftax.importing import save_network
from liftax.inversion import invert_file
from liftax.networks import chain

ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium if it is there, else the one that playwright installs."""
    path = shutil.which("chromium")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=ARGUMENTS.split())
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that must say nothing on the console, fail at nothing, and ask nobody outside."""
    found = browser.new_page(viewport={"width": 900, "height": 800})
    wrong: list[str] = []
    found.on("console", lambda message: wrong.append(message.text))
    found.on("pageerror", lambda error: wrong.append(str(error)))
    found.on("requestfailed", lambda request: wrong.append(request.url))
    allowed = ("file:", "data:", "http://127.0.0.1:")
    found.on("request", lambda r: None if r.url.startswith(allowed) else wrong.append(r.url))
    yield found
    found.close()
    assert wrong == []


SETTINGS = """
[data]
name = "digits"
samples = 200
targets = "inputs"
noise = 0.1
[network]
kind = "autoencoder"
hidden = [32, 16, 32]
[training]
epochs = 4
batch_size = 50
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of the three commands that write pages: trained, inverted, reproduced."""
    base = tmp_path_factory.mktemp("pages")
    with jax.numpy_dtype_promotion("standard"):
        (base / "c.toml").write_text(SETTINGS)
        train(base / "c.toml", base / "trained", progress=False)
        reproduce(experiment("step-size-stability"), base / "reproduced", quick=True, seeds=(0, 1))
    pictures = liftax.data.load("digits").test.x[:3].reshape(-1, 8, 8, 1)
    network = chain((8, 8, 1), [(Dense(80), "relu")])
    params = network.init(jax.random.key(0), np.float32)
    save_network(base / "net.safetensors", network, params)
    np.save(base / "x.npy", pictures)
    np.save(base / "y.npy", np.asarray(network(params, jnp.asarray(pictures))))
    invert_file(
        *(base / "net.safetensors", base / "y.npy", base / "inverted"),
        *("tv", "0.001,0.01,0.1"),
        original=base / "x.npy",
    )
    noisy = np.load(base / "y.npy") + 0.05 * np.random.default_rng(0).normal(size=(3, 80))
    np.save(base / "noisy.npy", np.maximum(noisy, 0).astype(np.float32))
    given = (base / "net.safetensors", base / "noisy.npy")
    invert_file(*given, base / "chosen", noise=0.05, original=base / "x.npy")
    report, large = Report("Methods", "side by side"), np.kron(pictures, np.ones((1, 16, 16, 1)))
    (base / "compared").mkdir()
    comparison(report, {"truth": large, "noisy": large / 2, "restored": large**2}, "squares")
    report.save(base / "compared" / "report.html")
    return base
