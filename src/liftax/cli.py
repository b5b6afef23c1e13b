"""The command line: ``liftax``.

Exit codes: 0 done, 1 something is wrong with the installation (``liftax doctor``), 2 bad input (one
line says what to do), 130 interrupted.
"""

import contextlib
import importlib.metadata
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import tyro

Out = Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(runs/NAME)")]
Name = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME", help_behavior_hint="")]
Photo = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO")]
Sigma = Annotated[float | None, tyro.conf.arg(metavar="S", help_behavior_hint="(estimated)")]
Seeds = Annotated[
    tuple[int, ...],
    tyro.conf.arg(name="seed", metavar="N ...", help_behavior_hint="(the configured ones)"),
]


class _Budget(NamedTuple):
    """How long to iterate.

    Attributes:
        iterations: at most; of networks with several layers, sweeps.
        tolerance: of gap/energy, or of the change in a sweep, which ends the iterations.
    """

    iterations: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None
    tolerance: Annotated[float | None, tyro.conf.arg(metavar="T", help_behavior_hint="")] = None


class _Damage(NamedTuple):
    """What is wrong beside noise.

    Attributes:
        mask: inpainting: image of the same size, white where pixels are missing.
        blur: deblurring: standard deviation of a Gaussian in pixels, or an image of the kernel.
    """

    mask: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    blur: Annotated[str | None, tyro.conf.arg(metavar="S|FILE", help_behavior_hint="")] = None


class _Known(NamedTuple):
    """What is known beside the outputs.

    Attributes:
        noise: standard deviation of the outputs' noise; pictures can do without.
        original: the true inputs, to compare with.
    """

    noise: Sigma = None
    original: Annotated[Path | None, tyro.conf.arg(metavar="X", help_behavior_hint="")] = None


_UNLIMITED, _UNHARMED, _UNKNOWN = _Budget(), _Damage(), _Known()
Json = Annotated[
    tyro.conf.FlagCreatePairsOff[bool], tyro.conf.arg(name="json", help_behavior_hint="")
]
Folder = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
Model = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]

_app = tyro.extras.SubcommandApp()


@_app.command(name="reproduce")
def _reproduce(
    name: Name = "",
    out: Out = None,
    quick: tyro.conf.FlagCreatePairsOff[bool] = False,
    seed: Seeds = (),
    list: tyro.conf.FlagCreatePairsOff[bool] = False,
    as_json: Json = False,
) -> None:
    """Run an experiment; writes metrics.json, history.jsonl, model.safetensors and report.html.

    Args:
        name: the experiment; --list shows the names.
        out: folder to write to.
        quick: a small setting that needs no download.
        seed: seeds of the repeated runs.
        list: show the experiments.
        as_json: for machines; progress goes to standard error.
    """
    _prepare_jax()
    from liftax.experiments import EXPERIMENTS, experiment, reproduce

    if list and as_json:
        _show({known.name: known.lead for known in EXPERIMENTS.values()}, as_json)
        return
    if list:
        width = max(len(known) for known in EXPERIMENTS)
        for known in EXPERIMENTS.values():
            print(f"{known.name:{width}}  {known.lead}")
        return
    if not name:
        raise ValueError(f"name an experiment: {', '.join(EXPERIMENTS)}")
    chosen = experiment(name)
    folder = Path("runs", name) if out is None else out
    say = _tell if as_json else _say
    record = reproduce(chosen, folder, quick=quick, seeds=seed or None, say=say)
    if as_json:
        figures = {"headline": record.headline, "figures": record.figures}
        _show({"experiment": name, "out": str(folder), **figures}, as_json)
        return
    print()
    for line in record.headline:
        print(line)
    print(f"report: {(folder / 'report.html').resolve()}")


