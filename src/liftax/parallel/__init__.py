"""Many devices and processes: where arrays lie. Algorithms know nothing of it."""

from liftax.parallel._choose import choose_placement as choose_placement
from liftax.parallel._cost import Cost as Cost
from liftax.parallel._cost import Machine as Machine
from liftax.parallel._cost import descent_cost as descent_cost
from liftax.parallel._cost import gradient_cost as gradient_cost
from liftax.parallel._node_stages import busiest as busiest
from liftax.parallel._node_stages import node_products as node_products
from liftax.parallel._node_stages import node_stages as node_stages
from liftax.parallel._passing import awaited as awaited
from liftax.parallel._passing import crossing as crossing
from liftax.parallel._passing import fetched as fetched
from liftax.parallel._passing import writer as writer
from liftax.parallel._placement import Placement as Placement
from liftax.parallel._placement import constrained as constrained
from liftax.parallel._placement import of_weights as of_weights
from liftax.parallel._placement import sample_axes as sample_axes
from liftax.parallel._placement import shardings as shardings
from liftax.parallel._staged import Leaf as Leaf
from liftax.parallel._staged import Staged as Staged
