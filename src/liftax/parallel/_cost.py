"""What a training step of a chain costs on many devices."""

import math
from typing import NamedTuple


class Machine(NamedTuple):
    """Figures of a machine, in seconds so that a time is linear in them.

    Attributes:
        operation: seconds of a floating-point operation of a matrix product, on a device.
        byte: seconds of reading or writing a byte of memory.
        start: seconds of starting one operation of a program.
        sent: seconds of a byte between two devices, the inverse of the bandwidth.
        latency: seconds of a message.
        cores: so many devices compute at a time, the others wait for their turn; as virtual devices
            do on the cores of one processor.
    """

    operation: float
    byte: float
    start: float
    sent: float
    latency: float
    cores: float = math.inf


class Cost(NamedTuple):
    r"""What a device does in one step, and waits for.

    Attributes:
        operations: of matrix products.
        memory: bytes that are read and written.
        started: operations of the program.
        sent: bytes to other devices.
        messages: one after the other.
        devices: how many there are.
    """

    operations: float
    memory: float
    started: float
    sent: float
    messages: float
    devices: int

    def seconds(self, machine: Machine) -> float:
        r"""The time of a step: $\max(1, D/\text{cores})\sum_i c_i t_i$.

        Computing and sending do not overlap; on devices that share cores both take turns.

        Args:
            machine: the five figures $t_i$, and the number of cores.
        """
        return max(1.0, self.devices / machine.cores) * sum(
            count * figure for count, figure in zip(self[:5], machine[:5], strict=True)
        )


# Arrays of samples x width that pass to a neighbour in a sweep beside the forward pass, and that
# are summed over the devices of a chain: on two devices the compiler does it otherwise.
_SHIFTS, _SUMS = {2: 10}, {2: 6}


def descent_cost(
    layers: int, width: int, samples: int, data: int = 1, stages: int = 1, reported: bool = True
) -> Cost:
    r"""A step of `BlockCoordinateDescent` in the orders `Jacobi` and `RedBlack`, on a chain.

    With $L$ layers of width $n$, $m = s/D_s$ samples on a device and $K$ stages the sweep and the
    step on the parameters have $4$ products of a layer, and XLA counts
    $4\,(13n^2 + 30\,mn)$ bytes, for each of the $L/K$ layers of a device. The forward pass that
    the reported loss needs goes through the stages in turn: one product and (an estimate)
    $4\,(n^2 + 10\,mn)$ bytes for each of all $L$ layers, five operations to start. The others,
    130, are as many whatever the depth. For $K \ge 4$ arrays of $mn$ numbers are sent to a
    neighbour $8 + K$ times, the $K$ in the forward pass, and $7$ of them summed; along the samples
    $\frac LK (n^2 + 2n + 1)$ numbers in 14 arrays are summed, gradients and probes. A sum of $a$
    arrays, $b$ bytes, over $D$ devices sends $2\frac{D-1}D b$ bytes in
    $2a\lceil\log_2 D\rceil$ messages.

    Args:
        layers: $L$, a multiple of the stages.
        width: $n$.
        samples: $s$, of all devices.
        data: $D_s$, parts of the samples.
        stages: $K$, parts of the layers.
        reported: whether there is the forward pass.

    Raises:
        ValueError: for numbers that do not divide.

    Source: sums by halving and doubling, Thakur, Rabenseifner & Gropp (2005).
    """
    _check(layers, width, samples, data, stages)
    m, own = samples / data, layers / stages
    forward = layers if reported else 0
    shifts = 0.0 if stages == 1 else _SHIFTS.get(stages, 8) + (stages if reported else 0)
    sums = _SUMS.get(stages, 7)
    bytes_along, messages_along = _sum(4 * sums * m * width, stages, sums)
    bytes_data, messages_data = _sum(4 * own * (width**2 + 2 * width + 1), data, 14)
    return Cost(
        operations=2 * m * width**2 * (4 * own + forward),
        memory=4 * (own * (13 * width + 30 * m) + forward * (width + 10 * m)) * width,
        started=130 + 5 * forward,
        sent=4 * shifts * m * width + bytes_along + bytes_data,
        messages=shifts + messages_along + messages_data,
        devices=data * stages,
    )


def gradient_cost(
    layers: int, width: int, samples: int, data: int = 1, stages: int = 1, micro_batches: int = 1
) -> Cost:
    r"""A step of `BackPropagation`, or of `OneSweep`, on a chain; with stages a pipeline.

    Every layer has $3$ products (forward, signal, gradient), $4\,(6n^2 + 13\,mn)$ bytes as XLA
    counts, and $8$ operations to start. A pipeline of $K$ stages, which is not a part of this
    library, has $M$ micro-batches; a stage is busy with them in $M$ of $M + K - 1$ times and idle
    in the others, the bubble $\frac{K-1}{M+K-1}$. Between two times an array of $mn/M$ numbers goes
    up, or a signal down. Activations are kept, not computed again. Along the samples
    $\frac LK(n^2 + n) + 2$ numbers are summed, each array by itself.

    Args:
        layers: $L$, a multiple of the stages.
        width: $n$.
        samples: $s$, of all devices.
        data: $D_s$, parts of the samples.
        stages: $K$, parts of the layers.
        micro_batches: $M$.

    Raises:
        ValueError: for numbers that do not divide.

    Source: GPipe, Huang et al. (2019), section 2.3.
    """
    _check(layers, width, samples, data, stages)
    if micro_batches < 1 or samples % (data * micro_batches):
        raise ValueError(
            f"micro_batches must divide the {samples // data} samples of a device, got "
            f"{micro_batches}"
        )
    m, own = samples / data / micro_batches, layers / stages
    times = micro_batches + stages - 1
    shifts = 2 * (times - 1) if stages > 1 else 0
    bytes_data, messages_data = _sum(4 * (own * (width**2 + width) + 2), data, 2 * own + 2)
    return Cost(
        operations=2 * m * width**2 * 3 * own * times,
        memory=4 * own * (6 * width + 13 * m) * width * times,
        started=20 + 8 * own * times,
        sent=4 * shifts * m * width + bytes_data,
        messages=shifts + messages_data,
        devices=data * stages,
    )


def _check(layers: int, width: int, samples: int, data: int, stages: int) -> None:
    if min(layers, width, samples, data, stages) < 1 or samples % data or layers % stages:
        raise ValueError(
            "data must divide samples and stages layers, all of them at least 1, got "
            f"{samples} samples in {data} parts, {layers} layers of width {width} in {stages}"
        )


def _sum(size: float, devices: int, arrays: float) -> tuple[float, float]:
    """Bytes and messages of a device in a sum over so many."""
    return 2 * (devices - 1) / devices * size, 2 * math.ceil(math.log2(devices)) * arrays
