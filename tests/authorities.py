"""No certificate authorities of this machine: no test speaks to the outside.

To read them takes longer than most of a night with four videos.  Those that a test names itself
(``--ca-file``) are read and trusted as ever.
"""

from __future__ import annotations

import os

NO_AUTHORITIES = {"SSL_CERT_FILE": os.devnull}
