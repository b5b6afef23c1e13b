"""The sum of maps, one per parent."""

from typing import Any

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape


class Sum(AbstractAffine):
    r"""$z = f_1(u_1;\theta_1) + \dots + f_m(u_m;\theta_m)$: several parents, residual connections.

    Parameters are a tuple, one entry per map.
    """

    maps: tuple[AbstractAffine, ...]

    def __check_init__(self) -> None:
        if not self.maps:
            raise ValueError("maps is empty; give one affine map per parent")

    def out_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != len(self.maps):
            raise ValueError(
                f"Sum has {len(self.maps)} maps and got {len(shapes)} parents; give one map each"
            )
        outs = {f.out_shape(s) for f, s in zip(self.maps, shapes, strict=True)}
        if len(outs) > 1:
            raise ValueError(f"the maps of a Sum end in different shapes, {sorted(outs)}")
        return outs.pop()

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        keys = jax.random.split(key, len(self.maps))
        return tuple(
            f.init(k, s, dtype=dtype) for f, k, s in zip(self.maps, keys, shapes, strict=True)
        )

    def apply(self, params: Params, *inputs: Float[Array, "samples ..."]) -> Array:
        terms = [f.apply(p, u) for f, p, u in zip(self.maps, params, inputs, strict=True)]
        return sum(terms[1:], start=terms[0])

    def thin(self) -> "Sum":
        return Sum(tuple(f.thin() for f in self.maps))
