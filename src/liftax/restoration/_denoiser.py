"""A trained network as a denoiser for any noise level, image size and number of channels."""

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float

from liftax._pixels import check_channels, check_noise, check_numbers, check_white
from liftax.affine import Convolution, Residual, TransposedConvolution
from liftax.imaging import noise_level
from liftax.networks import INPUT, Network, Params, dcp, ddfb, ddifb, dscp
from liftax.restoration._tiles import tiled
from liftax.training import as_params, load_model, save_model

NETWORKS = {"ddfb": ddfb, "ddifb": ddifb, "dcp": dcp, "dscp": dscp}
_FOLDER = Path(__file__).parent / "models"
# Models that come with the package.
MODELS = ("denoise",)


class Denoiser(eqx.Module):
    r"""$D_\sigma(y) = \frac12 + \frac{\sigma}{\sigma_0}\,
    N\left(\frac{\sigma_0}{\sigma}(y - \frac12)\right)$.

    A network N that removes noise of the level σ₀ removes any, on images of another contrast: that
    is, its thresholds are proportional to σ. Channels are restored each for itself.

    Attributes:
        params: of the network.
        family: name of the builder, one of ddfb, ddifb, dcp, dscp.
        arguments: of the builder, without the shape, as pairs.
        sigma: σ₀.
    """

    params: Params
    family: str = eqx.field(static=True)
    arguments: tuple[tuple[str, Any], ...] = eqx.field(static=True)
    sigma: float = eqx.field(static=True)

    @property
    def meta(self) -> dict[str, Any]:
        """What a model file says beside the parameters."""
        known = {"family": self.family, "arguments": dict(self.arguments), "sigma": self.sigma}
        return {"task": "denoise", **known}

    def network(self, height: int, width: int) -> Network:
        """The network for one channel of images of this size."""
        return NETWORKS[self.family]((height, width, 1), **dict(self.arguments), interval=None)

    def at(self, sigma: ArrayLike) -> Callable[[Array], Array]:
        r"""$D_\sigma$, a function of JAX of (height, width, channels): for `plug_and_play`."""
        return jax.tree_util.Partial(_swapped, self, jnp.asarray(sigma, jnp.float32))

    def restore(self, image: Array, sigma: Array) -> Array:
        r"""$D_\sigma$ of (height, width, channels), traceable: for `half_quadratic`."""
        scale = jnp.asarray(self.sigma / sigma, image.dtype)
        network = self.network(*image.shape[:2])
        planes = jnp.moveaxis(scale * (image - 0.5), -1, 0)[..., None]
        out = network(self.params, planes)[..., 0]
        return jnp.moveaxis(out, 0, -1) / scale + 0.5

    def prox(self, image: Float[Array, "h w c"], t: Float[Array, ""]) -> Float[Array, "h w c"]:
        r"""$D_\sigma$ with $\sigma = t/\sigma_0$, in the place of $\mathrm{prox}_{tJ}$: for
        `inversion.PlugAndPlay`, in whose units $\mathrm{prox}_{\sigma_0^2J} = D_{\sigma_0}$.

        Networks N that are such a map give a J for which all of them are: one that is homogeneous
        about grey, $J(\frac12 + s(x - \frac12)) = sJ(x)$, as total variation.
        """
        single = self.restore(image.astype(jnp.float32), jnp.asarray(t / self.sigma, jnp.float32))
        return single.astype(image.dtype)

    def __call__(
        self, image: ArrayLike, sigma: float | None = None, tile: int = 512
    ) -> Float[np.ndarray, "h w c"]:
        """The image without its noise, float32, not clipped.

        Args:
            image: (height, width, channels), range [0, 1].
            sigma: standard deviation of the noise; None estimates it by `noise_level`.
            tile: largest side that is computed at once; larger images are cut into squares whose
                overlap makes the result that of the whole.

        Raises:
            ValueError: for integers, another number of axes, channels first, pixels that are not
                finite or in 0..255, a sigma that is not in (0, 1], a tile that is too small, and
                under a transformation of JAX.
        """
        if isinstance(image, Tracer):
            raise ValueError(
                "image: a denoiser that is called works on known pixels; in programs of JAX, as "
                "those of plug_and_play, take denoiser.at(sigma), in half_quadratic its restore"
            )
        pixels = np.asarray(image)
        check_numbers(pixels, "image")
        check_channels(pixels, "image")
        pixels = pixels.astype(np.float32)
        if pixels.ndim != 3 or not pixels.size or not np.isfinite(pixels).all():
            raise ValueError(
                f"image must be (height, width, channels) of finite values, got {pixels.shape}"
            )
        check_white(pixels, "image")
        if sigma is None:
            sigma = noise_level(pixels) if min(pixels.shape[:2]) >= 4 else 0.0
            if sigma == 0:  # nothing to remove
                return pixels
        if not (sigma > 0 and math.isfinite(sigma)):
            raise ValueError(f"sigma must be positive, got {sigma}; 0.1 is strong noise")
        check_noise(sigma)
        level = jnp.float32(sigma)
        return tiled(
            lambda square: np.asarray(_denoise(self, level, jnp.asarray(square))),
            pixels,
            tile,
            self.reach,
        )

    @functools.cached_property
    def reach(self) -> int:
        """How far a pixel of the result depends on others."""
        return reach(self.network(8, 8))