@_app.command(name="train")
def _train(
    config: Annotated[
        Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="CONFIG", help_behavior_hint="")
    ] = None,
    out: Out = None,
    resume: tyro.conf.FlagCreatePairsOff[bool] = False,
    example: tyro.conf.FlagCreatePairsOff[bool] = False,
    quiet: tyro.conf.FlagCreatePairsOff[bool] = False,
    as_json: Json = False,
) -> None:
    """Train a network as a TOML file says; writes model.safetensors, metrics.json, report.html.

    Args:
        config: the settings; --example prints some.
        out: folder to write to.
        resume: go on where a run in that folder was stopped.
        example: print settings that run, with all keys.
        quiet: no progress.
        as_json: for machines; progress goes to standard error.
    """
    if example:
        print((Path(__file__).parent / "_commands" / "example.toml").read_text("utf-8"), end="")
        return
    if config is None:
        raise ValueError("name a file of settings; `liftax train --example` prints one")
    _prepare_jax()
    from liftax._commands import resumed, train

    folder = Path("runs", config.stem) if out is None else out
    bar = not quiet and not as_json and sys.stderr.isatty() and sys.stdout.isatty()
    say = _nothing if quiet or bar else _tell
    try:
        found = train(config, folder, resume=resume, progress=bar, say=say)
    except KeyboardInterrupt:
        print(f"liftax: interrupted; {resumed(folder, config)}", file=sys.stderr)
        sys.exit(130)
    if as_json:
        _show(found, as_json)
    else:
        print(f"{found['reason']}: {_short(found['figures'])}")
        print(f"report: {(folder / 'report.html').resolve()}")
    if found["failed"]:
        sys.exit(1)


@_app.command(name="restore")
def _restore(
    photo: Photo,
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")],
    task: Annotated[
        Literal["denoise", "deblur", "inpaint"] | None,
        tyro.conf.arg(help_behavior_hint="(inpaint with --mask, deblur with --blur, else denoise)"),
    ] = None,
    sigma: Sigma = None,
    model: Annotated[str, tyro.conf.arg(metavar="M")] = "denoise",
    damage: Annotated[_Damage, tyro.conf.arg(name="")] = _UNHARMED,
    tile: Annotated[int, tyro.conf.arg(metavar="N")] = 512,
    as_json: Json = False,
) -> None:
    """Restore a photograph of any size: PNG, JPEG, TIFF or npy, grey or colour, 8 or 16 bit.

    Args:
        photo: the file.
        out: file to write.
        task: what is wrong with it.
        sigma: standard deviation of the noise, white being 1: 25 of 255 is 0.098.
        model: a model of the package, or a file of save_denoiser or `liftax reproduce denoiser`.
        damage: what is wrong beside noise.
        tile: largest side in pixels that is computed at once.
        as_json: for machines.
    """
    _prepare_jax()
    from liftax.restoration import restore

    begin = time.perf_counter()
    more = {"sigma": sigma, "model": model, "tile": tile, **damage._asdict()}
    done = restore(photo, out, task, **more)
    seconds = time.perf_counter() - begin
    if as_json:
        figures = {**done._asdict(), "seconds": seconds}
        _show({"photo": str(photo), "out": str(out), **figures}, as_json)
        return
    height, width, channels = done.shape
    kind = "grey" if channels == 1 else "colour"
    print(f"{photo}: {width}x{height}, {kind}, noise {done.sigma:.3f}, {done.task}")
    if done.missing:
        print(f"missing: {done.missing} of {width * height} pixels")
    print(f"written: {out.resolve()} ({seconds:.1f} s)")


