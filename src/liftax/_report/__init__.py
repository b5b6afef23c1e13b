"""Self-contained HTML pages: text, tables, charts, pictures; nothing comes from outside."""

from liftax._report._chart import Chart as Chart
from liftax._report._chart import Line as Line
from liftax._report._page import Report as Report
from liftax._report._page import script as script
from liftax._report._page import style as style
from liftax._report._picture import data_address as data_address
from liftax._report._picture import png as png
from liftax._report._picture import signed as signed