def reach(network: Network) -> int:
    """Pixels from the centre to the edge of the receptive field, for networks without strides.

    Raises:
        ValueError: for a map whose field is not known.
    """
    far = {INPUT: 0}
    for node in network.nodes:
        inner = node.affine.map if isinstance(node.affine, Residual) else node.affine
        if not isinstance(inner, Convolution | TransposedConvolution):
            raise ValueError(f"node {node.name!r}: {type(inner).__name__} has no receptive field")
        side = max(inner.kernel) // 2
        far[node.name] = side + max(far[parent] for parent in node.parents)
    return far[network.output]


def save_denoiser(path: str | Path, denoiser: Denoiser) -> None:
    """A model file for `load_denoiser` and ``liftax restore --model``.

    Args:
        path: usually ends in ``.safetensors``.
        denoiser: for example of a network of your own photographs.
    """
    save_model(path, denoiser.params, denoiser.meta)


def load_denoiser(model: str | Path = "denoise") -> Denoiser:
    """A denoiser that comes with the package, or one from a file.

    Args:
        model: one of `MODELS`, or a file of `save_denoiser` or ``liftax reproduce denoiser``.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged or holds another kind of model.
    """
    known = str(model) in MODELS
    arrays, meta = load_model(_FOLDER / f"{model}.safetensors" if known else model)
    arrays = {name: array for name, array in arrays.items() if name[:1] != "@"}  # of the graph
    cure = f"train one by `liftax reproduce denoiser`, or take one of {', '.join(MODELS)}"
    if not isinstance(meta, dict) or meta.get("task") != "denoise":
        raise ValueError(f"model: {str(model)!r} is no denoiser; {cure}")
    try:
        return _built(arrays, meta)
    except Exception as error:  # whatever made-up notes lead to
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(f"model: {str(model)!r} is no denoiser: {reason}; {cure}") from error


def _built(arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> Denoiser:
    """The denoiser of a file's notes.

    Raises:
        ValueError: for notes of another kind, and more iterations than the file has arrays.
    """
    family, arguments, sigma = (meta.get(name) for name in ("family", "arguments", "sigma"))
    if not isinstance(family, str) or family not in NETWORKS or not isinstance(arguments, dict):
        raise ValueError("its notes name no network")
    if not all(isinstance(value, bool | int | float) for value in arguments.values()):
        raise ValueError("the arguments of its network must be numbers")
    # Each iteration has weights of its own: a short file does not make a deep network.
    if not 0 < arguments.get("iterations", 0) <= len(arrays):
        raise ValueError("its network has other iterations than its weights")
    if not isinstance(sigma, int | float) or not 0 < sigma < math.inf:
        raise ValueError("its noise level sigma must be positive")
    network = NETWORKS[family]((8, 8, 1), **arguments, interval=None)
    params = as_params(arrays, jax.eval_shape(network.init, jax.random.key(0)))
    return Denoiser(params, family, tuple(sorted(arguments.items())), sigma)


def _swapped(denoiser: Denoiser, sigma: Array, image: Array) -> Array:
    return denoiser.restore(image, sigma)


_denoise = eqx.filter_jit(_swapped)