@_app.command(name="invert")
def _invert(
    model: Annotated[Path, tyro.conf.arg(metavar="M")],
    data: Annotated[Path, tyro.conf.arg(metavar="Y")],
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")],
    regulariser: Annotated[str, tyro.conf.arg(metavar="NAME")] = "tv",
    alpha: Annotated[str, tyro.conf.arg(metavar="A|A,A,...|auto")] = "auto",
    known: Annotated[_Known, tyro.conf.arg(name="")] = _UNKNOWN,
    budget: Annotated[_Budget, tyro.conf.arg(name="")] = _UNLIMITED,
    as_json: Json = False,
) -> None:
    """Find the inputs of a trained network from its noisy outputs.

    Writes x.npy, metrics.json, report.html and the pictures that were found.

    Args:
        model: the network: a file of save_network (safetensors), or ONNX.
        data: its outputs: npy or npz, an image, or a folder of images.
        out: folder to write; an earlier result is replaced.
        regulariser: tikhonov, l1, tv, tv-anisotropic, tgv, wavelet, denoiser, nonnegative, box,
            joined by +.
        alpha: weight of the regulariser, or several for a page with a slider; auto: the residual
            becomes as large as the noise, or without a noise level the corner of the L-curve.
        known: what is known beside the outputs.
        budget: how long to iterate.
        as_json: for machines.
    """
    _prepare_jax()
    from liftax._commands import summary
    from liftax.inversion import invert_file

    done = invert_file(*(model, data, out, regulariser, alpha), budget=budget, **known._asdict())
    if as_json:
        _show({"out": str(out), **done.metrics}, as_json)
        return
    samples = done.metrics["samples"]
    for reason, count in Counter(row["reason"] for row in samples).items():
        print(f"{count} of {len(samples)}: {reason}")
    missed = sum(not row.get("met", True) for row in samples)
    if missed:
        print(f"{missed} of {len(samples)}: no alpha brings the residual to the noise level")
    if any("alphas" in row for row in samples):
        print(
            "no noise level is known: alpha is the corner of the L-curve; look at it in the "
            "report, or give --noise"
        )
    for line in summary(done.metrics):
        print(line)
    print(f"written: {out.resolve()} ({done.metrics['seconds']:.1f} s)")


@_app.command(name="info")
def _info(model: Model, as_json: Json = False) -> None:
    """Show what is in a model file: the network's nodes, shapes and parameters.

    Args:
        model: a file of save_network or save_model (safetensors), or ONNX.
        as_json: for machines.
    """
    _prepare_jax()
    from liftax._commands import info

    _show(info(model), as_json)


@_app.command(name="evaluate")
def _evaluate(
    model: Model,
    data: Annotated[str, tyro.conf.arg(metavar="NAME|FILE")],
    as_json: Json = False,
) -> None:
    """Measure loss and accuracy (or mean squared error) of a network on data.

    Args:
        model: a file of save_network (safetensors), or ONNX.
        data: digits, mnist or fashion-mnist, of which the test part is taken; or an npz file of the
            arrays x and y.
        as_json: for machines.
    """
    _prepare_jax()
    from liftax._commands import evaluate

    _show(evaluate(model, data), as_json)


@_app.command(name="compare")
def _compare(
    runs: Annotated[
        tuple[Path, ...],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="DIR DIR ...", help_behavior_hint=""),
    ],
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None,
    as_json: Json = False,
) -> None:
    """Put the figures of several runs side by side, and what differs in their settings.

    Args:
        runs: folders that liftax reproduce wrote.
        out: page to write, with the curves too (html).
        as_json: for machines.
    """
    from liftax._commands import compare

    _show(compare(runs, out), as_json)
    if out is not None and not as_json:
        print(f"written: {out.resolve()}")


@_app.command(name="launch")
def _launch(
    script: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SCRIPT")],
    arguments: Annotated[
        tuple[str, ...],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="ARGUMENT ...", help_behavior_hint=""),
    ] = (),
    processes: Annotated[int, tyro.conf.arg(aliases=["-n"], metavar="N")] = 2,
    devices_per_process: Annotated[int, tyro.conf.arg(metavar="D")] = 1,
    patience: Annotated[float, tyro.conf.arg(metavar="S")] = 15.0,
) -> None:
    """Run a script in several processes of this machine, which train together.

    In the script liftax.fit(..., mesh="auto") divides the samples among them. The first process
    that fails ends the others.

    Args:
        script: a Python file.
        arguments: for the script; those with a dash behind --.
        processes: how many.
        devices_per_process: CPU devices of each.
        patience: seconds without a sign of life after which a process counts as frozen.
    """
    from liftax._commands import launch

    code = launch(script, arguments, processes, devices_per_process, patience)
    if code:
        sys.exit(code)


