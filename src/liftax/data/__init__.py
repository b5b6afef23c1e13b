"""Data sets, embedded, found or fetched, and the checks of data that users bring."""

from liftax.data._dataset import Dataset as Dataset
from liftax.data._dataset import Split as Split
from liftax.data._idx import read_idx as read_idx
from liftax.data._labels import one_hot as one_hot
from liftax.data._load import load as load
from liftax.data._packages import DebianPackage as DebianPackage
from liftax.data._sources import cache as cache
from liftax.data._validation import check_data as check_data
