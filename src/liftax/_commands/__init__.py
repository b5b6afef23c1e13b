"""What the smaller commands of ``liftax`` find out, as dictionaries, and how it is shown."""

from liftax._commands._compare import compare as compare
from liftax._commands._doctor import doctor as doctor
from liftax._commands._evaluate import evaluate as evaluate
from liftax._commands._info import info as info
from liftax._commands._launch import launch as launch
from liftax._commands._report import report as report
from liftax._commands._summary import summary as summary
from liftax._commands._text import lines as lines
from liftax._commands._train import resumed as resumed
from liftax._commands._train import train as train
from liftax._commands._watch import serve as serve
