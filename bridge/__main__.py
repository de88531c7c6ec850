"""`python -m bridge` is `rtu-bridge`."""

import sys

from bridge.service.cli import main

sys.exit(main())
