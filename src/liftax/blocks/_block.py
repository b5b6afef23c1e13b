"""What a block update gets to see."""

import abc
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

Variables = dict[str, Any]
Steps = dict[str, Any]
Probes = dict[str, Any]
Constants = dict[str, Any]

WARM_UP = 30


class AbstractBlock(eqx.Module):
    """The part of the energy that depends on some variables, $f(x) + h(x)$, $f$ smooth, $h$ simple.

    `x` holds the current variables by node name. Every method takes variables of that form.
    """

    x: eqx.AbstractVar[Variables]

    @property
    @abc.abstractmethod
    def steady(self) -> bool:
        """Whether the curvature stays while nothing but activations changes."""

    @abc.abstractmethod
    def value(self, x: Variables) -> Float[Array, ""]:
        """$f(x)$ up to a constant."""

    @abc.abstractmethod
    def gradient(self, x: Variables) -> Variables:
        r"""$\nabla f(x)$."""

    @abc.abstractmethod
    def prox(self, v: Variables, steps: Steps) -> Variables:
        r"""$\arg\min_x h(x) + \sum_j\frac1{2\tau_j}\|x_j - v_j\|^2$ for the steps $\tau_j$.

        A step is a number, or where $h$ is separable one number an entry.
        """

    @abc.abstractmethod
    def probes(self, key: PRNGKeyArray) -> Probes:
        """Vectors for `curvature` to start from, random ones after `WARM_UP` iterations."""

    @abc.abstractmethod
    def curvature(self, probes: Probes, iterations: int) -> tuple[Constants, Probes]:
        r"""$L_j$ such that $f + \sum_j\frac{L_j}2\|\cdot - x_j\|^2$, linearised in f, majorises f.

        By power iterations from the probes, from below; returns the probes that they reached.
        """

    @abc.abstractmethod
    def solve(self, proximal: dict[str, float]) -> Variables:
        r"""The minimiser of $f + h + \sum_j\frac{\alpha_j}2\|\cdot - x_j\|^2$, in closed form.

        Where $f$ is not quadratic, of its quadratic majorant at $x$ in the metric of the maps that
        leave the block.

        Raises:
            NoClosedForm: a `ValueError` that says why.
        """
