"""The codes of a driver that has no such thing, and of a port that is no more."""

from __future__ import annotations

import errno
from typing import Final

UNSUPPORTED: Final = frozenset({errno.ENOTTY, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
GONE: Final = frozenset({errno.EIO, errno.ENXIO, errno.ENODEV, errno.EBADF})