@_app.command(name="report")
def _report(
    folder: Folder,
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None,
    as_json: Json = False,
) -> None:
    """Make the page of a run's folder anew, also while the run goes on.

    Args:
        folder: of liftax train, invert, or reproduce (whose own page stays: summary.html).
        out: page to write.
        as_json: for machines.
    """
    from liftax._commands import report

    _show(report(folder, out), as_json)


@_app.command(name="watch")
def _watch(folder: Folder, port: Annotated[int, tyro.conf.arg(metavar="N")] = 0) -> None:
    """Show a run's progress in a browser on this machine; Ctrl-C ends it.

    Args:
        folder: of the run.
        port: of the address; 0: a free one.
    """
    from liftax._commands import serve

    with contextlib.suppress(KeyboardInterrupt):
        serve(folder, port, _say)


@_app.command(name="completion")
def _completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish"], tyro.conf.Positional, tyro.conf.arg(metavar="SHELL")
    ],
) -> None:
    """Print what completes commands and options in bash, zsh or fish.

    Args:
        shell: bash, zsh or fish; bash: eval "$(liftax completion bash)".
    """
    _app.cli(args=["--tyro-print-completion", shell], prog="liftax")


@_app.command(name="doctor")
def _doctor(as_json: Json = False) -> None:
    """Print what a bug report needs: versions, devices, settings, a small training run.

    Args:
        as_json: for machines.
    """
    from liftax._commands import doctor

    found = doctor()
    _show(found, as_json)
    if not found["check"]["trained"]:
        sys.exit(1)


@_app.command(name="version")
def _version() -> None:
    """Print the version."""
    print(f"liftax {importlib.metadata.version('liftax')}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``liftax``; bad input exits with 2 and one line on standard error."""
    given = sys.argv[1:] if arguments is None else [*arguments]
    if given == ["--version"]:
        given = ["version"]
    try:
        _app.cli(
            args=given or ["--help"],
            prog="liftax",
            description="Lifted training of neural networks whose activations are proximal maps.",
        )
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(f"liftax: {_sentence(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        again = "; the same command goes on from there" if given[:1] == ["reproduce"] else ""
        print(f"liftax: interrupted{again}", file=sys.stderr)
        sys.exit(130)


def _show(found: dict[str, Any], as_json: bool) -> None:
    from liftax._commands import lines
    from liftax._files import plain

    if as_json:
        print(json.dumps(plain(found), indent=1, ensure_ascii=False))
        return
    for line in lines(found):
        print(line)


def _say(line: str) -> None:
    print(line, flush=True)


def _tell(line: str) -> None:
    """Progress: standard output is for the result."""
    print(line, file=sys.stderr, flush=True)


def _nothing(line: str) -> None:
    """Say nothing."""


def _short(figures: dict[str, Any]) -> str:
    names = ("loss", "accuracy", "mse", "validation_loss", "validation_accuracy", "validation_mse")
    known = {name: figures[name] for name in names if figures.get(name) is not None}
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in known.items())


def _sentence(error: Exception) -> str:
    extras = {"PIL": "experiments", "onnx": "onnx"}
    if isinstance(error, ModuleNotFoundError) and error.name in extras:
        return f"{error.name} is not installed; run: pip install 'liftax[{extras[error.name]}]'"
    return " ".join(str(error).split())


def _prepare_jax() -> None:
    """Programs compiled once are kept on disk for the next run, small ones too."""
    import jax

    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    jax.config.update("jax_compilation_cache_dir", str(base / "liftax" / "programs"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


if __name__ == "__main__":
    main()
