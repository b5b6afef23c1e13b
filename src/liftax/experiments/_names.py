"""The experiments by name."""

import difflib

from liftax.experiments._architectures import ARCHITECTURES
from liftax.experiments._autoencoder_inversion import AUTOENCODER_INVERSION
from liftax.experiments._classification import CLASSIFICATION
from liftax.experiments._classifier_inversion import CLASSIFIER_INVERSION
from liftax.experiments._conditioning import CONDITIONING
from liftax.experiments._deblurring import DEBLURRING
from liftax.experiments._demo import DEMO
from liftax.experiments._denoiser import DENOISER
from liftax.experiments._depth import DEPTH
from liftax.experiments._experiment import Experiment
from liftax.experiments._implicit_step import IMPLICIT_STEP
from liftax.experiments._inpainting import INPAINTING
from liftax.experiments._optimisers import OPTIMISERS
from liftax.experiments._penalties import PENALTIES_STUDY
from liftax.experiments._perceptron_inversion import PERCEPTRON_INVERSION
from liftax.experiments._pnn_denoising import PNN_DENOISING
from liftax.experiments._pnn_settings import PNN_SETTINGS
from liftax.experiments._pnn_stability import PNN_STABILITY
from liftax.experiments._pnp import PNP
from liftax.experiments._resnet_inversion import RESNET_INVERSION
from liftax.experiments._shallow_inversion import SHALLOW_INVERSION
from liftax.experiments._sparse_autoencoder import SPARSE_AUTOENCODER
from liftax.experiments._step_size import STEP_SIZE
from liftax.experiments._three_split import THREE_SPLIT
from liftax.experiments._tomography import TOMOGRAPHY

EXPERIMENTS: dict[str, Experiment] = {
    e.name: e
    for e in (
        DEMO,
        CLASSIFICATION,
        SPARSE_AUTOENCODER,
        STEP_SIZE,
        IMPLICIT_STEP,
        THREE_SPLIT,
        ARCHITECTURES,
        PENALTIES_STUDY,
        OPTIMISERS,
        DEPTH,
        CONDITIONING,
        DENOISER,
        PNN_DENOISING,
        PNN_SETTINGS,
        PNN_STABILITY,
        PNP,
        AUTOENCODER_INVERSION,
        PERCEPTRON_INVERSION,
        CLASSIFIER_INVERSION,
        SHALLOW_INVERSION,
        RESNET_INVERSION,
        DEBLURRING,
        INPAINTING,
        TOMOGRAPHY,
    )
}


def experiment(name: str) -> Experiment:
    """The experiment of that name.

    Raises:
        ValueError: for an unknown name, with the nearest known one.
    """
    if name not in EXPERIMENTS:
        nearest = difflib.get_close_matches(name, EXPERIMENTS, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"experiment {name!r} is not known, did you mean {nearest!r}? "
            f"(known: {', '.join(EXPERIMENTS)})"
        )
    return EXPERIMENTS[name]
