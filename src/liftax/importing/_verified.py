"""Whether parameters are those of a network."""

import jax
import jax.numpy as jnp

from liftax.networks import Network, Params, check_params


def verify(network: Network, params: Params) -> None:
    """Compare structure and shapes, and trace the network once with them.

    Raises:
        ValueError: if they do not fit, or the network cannot be evaluated.
    """
    check_params(network, params)
    leaves = jax.tree.leaves(params)
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
