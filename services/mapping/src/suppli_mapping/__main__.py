"""`python -m suppli_mapping [serve|migrate|replay-dead-letters]`."""

import gc
import sys

from suppli_service_kit.service import main

from suppli_mapping.app import create_service
from suppli_mapping.settings import Settings

# A batch makes tens of thousands of values that end with it, without cycles: looking through them for
# cycles at the usual 700 new ones took a sixth of the time of a line.
GC_THRESHOLDS = (50_000, 20, 100)

if __name__ == "__main__":
    gc.set_threshold(*GC_THRESHOLDS)
    sys.exit(main(create_service, "suppli_mapping", settings=Settings))
