"""Images: linear operators of inverse problems, noise, quality, files, total variation."""

from liftax.imaging._blur import Blur as Blur
from liftax.imaging._blur import box_kernel as box_kernel
from liftax.imaging._blur import gaussian_kernel as gaussian_kernel
from liftax.imaging._blur import motion_kernel as motion_kernel
from liftax.imaging._fourier import Fourier as Fourier
from liftax.imaging._noise import gaussian_noise as gaussian_noise
from liftax.imaging._noise import poisson_noise as poisson_noise
from liftax.imaging._noise import salt_and_pepper as salt_and_pepper
from liftax.imaging._operator import AbstractOperator as AbstractOperator
from liftax.imaging._operator import adjoint as adjoint
from liftax.imaging._operator import power_norm as power_norm
from liftax.imaging._quality import psnr as psnr
from liftax.imaging._quality import ssim as ssim
from liftax.imaging._radon import Radon as Radon
from liftax.imaging._radon import filtered_back_projection as filtered_back_projection
from liftax.imaging._simple import Compose as Compose
from liftax.imaging._simple import Downsample as Downsample
from liftax.imaging._simple import FiniteDifferences as FiniteDifferences
from liftax.imaging._simple import Identity as Identity
from liftax.imaging._simple import Mask as Mask
from liftax.imaging._simple import Normal as Normal
from liftax.imaging._simple import random_mask as random_mask
from liftax.imaging._total_variation import Restored as Restored
from liftax.imaging._total_variation import total_variation as total_variation
from liftax.imaging._total_variation import tv_denoise as tv_denoise
from liftax.imaging._total_variation import tv_restore as tv_restore
