"""Networks: directed acyclic graphs of proximal nodes, and builders of the common ones."""

from liftax.networks._builders import autoencoder as autoencoder
from liftax.networks._builders import code_layer as code_layer
from liftax.networks._builders import fixed as fixed
from liftax.networks._builders import mlp as mlp
from liftax.networks._builders import split as split
from liftax.networks._convolutional import cnn as cnn
from liftax.networks._convolutional import lenet as lenet
from liftax.networks._lista import lista as lista
from liftax.networks._network import INPUT as INPUT
from liftax.networks._network import Network as Network
from liftax.networks._network import Params as Params
from liftax.networks._network import States as States
from liftax.networks._network import chain as chain
from liftax.networks._network import potential_key as potential_key
from liftax.networks._node import Node as Node
from liftax.networks._proximal import dcp as dcp
from liftax.networks._proximal import ddfb as ddfb
from liftax.networks._proximal import ddifb as ddifb
from liftax.networks._proximal import dscp as dscp
from liftax.networks._residual import resnet as resnet
from liftax.networks._transformer import transformer as transformer
from liftax.networks._unrolled import Prior as Prior
from liftax.networks._unrolled import chambolle_pock as chambolle_pock
from liftax.networks._unrolled import condat_vu as condat_vu
from liftax.networks._unrolled import half_quadratic_network as half_quadratic_network
from liftax.networks._unrolled import proximal_gradient as proximal_gradient
