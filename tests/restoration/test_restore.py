"""Files in, restored files out."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
import skimage.data

from liftax.cli import main
from liftax.imaging import Blur, bit_depth, gaussian_kernel, psnr, read_image, write_image
from liftax.restoration import load_denoiser, restore, save_denoiser
from liftax.training import save_model

CAMERA = (skimage.data.camera()[60:156, 180:270, None] / 255).astype(np.float32)


def test_a_saved_denoiser_is_loaded_as_it_was(tmp_path: Path) -> None:
    shipped = load_denoiser()
    save_denoiser(tmp_path / "own.safetensors", shipped)
    again = load_denoiser(tmp_path / "own.safetensors")
    assert again.meta == shipped.meta
    for one, other in zip(*map(jax.tree.leaves, (again, shipped)), strict=True):
        np.testing.assert_array_equal(one, other)


def noisy(clean: np.ndarray, sigma: float) -> np.ndarray:
    return clean + np.random.default_rng(0).normal(0, sigma, clean.shape).astype(np.float32)


def test_the_shipped_denoiser_removes_noise() -> None:
    """Of several levels, given or estimated."""
    denoiser = load_denoiser()
    for sigma, gain in ((0.05, 4), (0.1, 6)):
        y = noisy(CAMERA, sigma)
        assert psnr(denoiser(y, sigma), CAMERA) > psnr(y, CAMERA) + gain
        assert psnr(denoiser(y), CAMERA) > psnr(y, CAMERA) + gain - 0.5


@pytest.mark.slow
def test_a_prox_of_the_denoiser_is_that_of_a_homogeneous_function() -> None:
    """prox_{stJ}(½ + s(x - ½)) = ½ + s(prox_{tJ}(x) - ½), and D of its noise level at t = σ₀²."""
    denoiser, x = load_denoiser(), jnp.asarray(noisy(CAMERA[:24, :24], 0.1))
    t, sigma = (jnp.asarray(number, x.dtype) for number in (denoiser.sigma**2, denoiser.sigma))
    known = denoiser.prox(x, t)
    np.testing.assert_allclose(known, denoiser.restore(x, sigma), atol=1e-6)
    wide = denoiser.prox(0.5 + 3 * (x - 0.5), 3 * t)
    np.testing.assert_allclose(wide, 0.5 + 3 * (known - 0.5), atol=1e-5)


@pytest.mark.parametrize(("suffix", "depth"), [(".png", 8), (".png", 16), (".tif", 16)])
def test_denoising_keeps_shape_and_depth(tmp_path: Path, suffix: str, depth: int) -> None:
    colour = np.clip(noisy(np.repeat(CAMERA, 3, axis=2), 0.1), 0, 1)
    photo, out = tmp_path / f"photo{suffix}", tmp_path / f"new/out{suffix}"
    write_image(photo, colour, depth)
    main(["restore", str(photo), "--out", str(out), "--tile", "90"])
    assert bit_depth(out) == bit_depth(photo) == depth
    found = read_image(out)
    assert found.shape == colour.shape
    clean = np.repeat(CAMERA, 3, axis=2)
    assert psnr(found, clean) > psnr(colour, clean) + 5
    assert np.unique(found).size > 256 if depth == 16 else np.unique(found).size <= 256


def test_inpainting_fills_what_is_missing_and_keeps_the_rest(tmp_path: Path) -> None:
    hidden = np.random.default_rng(0).uniform(size=CAMERA.shape[:2]) < 0.5
    write_image(tmp_path / "mask.png", hidden.astype(float))
    write_image(tmp_path / "photo.png", np.where(hidden[..., None], 1, CAMERA))
    restore(
        tmp_path / "photo.png",
        tmp_path / "out.png",
        "inpaint",
        sigma=0.0,
        mask=tmp_path / "mask.png",
    )
    found = read_image(tmp_path / "out.png")
    np.testing.assert_allclose(found[~hidden], CAMERA[~hidden], atol=1 / 500)
    blank = np.where(hidden[..., None], CAMERA[~hidden].mean(), CAMERA)
    assert psnr(found, CAMERA) > psnr(blank, CAMERA) + 8


@pytest.mark.slow
def test_inpainting_estimates_the_noise_of_what_is_seen(tmp_path: Path) -> None:
    """And not of the paint over what is missing."""
    rng = np.random.default_rng(0)
    hidden, y = rng.uniform(size=CAMERA.shape[:2]) < 0.5, noisy(CAMERA, 0.05)
    write_image(tmp_path / "mask.png", hidden.astype(float))
    write_image(tmp_path / "photo.tif", np.where(hidden[..., None], 1, y), 16)
    ends = [tmp_path / "told.tif", tmp_path / "estimated.tif"]
    for out, sigma in zip(ends, (0.05, None), strict=True):
        mask = tmp_path / "mask.png"
        done = restore(tmp_path / "photo.tif", out, "inpaint", sigma=sigma, mask=mask)
        assert done.sigma == pytest.approx(0.05, rel=0.2)
    told, estimated = (psnr(read_image(out), CAMERA) for out in ends)
    assert estimated > told - 0.3


@pytest.mark.slow
def test_deblurring_sharpens(tmp_path: Path) -> None:
    kernel = np.asarray(gaussian_kernel(1.5, 4))
    y = noisy(np.asarray(Blur(CAMERA.shape, kernel).apply(CAMERA)), 0.005)
    write_image(tmp_path / "photo.tif", y, 16)
    write_image(tmp_path / "kernel.tif", kernel / kernel.max(), 16)
    gains = []
    for blur in ("1.5", str(tmp_path / "kernel.tif")):
        restore(tmp_path / "photo.tif", tmp_path / "out.tif", "deblur", sigma=0.005, blur=blur)
        gains.append(float(psnr(read_image(tmp_path / "out.tif"), CAMERA) - psnr(y, CAMERA)))
    assert min(gains) > 2
    assert gains[0] == pytest.approx(gains[1], abs=0.2)


def test_one_pixel_and_flat_photographs_come_back(tmp_path: Path) -> None:
    for name, pixels in (("one", np.full((1, 1), 0.5)), ("flat", np.full((9, 7, 3), 0.2))):
        write_image(tmp_path / f"{name}.png", pixels)
        restore(tmp_path / f"{name}.png", tmp_path / "out.png")
        np.testing.assert_array_equal(
            read_image(tmp_path / "out.png"), read_image(tmp_path / f"{name}.png")
        )


def test_wrong_input_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, out = tmp_path / "photo.png", tmp_path / "out.png"
    write_image(photo, CAMERA)
    write_image(tmp_path / "small.png", CAMERA[:9])
    write_image(tmp_path / "white.png", np.ones(CAMERA.shape))
    write_image(tmp_path / "black.png", np.zeros((3, 3)))
    write_image(tmp_path / "none.png", np.zeros(CAMERA.shape))
    np.save(tmp_path / "bytes.npy", np.full((9, 9), 200.0))
    for words, settings in {
        "task must be one of": {"task": "sharpen"},
        "sigma must be at least 0": {"sigma": -1.0},
        "mask: inpainting needs": {"task": "inpaint"},
        "mask is 90x9 pixels": {"task": "inpaint", "mask": tmp_path / "small.png"},
        "all pixels are missing": {"task": "inpaint", "mask": tmp_path / "white.png"},
        "blur: deblurring needs": {"task": "deblur"},
        r"blur must be in \(0, 20\]": {"task": "deblur", "blur": 50.0},
        "is black; a kernel": {"task": "deblur", "blur": tmp_path / "black.png"},
        "tile must be more than": {"tile": 8},
        "sigma must be at most 1, white being 1, got 25; 25 of 255 is 0.098": {"sigma": 25.0},
        "none is white.; is it inverted": {"mask": tmp_path / "none.png"},
        "mask: the task denoise takes none; leave": {"task": "denoise", "mask": out},
        "blur: the task inpaint takes none; leave": {"task": "inpaint", "blur": 1.5},
        "mask and blur: give one": {"blur": 1.5, "mask": out},
    }.items():
        with pytest.raises(ValueError, match=words):
            restore(photo, out, **settings)
    for given, words in {
        (photo, photo): "is the photo, which stays",
        (tmp_path / "bytes.npy", out): "photo has pixels up to 200, .*divide them by 255",
    }.items():
        with pytest.raises(ValueError, match=words):
            restore(*given)
    with pytest.raises(ValueError, match="is the mask"):
        restore(photo, tmp_path / "none.png", mask=tmp_path / "none.png")
    with pytest.raises(ValueError, match="out must end in one of"):
        restore(photo, tmp_path / "out.gif")
    save_model(tmp_path / "other.safetensors", {"a": np.zeros(2)}, {"task": "classify"})
    with pytest.raises(ValueError, match="is no denoiser"):
        load_denoiser(tmp_path / "other.safetensors")
    assert not out.exists()
    with pytest.raises(SystemExit, match="2"):
        main(["restore", str(tmp_path / "absent.png"), "--out", str(out)])
    assert "there is no such file" in capsys.readouterr().err


def test_options_name_the_task_and_masks_of_bytes_count(tmp_path: Path, capsys) -> None:
    """A mask of the bytes 0 and 1 is one; the photograph is flat, so that little is computed."""
    flat, hidden = np.full((9, 7, 1), 0.2), np.zeros((9, 7), np.uint8)
    hidden[2:4, 3] = 1
    write_image(tmp_path / "photo.png", np.where(hidden[..., None], 1, flat))
    given = ["restore", str(tmp_path / "photo.png"), "--sigma", "0"]
    for suffix, kind in ((".png", np.uint8), (".npy", np.uint16), (".npy", bool)):
        out, mask = tmp_path / "out.png", tmp_path / f"mask{suffix}"
        if suffix == ".png":
            PIL.Image.fromarray(hidden).save(mask)
        else:
            np.save(mask, hidden.astype(kind))
        main([*given, "--out", str(out), "--mask", str(mask)])
        said = capsys.readouterr().out
        assert "inpaint" in said and "missing: 2 of 63 pixels" in said
        np.testing.assert_allclose(read_image(out), flat, atol=0.03)
    main([*given, "--out", str(tmp_path / "out.png"), "--json"])
    assert '"task": "denoise"' in capsys.readouterr().out


def test_denoisers_refuse_other_scales_and_channels_first() -> None:
    denoiser, whole = load_denoiser(), (CAMERA * 255).astype(np.uint8)
    for image, sigma, words in (
        (whole, 25.0, "divide by 255"),
        (CAMERA, 25.0, "25 of 255 is 0.098"),
        (CAMERA * 255, 0.1, "divide them by 255"),
        (np.zeros((3, 9, 9)), 0.1, "image has the channels first"),
    ):
        with pytest.raises(ValueError, match=words):
            denoiser(image, sigma)
