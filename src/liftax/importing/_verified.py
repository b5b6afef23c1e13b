"""Whether parameters are those of a network."""

import jax
import jax.numpy as jnp
import numpy as np

from liftax.networks import Network, Params


def verify(network: Network, params: Params) -> None:
    """Compare structure and shapes, and trace the network once with them.

    Raises:
        ValueError: if they do not fit, or the network cannot be evaluated.
    """
    wanted = jax.eval_shape(network.init, jax.random.key(0))
    leaves = jax.tree.leaves(params)
    if jax.tree.structure(wanted) != jax.tree.structure(params) or any(
        np.shape(leaf) != shaped.shape or not jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
        for leaf, shaped in zip(leaves, jax.tree.leaves(wanted), strict=True)
    ):
        raise ValueError(
            "params are not those of the network, or no floating-point numbers; they must have the "
            "structure and the shapes that network.init gives"
        )
    try:
        with jax.numpy_dtype_promotion("standard"):
            dtype = jnp.result_type(*leaves, jnp.float16)
            example = jax.ShapeDtypeStruct((1, *network.input_shape), dtype)
            given = jax.eval_shape(lambda p, x: network(p, x), params, example).shape
    except Exception as error:  # of whatever field does not fit the shapes
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"the network cannot be evaluated: {reason}") from error
    if given != (1, *network.shapes[network.output]):
        raise ValueError(f"a potential changes the shape of the output to {given[1:]}")
