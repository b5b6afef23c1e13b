"""Restoration of photographs by trained networks."""

from liftax.restoration._denoiser import MODELS as MODELS
from liftax.restoration._denoiser import NETWORKS as NETWORKS
from liftax.restoration._denoiser import Denoiser as Denoiser
from liftax.restoration._denoiser import load_denoiser as load_denoiser
from liftax.restoration._denoiser import save_denoiser as save_denoiser
from liftax.restoration._inverse import BLURRED as BLURRED
from liftax.restoration._inverse import MISSING as MISSING
from liftax.restoration._inverse import plugged_in as plugged_in
from liftax.restoration._restore import Restoration as Restoration
from liftax.restoration._restore import restore as restore
from liftax.restoration._tiles import tiled as tiled
